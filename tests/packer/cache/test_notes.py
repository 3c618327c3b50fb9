from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.cache.notes import Notes
from support.caches import digest

ABOUT = digest(b"about")


@pytest.fixture
def notes(tmp_path) -> Notes:
    return Notes(tmp_path / "cache")


def stored(tmp_path):
    (path,) = (tmp_path / "cache" / "inspections").iterdir()
    return path


@given(st.binary(max_size=200))
def test_a_body_comes_back(tmp_path_factory, body):
    notes = Notes(tmp_path_factory.mktemp("cache"))
    notes.remember(ABOUT, ("x", 1), body)
    assert notes.recall(ABOUT, ("x", 1), bytes) == body
    assert notes.recall(ABOUT, ("x", 2), bytes) is None
    assert notes.recall(digest(b"other"), ("x", 1), bytes) is None


def test_a_note_goes_with_what_it_is_about(tmp_path, notes):
    notes.remember(ABOUT, (), b"body")
    assert stored(tmp_path).name.startswith(f"{ABOUT}-")


def test_every_damaged_byte_is_noticed_and_removed(tmp_path, notes):
    for position in range(69):
        notes.remember(ABOUT, (), b"body")
        path = stored(tmp_path)
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        path.write_bytes(data)
        assert notes.recall(ABOUT, (), bytes) is None, position
        assert not path.exists(), position


def test_what_can_not_be_parsed_is_removed(tmp_path, notes):
    notes.remember(ABOUT, (), b"no number")
    assert notes.recall(ABOUT, (), int) is None
    assert not list((tmp_path / "cache" / "inspections").iterdir())


def test_a_good_one_is_marked_as_used(tmp_path, notes):
    notes.remember(ABOUT, (), b"1")
    path = stored(tmp_path)
    os.utime(path, (1, 1))
    assert notes.recall(ABOUT, (), int) == 1
    assert path.stat().st_mtime > 1


@pytest.mark.parametrize("kind", ["fifo", "folder", "link to nothing"])
def test_what_is_no_file_is_no_note(tmp_path, notes, kind):
    notes.remember(ABOUT, (), b"1")
    path = stored(tmp_path)
    path.unlink()
    {"fifo": os.mkfifo, "folder": os.mkdir}.get(kind, lambda at: at.symlink_to("nothing"))(path)
    assert notes.recall(ABOUT, (), int) is None


def test_others_may_not_write_notes(tmp_path, notes):
    notes.remember(ABOUT, (), b"1")
    stored(tmp_path).chmod(0o666)
    assert notes.recall(ABOUT, (), int) is None


def test_nothing_is_known_by_what_is_no_digest(tmp_path, notes):
    assert notes.recall("../../etc/passwd", (), bytes) is None


def test_a_cache_that_can_not_be_written_is_no_failure(tmp_path):
    (tmp_path / "cache").write_text("a file")
    Notes(tmp_path / "cache").remember(ABOUT, (), b"1")
    assert Notes(tmp_path / "cache").recall(ABOUT, (), int) is None
