import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import FileSystemError, IntegrityError, NoMatch
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.receipts import read_receipt
from kitbag_installer.relocation import relocate_builds
from kitbag_installer.repairing import Repaired, repair_builds
from kitbag_installer.roots import Root
from kitbag_installer.verification import verify_builds
from support.bundled import bundle_archives, host_key, tiny_bundle, tree_of
from support.install import install_tiny
from support.members import Member, below, write_archive
from support.tiny import make_tiny_archive, tiny_members, tiny_name

KEY = host_key()
OWN = "lib/python3.13/site-packages/own"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.12.9", "3.13.5")


@pytest.fixture
def root(tmp_path, bundle) -> Root:
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"))


@pytest.fixture
def place(root) -> Path:
    """The build, with things that a person added."""
    found = Path(root.install_path(KEY))
    (found / OWN).mkdir(mode=0o750)
    (found / OWN / "data.py").write_text("own = 1\n")
    (found / OWN / "link").symlink_to("data.py")
    (found / "bin" / "tool").write_text(f"#!{found}/bin/python3.13\n")
    (found / "bin" / "tool").chmod(0o700)
    for path in (found / OWN / "data.py", found / OWN / "link", found / OWN):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    return found


def repair(root: Root, bundle: Path, *requests: str, dry_run: bool = False) -> list[Repaired]:
    with Bundle.open(bundle) as opened:
        return repair_builds(
            opened, root, parse_requests(requests), SilentReporter(), dry_run=dry_run
        )


def sound(root: Root) -> bool:
    return all(result.sound for result in verify_builds(root, (), SilentReporter()))


def state(folder: str | Path) -> dict[str, object]:
    """Everything below ``folder``: content, mode, inode and the time of the last change."""
    found: dict[str, object] = {}
    for path, thing in tree_of(folder).items():
        status = os.lstat(os.path.join(folder, path))
        found[path] = (thing, status.st_ino, status.st_mtime_ns)
    return found


def own(place: Path) -> dict[str, object]:
    kept = ("bin/tool", OWN)
    times = {path: os.lstat(place / path).st_mtime_ns for path in (*kept, f"{OWN}/link")}
    files = {path: thing for path, thing in tree_of(place).items() if path.startswith(kept)}
    return {**files, "times": times}


def check_mended(
    root: Root, bundle: Path, place: Path, before: dict[str, object], expected: set[str]
) -> None:
    """One build is mended in just the paths ``expected``, and then as it was installed."""
    mine = own(place)
    dry = {item.key: item for item in repair(root, bundle, dry_run=True)}
    done = {item.key: item for item in repair(root, bundle)}
    assert dry == done
    assert done[host_key("3.12.9")].action == "sound"
    assert (done[KEY].action, done[KEY].error) == ("repaired", None)
    assert set(done[KEY].mended) == expected
    assert tree_of(place) == before
    assert own(place) == mine
    assert sound(root)
    assert os.listdir(root.temp) == []
    assert [item.action for item in repair(root, bundle)] == ["sound", "sound"]


def test_where_nothing_is_damaged_not_a_byte_is_written(root, bundle, place):
    before = state(root.path)
    done = repair(root, bundle)
    assert [(item.key, item.action) for item in done] == [
        (host_key("3.12.9"), "sound"),
        (KEY, "sound"),
    ]
    assert state(root.path) == before


PLAIN = "lib/python3.13/os.py"
REWRITTEN = "lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile"
FILES = (PLAIN, "bin/python3.13", "bin/pip3.13", "BUILD", "share/terminfo/P/P4")


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("how", ["flip", "empty", "gone", "link", "folder", "mode"])
def test_a_damaged_file(root, bundle, place, path, how):
    before = tree_of(place)
    file = place / path
    if how == "flip":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "mode":
        file.chmod(file.stat().st_mode ^ 0o111)
    else:
        file.unlink()
        if how == "link":
            file.symlink_to("/etc/passwd")
        elif how == "folder":
            (file / "empty").mkdir(parents=True)
    check_mended(root, bundle, place, before, {path})


