from __future__ import annotations

import os

import pytest

from kitbag_packer.cache import Cache
from kitbag_packer.cache.uvcache import take
from support.caches import Messages, cache_output, digest, public_folder

DATA = bytes(range(250)) * 200
SHA256 = digest(DATA)
FILENAME = "cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
UVS = "cpython-3.13.0-20241016-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    folder = tmp_path / "uv"
    folder.mkdir()
    monkeypatch.setenv("UV_PYTHON_CACHE_DIR", str(folder))
    path = folder / f"{SHA256[:9]}-{UVS}"
    path.write_bytes(DATA)
    return path


def test_what_uv_has_is_copied(tmp_path, theirs):
    said = Messages()
    cache = Cache(tmp_path / "cache", said)
    entry = take(cache, SHA256, FILENAME)
    assert entry is not None
    assert entry == cache.find(SHA256)
    assert entry.filename == FILENAME
    assert theirs.read_bytes() == entry.path.read_bytes() == DATA
    assert os.listdir(theirs.parent) == [theirs.name]
    assert not said.warnings


@pytest.mark.parametrize(
    "data",
    [b"", DATA[:-1], DATA + b"x", bytes(len(DATA))],
    ids=["empty", "truncated", "longer", "other"],
)
def test_a_wrong_one_is_told_and_left(tmp_path, theirs, data):
    theirs.write_bytes(data)
    said = Messages()
    cache = Cache(tmp_path / "cache", said)
    assert take(cache, SHA256, FILENAME) is None
    assert cache.find(SHA256) is None
    assert theirs.read_bytes() == data
    assert len(said.warnings) == 1
    assert str(theirs) in said.warnings[0]


@pytest.mark.parametrize(
    ("sha256", "filename"),
    [("", FILENAME), (SHA256, "../x"), (SHA256, "a\0b"), ("0" * 64, "x")],
    ids=["no digest", "a path", "a NUL", "another"],
)
def test_what_it_can_not_have_is_not_looked_for(tmp_path, theirs, sha256, filename):
    said = Messages()
    assert take(Cache(tmp_path / "cache", said), sha256, filename) is None
    assert not said.warnings


def test_without_the_variable_nothing_is_taken(tmp_path, theirs):
    assert take(Cache(tmp_path / "cache", Messages()), SHA256, FILENAME, {}) is None


def test_one_that_may_not_be_read_is_told(tmp_path):
    with public_folder() as folder:
        theirs = folder.parent / f"{SHA256[:9]}-{UVS}"
        theirs.write_bytes(DATA)
        theirs.chmod(0)
        script = (
            "from kitbag_packer.cache.uvcache import take\n"
            f"there = {{'UV_PYTHON_CACHE_DIR': {str(folder.parent)!r}}}\n"
            f"print(take(cache, {SHA256!r}, {FILENAME!r}, there), 'read' in said.warnings[0])"
        )
        assert cache_output(script, folder, user=1000) == ["None True"]
