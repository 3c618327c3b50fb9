from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import UsageError
from kitbag_packer.cache import Cache
from kitbag_packer.cache.pruning import clean, parse_age, prune
from kitbag_packer.errors import StaleLock
from support.caches import Messages, digest, keep
from support.outcome import outcome

OLD = 30 * 86400.0
DAY = 86400.0


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache", Messages())


def put(cache: Cache, name: str, *, days: float = 0) -> str:
    """Keep an archive that was last used ``days`` ago, and that nobody is using."""
    entry = keep(Cache(cache.folder, Messages()), name.encode(), name)
    note = entry.path.with_name(f"{entry.sha256}.json")
    os.utime(note, (time.time() - days * DAY,) * 2)
    return entry.sha256


def put_half(cache: Cache, identity: str, *, days: float = 0) -> None:
    with cache.partial(identity, f"half {identity[:4]}") as place:
        place.data.write_bytes(b"half")
        place.state.write_text('{"total": 8}')
    folder = cache.folder / "partial" / identity
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - days * DAY,) * 2)


def lock(tmp_path, *digests: str):
    lines = ["version = 1", 'kitbag = "0"', f'installer-sha256 = "{"0" * 64}"', "catalog = []"]
    for number, sha256 in enumerate(digests):
        lines += [
            "[[build]]",
            f'key = "cpython-3.13.{number}-linux-x86_64-gnu"',
            'requests = ["3.13"]',
            'target = "linux-x86_64-gnu"',
            'asked-flavor = ""',
            'url = ""',
            'filename = "x"',
            'flavor = ""',
            'release = ""',
            "size = 1",
            f'sha256 = "{sha256}"',
            f'catalog = "{"0" * 64}"',
        ]
    path = tmp_path / "kitbag.lock"
    path.write_text("\n".join(lines))
    return path


def left(cache: Cache) -> set[str]:
    """The digests of the archives and of the unfinished downloads."""
    names = os.listdir(cache.folder / "archives") + os.listdir(cache.folder / "partial")
    return {name for name in names if not name.endswith(".json")}


def test_without_a_word_archives_stay(cache):
    sha256 = put(cache, "a", days=1000)
    assert prune(cache).removed == ()
    assert left(cache) == {sha256}


def test_what_no_lock_names_goes(cache, tmp_path):
    named, other, third = put(cache, "a", days=99), put(cache, "b"), put(cache, "c")
    pruned = prune(cache, keep_locks=[lock(tmp_path, named, "f" * 64)])
    assert left(cache) == {named}
    assert {each.name for each in pruned.removed} == {"b", "c"}
    assert pruned.freed == 2
    assert {other, third}.isdisjoint(name[:64] for name in os.listdir(cache.folder / "archives"))


def test_what_is_old_goes(cache):
    old, young = put(cache, "old", days=31), put(cache, "young", days=29)
    assert [each.name for each in prune(cache, older_than=OLD).removed] == ["old"]
    assert left(cache) == {young}
    assert old != young


def test_with_a_lock_and_an_age_both_must_agree(cache, tmp_path):
    named, young = put(cache, "named", days=99), put(cache, "young")
    put(cache, "old", days=99)
    prune(cache, keep_locks=[lock(tmp_path, named)], older_than=OLD)
    assert left(cache) == {named, young}


def test_a_dry_run_removes_nothing_and_says_the_same(cache):
    put(cache, "a", days=99)
    put_half(cache, "1" * 64, days=99)
    before = left(cache)
    would = prune(cache, older_than=OLD, dry_run=True)
    assert left(cache) == before
    assert prune(cache, older_than=OLD) == would
    assert left(cache) == set()


def test_a_lock_that_can_not_be_read_removes_nothing(cache, tmp_path):
    put(cache, "a")
    with pytest.raises(StaleLock):
        prune(cache, keep_locks=[tmp_path / "none.lock"])
    assert left(cache)


