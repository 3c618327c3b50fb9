from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.cache.records import Record, Stamp, is_filename, read_record, write_record

DIGEST = "ab" * 32
STAMP = Stamp(1, 2, 3, 4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_note_comes_back(tmp_path):
    record = Record("cpython-3.13.5+20260101.tar.gz", "https://example.org/a%2Bb", STAMP)
    write_record(tmp_path / "note", record)
    assert read_record(tmp_path / "note", DIGEST) == record


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a\\b", "..", "", "a\nb", "x" * 256, 7])
def test_a_name_that_is_more_than_a_name_is_not_believed(tmp_path, name):
    (tmp_path / "note").write_text(json.dumps({"filename": name}))
    assert read_record(tmp_path / "note", DIGEST) == Record(DIGEST)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 60000, b'{"checked": 1}'])
def test_a_damaged_note_says_nothing(tmp_path, data):
    (tmp_path / "note").write_bytes(data)
    assert read_record(tmp_path / "note", DIGEST) == Record(DIGEST)


def test_no_note_and_no_file_say_nothing(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("none", "fifo", "."):
        assert read_record(tmp_path / name, DIGEST) == Record(DIGEST)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "filename": JSON,
            "url": JSON,
            "checked": JSON
            | st.dictionaries(st.sampled_from(["size", "mtime-ns", "ctime-ns", "inode"]), JSON),
        },
    )
)
def test_whatever_it_holds_the_values_are_sound(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "note"
    path.write_text(json.dumps(table))
    record = read_record(path, DIGEST)
    assert is_filename(record.filename)
    assert all(" " < each < "\x7f" for each in record.url)
    if record.checked:
        assert all(type(each) is int for each in vars(record.checked).values())


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_stamp_that_others_may_have_written_does_not_count(tmp_path, mode):
    write_record(tmp_path / "note", Record("a", "", STAMP))
    (tmp_path / "note").chmod(mode)
    assert read_record(tmp_path / "note", DIGEST) == Record("a")


def test_nobody_else_can_write_a_note(tmp_path):
    before = os.umask(0)
    try:
        write_record(tmp_path / "note", Record("a"))
    finally:
        os.umask(before)
    assert not (tmp_path / "note").stat().st_mode & 0o022
