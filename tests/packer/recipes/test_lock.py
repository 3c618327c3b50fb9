import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import __version__
from kitbag_bundles.errors import UsageError
from kitbag_packer.errors import StaleLock
from kitbag_packer.pyz import build_installer
from kitbag_packer.recipes.lock import (
    CatalogPin,
    Lock,
    choices_of,
    installer_digest,
    lock_path,
    read_lock,
    relocked,
    render,
)
from support.recipes import CATALOG_DIGEST, LINUX, WINDOWS, a_pin, an_offer

CATALOG = CatalogPin(CATALOG_DIGEST, "embedded", "2026-10-25")
UNUSED = CatalogPin("d" * 64, "other", "")
LOCK = Lock.of([a_pin("3.13.5"), a_pin("3.12.9", WINDOWS, "3.12", "<3.13")], [UNUSED, CATALOG])

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]))
pins = st.builds(
    a_pin,
    st.sampled_from(["3.13.5", "3.12.9", "3.14.0rc1"]),
    st.sampled_from([LINUX, WINDOWS]),
    st.sampled_from(["3.13", ">=3"]),
    url=st.just("") | words.map(lambda word: f"https://h.example/{quote(word)}"),
    asked_flavor=words,
    flavor=words,
    release=words,
    size=st.integers(0, 2**63 - 1),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    unverified=st.booleans(),
)


def read(folder: Path, text: str) -> Lock:
    (folder / "kitbag.lock").write_text(text, "utf-8")
    return read_lock(folder / "kitbag.lock")


@given(st.lists(pins, max_size=3))
def test_what_is_written_reads_back(tmp_path_factory, made):
    lock = Lock.of(made, [CATALOG])
    assert read(tmp_path_factory.getbasetemp(), render(lock)) == lock


def test_the_text_does_not_depend_on_any_order():
    other = Lock.of(reversed(LOCK.pins), [CATALOG, UNUSED, CATALOG])
    assert render(other) == render(LOCK)
    assert [str(pin.key) for pin in LOCK.pins] == [
        f"cpython-3.12.9-{WINDOWS}",
        f"cpython-3.13.5-{LINUX}",
    ]


def test_the_text():
    text = render(LOCK)
    assert text.startswith("# Made by kitbag lock; do not edit.")
    table = tomllib.loads(text)
    assert list(table) == ["version", "kitbag", "installer-sha256", "catalog", "build"]
    assert table["kitbag"] == __version__
    assert table["installer-sha256"] == hashlib.sha256(build_installer()).hexdigest()
    assert table["catalog"] == [
        {"name": "embedded", "sha256": CATALOG_DIGEST, "date": "2026-10-25"}
    ]
    offer = an_offer("3.13.5")
    assert table["build"][1] == {
        "key": f"cpython-3.13.5-{LINUX}",
        "requests": ["3.13"],
        "target": LINUX,
        "asked-flavor": "",
        "url": offer.canonical,
        "filename": offer.filename,
        "flavor": "install_only_stripped",
        "release": "20260101",
        "size": 1000,
        "sha256": offer.sha256,
        "catalog": CATALOG_DIGEST,
    }


def test_its_choices_need_no_catalog():
    windows, linux = choices_of(LOCK)
    assert (windows.request, str(windows.target)) == ("3.12", WINDOWS)
    assert linux.offer == replace(an_offer("3.13.5"), catalog="embedded")
    local = Lock.of([a_pin("3.13.5", url="")], [])
    assert choices_of(local)[0].offer.url == choices_of(local)[0].offer.canonical == ""


def test_a_lock_for_another_kitbag_keeps_its_archives():
    old = replace(LOCK, kitbag="0.0.1", installer_sha256="0" * 64)
    assert relocked(old) == LOCK
    assert LOCK.installer_sha256 == installer_digest()


def test_where_it_is():
    assert lock_path(Path("x/kitbag.toml")) == Path("x/kitbag.lock")
    assert lock_path(Path("edge.toml")) == Path("edge.lock")
    assert lock_path(Path("recipe")) == Path("recipe.lock")
    with pytest.raises(UsageError, match=r"edge\.lock: a lock, not a recipe"):
        lock_path(Path("edge.lock"))
    with pytest.raises(UsageError, match="is no recipe"):
        lock_path(Path())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 2", "version 2, and this kitbag reads 1; make it again"),
        ("version = 1", "version = true", "'version' is missing or damaged"),
        ("version = 1", "version", "not TOML"),
        ('kitbag = "', 'kitbog = "', "'kitbag' is missing or damaged"),
        ("installer-sha256", "installer", "'installer-sha256' is missing"),
        ('key = "cpython', 'key = "python', r"\[\[build\]\] 1: 'key' is missing or damaged"),
        ('    "3.13",\n', "", r"\[\[build\]\] 2: 'requests' is missing"),
        ('target = "linux-x86_64-gnu"', 'target = "linux"', "2: 'target' is missing or damaged"),
        ('filename = "cpy', 'filename = "../cpy', "1: 'filename' is missing or damaged"),
        ('filename = "cpy', 'filename = "\\u0000cpy', "1: 'filename' is missing or damaged"),
        ('url = "https://', 'url = "https://me:secret@', "1: 'url' is missing or damaged"),
        ('url = "https://', 'url = "file:///', "1: 'url' is missing or damaged"),
        ("size = 1000", "size = -1", "1: 'size' is missing"),
        (f'catalog = "{CATALOG_DIGEST}"', 'catalog = "c"', "1: 'catalog' is missing or damaged"),
        ("[[catalog]]", "[catalog]", "'catalog' is missing or damaged"),
        ('release = "', 'release = "\\u001b', "1: 'release' is missing or damaged"),
    ],
)
def test_a_damaged_lock(tmp_path, old, new, message):
    text = render(LOCK)
    assert old in text
    with pytest.raises(StaleLock, match=message) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'kitbag.lock'}: ")
    assert "secret" not in str(caught.value)


def test_a_lock_that_is_not_there(tmp_path):
    with pytest.raises(StaleLock, match=r"kitbag\.lock: there is no lock; make it with kitbag l"):
        read_lock(tmp_path / "kitbag.lock")