def test_downloads_go_when_nobody_goes_on_with_them(cache, tmp_path):
    put_half(cache, "1" * 64, days=8)
    put_half(cache, "2" * 64, days=6)
    put_half(cache, "3" * 64, days=8)
    path = lock(tmp_path, "3" * 64)
    assert [each.name for each in prune(cache, keep_locks=[path]).removed] == ["half 1111"]
    assert left(cache) == {"2" * 64, "3" * 64}
    prune(cache, older_than=5 * DAY)
    assert left(cache) == set()


def test_what_is_in_use_stays(cache):
    user = Cache(cache.folder, Messages())
    sha256 = put(cache, "used", days=99)
    assert user.find(sha256) is not None
    os.utime(cache.folder / "archives" / f"{sha256}.json", (1, 1))
    with user.partial("1" * 64, "loading"):
        for sweep in (lambda: prune(cache, older_than=0), lambda: clean(cache)):
            pruned = sweep()
            assert set(pruned.in_use) == {"used", "loading"}
            assert pruned.removed == ()
        found = user.check(sha256)
        assert found is not None
    del user, found
    clean(cache)
    assert left(cache) == set()


def test_inspections_go_with_their_archives(cache):
    kept, gone, foreign = put(cache, "kept"), put(cache, "gone", days=99), "a" * 64
    folder = cache.folder / "inspections"
    folder.mkdir()
    for sha256 in (kept, gone, foreign, "b" * 64):
        (folder / f"{sha256}-{'0' * 16}.inspection").write_text("x")
    os.utime(folder / f"{foreign}-{'0' * 16}.inspection", (1, 1))
    prune(cache, older_than=OLD)
    assert {name[:64] for name in os.listdir(folder)} == {kept, "b" * 64}


def test_leftovers_of_a_crash_go_after_a_day(cache):
    put(cache, "a")
    folder = cache.folder / "archives"
    for name, age in ((".new-1", 2 * DAY), (".new-2", 0), ("0" * 64 + ".json", 2 * DAY)):
        (folder / name).write_text("x")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert len(prune(cache).removed) == 2
    assert ".new-2" in os.listdir(folder)


def test_what_kitbag_did_not_make_stays_and_is_told(cache):
    put(cache, "a", days=99)
    foreign = [
        cache.folder / name for name in ("thesis.tex", "archives/x", "partial/y", "catalogs/z")
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.mkdir()
        (path / "file").touch()
    (cache.folder / "archives" / ("1" * 64)).symlink_to(foreign[0] / "file")
    for pruned in (prune(cache, older_than=0), clean(cache)):
        assert set(foreign) < set(pruned.unknown)
        assert len(pruned.unknown) == 5
    assert all((path / "file").exists() for path in foreign)


def test_clean_takes_everything_of_ours(cache):
    put(cache, "a")
    put_half(cache, "1" * 64)
    for name in ("catalogs/uv.json", f"inspections/{'0' * 64}-{'0' * 16}.inspection"):
        path = cache.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("xyz")
    assert clean(cache, dry_run=True).freed == clean(cache).freed == 1 + 4 + 3 + 3
    files = [path.name for path in cache.folder.rglob("*") if path.is_file()]
    assert sorted(files) == [".gitignore", "CACHEDIR.TAG"]
    assert keep(cache, b"a").sha256 == digest(b"a")


def test_a_cache_that_is_not_there_is_empty(cache):
    assert prune(cache, older_than=0).removed == clean(cache).removed == ()
    assert not cache.folder.exists()


@given(st.integers(0, 999_999_999), st.sampled_from("smhdw"), st.sampled_from(["", " "]))
def test_an_age_is_a_number_and_a_unit(number, unit, space):
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert parse_age(f"{number}{space}{unit}") == number * seconds


@given(st.text(max_size=8))
def test_anything_else_is_refused_with_an_example(text):
    seconds, refusal = outcome(lambda: parse_age(text), UsageError)
    assert "30d" in refusal if seconds is None else seconds >= 0


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1y", "1d2h", "٣d", "1e9d"])
def test_near_misses_are_refused(text):
    with pytest.raises(UsageError, match="30d"):
        parse_age(text)