def test_every_generated_file(root, bundle, place):
    before = tree_of(place)
    changed = set(read_receipt(str(place)).changed)
    assert len(changed) > 5
    for path in changed:
        (place / path).write_bytes(b"/install")
    check_mended(root, bundle, place, before, changed)


@pytest.mark.parametrize("how", ["other", "file", "gone", "folder"])
@pytest.mark.parametrize("path", ["bin/python3", "bin/python"])
def test_a_damaged_link(root, bundle, place, path, how):
    before = tree_of(place)
    (place / path).unlink()
    if how == "other":
        (place / path).symlink_to("pip3.13")
    elif how == "file":
        (place / path).write_text("#!/bin/sh\n")
    elif how == "folder":
        (place / path).mkdir()
    check_mended(root, bundle, place, before, {path})


def below_of(place: Path, folder: str) -> set[str]:
    return {path for path in tree_of(place) if path == folder or path.startswith(f"{folder}/")}


@pytest.mark.parametrize("how", ["gone", "file", "link"])
def test_a_whole_folder(root, bundle, place, tmp_path, how):
    before = tree_of(place)
    lost = below_of(place, "share")
    assert len(lost) > 5
    if how == "link":
        shutil.move(place / "share", tmp_path / "elsewhere")
        (place / "share").symlink_to(tmp_path / "elsewhere")
        outside = state(tmp_path / "elsewhere")
    else:
        shutil.rmtree(place / "share")
        if how == "file":
            (place / "share").write_text("")
    check_mended(root, bundle, place, before, lost)
    if how == "link":
        assert state(tmp_path / "elsewhere") == outside


def test_a_folder_with_files_in_the_place_of_a_file_is_refused(root, bundle, place):
    (place / PLAIN).unlink()
    (place / PLAIN).mkdir()
    (place / PLAIN / "mine").write_text("mine\n")
    before = state(place)
    for dry_run in (True, False):
        done = repair(root, bundle, str(KEY), dry_run=dry_run)
        assert done[0].action == "failed"
        assert isinstance(done[0].error, FileSystemError)
        assert f"{place / PLAIN}: a directory with files in it" in str(done[0].error)
        assert state(place) == before


def test_modes_that_lock_everyone_out(root, bundle, place):
    before = tree_of(place)
    for path in ("share", "lib/python3.13", PLAIN, "bin/pip3.13"):
        (place / path).chmod(0)
    check_mended_opened = {"share", "lib/python3.13", PLAIN, "bin/pip3.13"}
    (done,) = repair(root, bundle, str(KEY))
    assert (done.action, set(done.mended)) == ("repaired", check_mended_opened)
    assert tree_of(place) == before
    assert sound(root)


def test_what_shares_a_damaged_file_keeps_it(root, bundle, place, tmp_path):
    os.link(place / PLAIN, tmp_path / "share")
    (place / PLAIN).write_bytes(b"damaged\n")
    repair(root, bundle)
    assert (tmp_path / "share").read_bytes() == b"damaged\n"
    assert sound(root)


def test_only_what_is_damaged_is_new(root, bundle, place):
    before = state(place)
    (place / PLAIN).write_bytes(b"damaged\n")
    repair(root, bundle)
    after = state(place)
    new = {path for path in before if before[path][1] != after[path][1]}
    folders = {path for path in before if before[path][0][0] == "d"}
    assert new - folders == {PLAIN, *below_of(place, ".kitbag")} - folders


@pytest.mark.parametrize("name", ["receipt.json", "contents.tsv", "originals.json.gz"])
@pytest.mark.parametrize("how", ["gone", "cut", "flip", "folder"])
def test_a_damaged_receipt(root, bundle, place, name, how):
    before = tree_of(place)
    file = place / ".kitbag" / name
    data = bytearray(file.read_bytes())
    file.unlink()
    if how == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif how == "flip":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif how == "folder":
        file.mkdir()
    assert not sound(root)
    check_mended(root, bundle, place, before, {f".kitbag/{name}"})


