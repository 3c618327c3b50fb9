"""Archives that were changed behind the cache's back are found out, thrown away and replaced."""

from __future__ import annotations

import os
import shutil

import pytest

from kitbag_packer.cache import Cache
from support.caches import Messages, digest, keep

DATA = bytes(range(250)) * 280
SHA256 = digest(DATA)


@pytest.fixture
def said() -> Messages:
    return Messages()


@pytest.fixture
def cache(tmp_path, said) -> Cache:
    return Cache(tmp_path / "cache", said)


def flip(path):
    with open(path, "r+b") as file:
        file.seek(12345)
        byte = file.read(1)[0]
        file.seek(12345)
        file.write(bytes([byte ^ 1]))


def flip_and_set_back(path):
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path):
    os.truncate(path, 1000)


def replace(path):
    other = path.with_name("other")
    other.write_bytes(os.urandom(len(DATA)))
    shutil.copystat(path, other)
    other.rename(path)


def link(path):
    other = path.parent.parent / "elsewhere"
    other.write_bytes(b"x")
    path.unlink()
    path.symlink_to(other)


def directory(path):
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def fifo(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "harm",
    [flip, flip_and_set_back, truncate, replace, link, directory, fifo],
    ids=lambda f: f.__name__,
)
def test_what_was_harmed_is_thrown_away_told_and_replaced(cache, said, harm):
    path = keep(cache, DATA).path
    harm(path)
    assert cache.find(SHA256) is None
    assert len(said.warnings) == 1
    assert "damaged" in said.warnings[0]
    assert "python.tar.gz" in said.warnings[0]
    assert not os.path.lexists(path)
    assert keep(cache, DATA).path.read_bytes() == DATA
    assert cache.find(SHA256) is not None
    assert len(said.warnings) == 1


def test_what_was_only_touched_is_read_again_and_stays(cache, said):
    path = keep(cache, DATA).path
    os.utime(path, (1, 1))
    note = path.with_name(f"{SHA256}.json")
    before = note.read_bytes()
    assert cache.find(SHA256) is not None
    assert note.read_bytes() != before
    assert not said.warnings


def test_bytes_are_read_once_and_then_only_on_request(cache, monkeypatch):
    keep(cache, DATA)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert cache.find(SHA256) is not None
    with pytest.raises(TypeError):
        cache.check(SHA256)


@pytest.mark.parametrize("note", [None, b"", b"{}", b'{"filename": "../evil"}'])
def test_a_lost_or_damaged_note_is_made_again(cache, said, note):
    path = keep(cache, DATA).path
    place = path.with_name(f"{SHA256}.json")
    if note is None:
        place.unlink()
    else:
        place.write_bytes(note)
    found = cache.find(SHA256)
    assert found is not None
    assert found.filename == SHA256
    assert b"inode" in place.read_bytes()
    assert keep(cache, DATA, "real.tar.gz").filename == "real.tar.gz"
    again = cache.find(SHA256)
    assert again is not None
    assert again.filename == "real.tar.gz"
    assert not said.warnings


def test_the_note_tells_when_it_was_used(cache):
    path = keep(cache, DATA).path
    note = path.with_name(f"{SHA256}.json")
    os.utime(note, (1, 1))
    stamp = path.stat().st_ctime_ns
    cache.find(SHA256)
    assert note.stat().st_mtime > 1
    assert path.stat().st_ctime_ns == stamp


@pytest.mark.parametrize("sha256", ["", "x", "../" + "a" * 61, "A" * 64, "0" * 64])
def test_what_is_no_digest_or_not_there_is_not_found(cache, sha256):
    assert cache.find(sha256) is None
    assert not cache.folder.exists()