EDITS = [
    ("home", "/somewhere/else"),
    ("release", "20200101"),
    ("key", "cpython-3.9.1-linux-x86_64-gnu"),
    ("changed", {"bin/pip3.13": "0" * 64}),
    ("added", {}),
    ("added-links", {"bin/python9": "python"}),
    ("contents-sha256", "0" * 64),
    ("originals-sha256", "0" * 64),
    ("bytecode-sha256", "0" * 64),
    ("foreign", "yes"),
]


@pytest.mark.parametrize(("name", "value"), EDITS)
def test_an_edited_receipt(root, bundle, place, name, value):
    before = tree_of(place)
    file = place / ".kitbag" / "receipt.json"
    table = json.loads(file.read_text())
    table[name] = value
    file.write_text(json.dumps(table))
    (done,) = repair(root, bundle, str(KEY))
    assert any(path.startswith(".kitbag/") for path in done.mended)
    if name == "added":
        # That the build is marked as managed is a choice, which only the receipt knows.
        assert verify_builds(root, (), SilentReporter())[1].extra
        return
    assert tree_of(place) == before
    assert sound(root)


def test_the_receipt_and_files_at_once(root, bundle, place):
    before = tree_of(place)
    (place / ".kitbag/receipt.json").unlink()
    (place / ".kitbag/originals.json.gz").write_bytes(b"")
    (place / REWRITTEN).unlink()
    (place / PLAIN).write_bytes(b"damaged\n")
    expected = {".kitbag/originals.json.gz", ".kitbag/receipt.json", REWRITTEN, PLAIN}
    check_mended(root, bundle, place, before, expected)


def test_no_mark_stays_no_mark(tmp_path, bundle):
    root = install_tiny(bundle, tmp_path / "root", str(KEY), externally_managed=False)
    place = Path(root.install_path(KEY))
    before = tree_of(place)
    (place / PLAIN).unlink()
    repair(root, bundle)
    assert tree_of(place) == before
    assert [item.action for item in repair(root, bundle)] == ["sound"]


def test_a_moved_build_is_mended_for_the_old_place_and_can_then_be_relocated(root, bundle, place):
    moved = Root(f"{root.path} moved")
    os.rename(root.path, moved.path)
    new = Path(moved.install_path(KEY))
    before = tree_of(new)
    (new / ".kitbag/originals.json.gz").write_bytes(b"")
    (new / REWRITTEN).unlink()
    (done,) = repair(moved, bundle, str(KEY))
    assert (done.action, done.moved_from) == ("repaired", str(place))
    assert tree_of(new) == before
    relocate_builds(moved, (), SilentReporter())
    assert sound(moved)


def other_release(folder: Path) -> Path:
    members = [*tiny_members(), Member("share/more", b"more\n")]
    archive = folder / tiny_name(release="20260202")
    write_archive(below("python", members), archive, ".tar.gz")
    return bundle_archives(folder / "other.kitbag", [(archive, KEY)])


def test_another_archive_of_the_same_key_is_refused(root, bundle, place, tmp_path):
    (place / PLAIN).write_bytes(b"damaged\n")
    before = state(place)
    (done,) = repair(root, other_release(tmp_path))
    assert done.action == "failed"
    assert isinstance(done.error, NoMatch)
    for word in ("20260101", "20260202", "--reinstall", "--upgrade"):
        assert word in str(done.error)
    assert state(place) == before


def test_the_same_files_packed_otherwise_will_do(root, bundle, place, tmp_path):
    before = tree_of(place)
    archive = make_tiny_archive(tmp_path, compression=".tar.xz")
    other = bundle_archives(tmp_path / "other.kitbag", [(archive, KEY)])
    (place / PLAIN).unlink()
    (done,) = repair(root, other)
    assert (done.action, done.mended) == ("repaired", (PLAIN,))
    assert tree_of(place) == before


def test_a_damaged_bundle_mends_nothing(root, bundle, place, tmp_path):
    from support.crafting import files_of, tiny_build, write_raw

    files = files_of(tiny_build(tmp_path))
    (name,) = (name for name in files if name.startswith("archives/"))
    data = bytearray(files[name])
    data[len(data) // 2] ^= 1
    files[name] = bytes(data)
    damaged = write_raw(tmp_path / "damaged.kitbag", files)
    (place / PLAIN).unlink()
    before = state(place)
    (done,) = repair(root, damaged)
    assert done.action == "failed"
    assert isinstance(done.error, IntegrityError)
    assert state(place) == before
    assert os.listdir(root.temp) == []


def test_only_what_is_asked_for(root, bundle, place):
    (place / PLAIN).unlink()
    assert [item.action for item in repair(root, bundle, "3.12")] == ["sound"]
    assert not (place / PLAIN).exists()
    with pytest.raises(NoMatch, match=r"nothing installed matches '3.9'"):
        repair(root, bundle, "3.9")


def test_what_the_bundle_does_not_have(root, tmp_path):
    other = tiny_bundle(tmp_path / "y.kitbag", "3.11.4")
    with pytest.raises(NoMatch, match="can mend only"):
        repair(root, other)
    empty = Root(str(tmp_path / "empty"))
    with pytest.raises(NoMatch, match="there is nothing"):
        repair(empty, other)
    assert not os.path.exists(empty.path)


def test_a_failure_leaves_the_others_to_be_mended(root, bundle, place):
    older = Path(root.install_path(host_key("3.12.9")))
    (older / "lib/python3.12/os.py").unlink()
    (older / "lib/python3.12/os.py").mkdir()
    (older / "lib/python3.12/os.py/mine").write_text("")
    (place / PLAIN).unlink()
    assert [item.action for item in repair(root, bundle)] == ["failed", "repaired"]


def test_kitbag_in_the_root_is_put_right_too(root, bundle, place):
    pyz = Path(root.own) / "kitbag.pyz"
    before = pyz.read_bytes()
    pyz.write_bytes(before[:1000])
    repair(root, bundle)
    assert pyz.read_bytes() == before


def without_receipt(place: Path) -> dict[str, object]:
    """As another tool would have installed it, with other generated files."""
    before = tree_of(place)
    shutil.rmtree(place / ".kitbag")
    (place / REWRITTEN).write_text("prefix=somewhere\n")
    (place / "lib/python3.13/EXTERNALLY-MANAGED").write_text("[externally-managed]\n")
    return before


@pytest.mark.parametrize("release", [True, False])
def test_a_build_of_another_tool_is_taken_over(root, bundle, place, release):
    before = without_receipt(place)
    expected = {REWRITTEN, "lib/python3.13/EXTERNALLY-MANAGED"}
    if not release:
        (place / "BUILD").unlink()
        expected.add("BUILD")
    mine = own(place)
    (dry,) = repair(root, bundle, str(KEY), dry_run=True)
    (done,) = repair(root, bundle, str(KEY))
    assert dry == done
    assert (done.action, set(done.mended)) == ("taken-over", expected)
    assert own(place) == mine
    assert tree_of(place) == before
    assert "lib/python3.13/EXTERNALLY-MANAGED" in read_receipt(str(place)).added
    assert sound(root)


def test_one_of_the_same_release_is_mended_while_it_is_taken_over(root, bundle, place):
    before = without_receipt(place)
    (place / PLAIN).unlink()
    (done,) = repair(root, bundle, str(KEY))
    assert done.action == "taken-over"
    assert PLAIN in done.mended
    assert tree_of(place) == before


@pytest.mark.parametrize("said", ["20240101", ""])
def test_another_build_of_another_tool_is_refused(root, bundle, place, said):
    without_receipt(place)
    (place / "BUILD").write_text(said)
    (place / PLAIN).write_bytes(b"another\n")
    before = state(place)
    (done,) = repair(root, bundle, str(KEY))
    assert done.action == "failed"
    assert isinstance(done.error, NoMatch)
    assert PLAIN in str(done.error)
    assert "--reinstall" in str(done.error)
    assert state(place) == before


def test_the_interpreters_own_bytecode_of_a_mended_file_goes(root, bundle, place):
    cache = place / "lib/python3.13/__pycache__"
    cache.mkdir()
    for name in ("os.cpython-313.pyc", "os.cpython-313.opt-1.pyc", "other.cpython-313.pyc"):
        (cache / name).write_bytes(b"compiled")
    (place / PLAIN).write_bytes(b"damaged\n")
    repair(root, bundle)
    assert os.listdir(cache) == ["other.cpython-313.pyc"]


DAMAGE = ("flip", "cut", "gone", "mode", "link", "file", "folder")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_whatever_is_damaged_is_mended_and_nothing_else_is_touched(
    root, bundle, place, seed, count
):
    generator = random.Random(seed)
    mine, receipt = own(place), read_receipt(str(place))
    before = {path: thing for path, thing in tree_of(place).items() if "__pycache__" not in path}
    paths = [path for path in sorted(before) if not path.startswith((".kitbag", OWN, "bin/tool"))]
    paths = [path for path in paths if path not in ("bin", "lib", "lib/python3.13")]
    paths.remove("lib/python3.13/site-packages")
    # Without it nothing may be left that tells which build this is.
    paths.remove("BUILD")
    for path in generator.sample(paths, count):
        hurt(place / path, generator)
    for name in os.listdir(place / ".kitbag"):
        if generator.random() < 0.2:
            # A receipt with one letter changed may well be that of another release.
            ways = DAMAGE[1:3] if name == "receipt.json" else DAMAGE[:3]
            hurt(place / ".kitbag" / name, generator, ways)
    (done,) = repair(root, bundle, str(KEY))
    assert done.error is None
    after = {path: thing for path, thing in tree_of(place).items() if "__pycache__" not in path}
    del before[".kitbag/receipt.json"], after[".kitbag/receipt.json"]
    assert after == before
    new = read_receipt(str(place))
    assert (new.changed, new.added, new.home) == (receipt.changed, receipt.added, receipt.home)
    assert own(place) == mine
    assert sound(root)


def hurt(path: Path, generator: random.Random, ways: tuple[str, ...] = DAMAGE) -> None:
    how = generator.choice(ways)
    if not os.path.lexists(path):
        return
    if how == "mode" and not path.is_symlink():
        path.chmod(0 if path.is_dir() else path.stat().st_mode ^ 0o111)
        return
    if how in ("flip", "cut") and path.is_file() and not path.is_symlink():
        data = bytearray(path.read_bytes())
        if data and how == "flip":
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data[: len(data) // 2] if how == "cut" else data)
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    if how == "link":
        path.symlink_to(generator.choice(["nothing", "..", "/etc"]))
    elif how == "file":
        path.write_bytes(b"something else")
    elif how == "folder":
        path.mkdir()


def test_what_is_a_copy_in_builds_of_another_kind(tmp_path):
    key = BuildKey.parse("cpython-3.13.5+freethreaded-windows-x86_64-none")
    members = [Member("python3.13t.exe", b"MZ", 0o755), Member("Lib/os.py", b"# os\n")]
    archive = write_archive(below("python", members), tmp_path / "x.tar.gz", ".tar.gz")
    bundle = bundle_archives(tmp_path / "z.kitbag", [(archive, key)])
    root = install_tiny(bundle, tmp_path / "root", str(key), foreign=True)
    before = tree_of(root.install_path(key))
    for path in ("python.exe", "python3.13t.exe", "Lib/EXTERNALLY-MANAGED"):
        Path(root.install_path(key), path).unlink()
    assert [item.action for item in repair(root, bundle)] == ["repaired"]
    assert tree_of(root.install_path(key)) == before
    assert [item.action for item in repair(root, bundle)] == ["sound"]
