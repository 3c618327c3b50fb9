"""RECORD, read and written."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments.records import (
    Line,
    check_line,
    encoded,
    parse_record,
    render_record,
)

DATA = b"data"
SHA256 = hashlib.sha256(DATA).digest()
paths = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(st.dictionaries(paths, st.binary(max_size=20)))
def test_what_is_written_is_read(files):
    lines = [(path, hashlib.sha256(data).digest(), len(data)) for path, data in files.items()]
    text = render_record(lines, "x.dist-info/RECORD")
    found = parse_record(text, "x.whl")
    own = found.pop("x.dist-info/RECORD", None)
    assert own is not None
    assert {path: (line.digest, line.size) for path, line in found.items()} == {
        path: (encoded(digest), size) for path, digest, size in lines
    }
    rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


@pytest.mark.parametrize(
    "text",
    [b"a.py,sha256=x\n", b"a.py,,1,\n", b"a.py,,x\n", b'"a.py,,\n', b"\xff,,\n", b"a,,1\na,,2\n"],
)
def test_what_is_no_record_is_refused(text):
    with pytest.raises(ArchiveError, match=r"x\.whl: its RECORD can't be read"):
        parse_record(text, "x.whl")


def test_empty_lines_and_repeated_ones_do_no_harm():
    assert set(parse_record(b"a,,1\r\n\r\na,,1\r\n", "x.whl")) == {"a"}


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512", "blake2b"])
def test_other_hashes_are_checked_too(name):
    digest = encoded(hashlib.new(name, DATA).digest())
    check_line(Line("a", name, digest, 4), "x.whl", 4, SHA256, lambda: DATA)
    with pytest.raises(ArchiveError, match="a is not the file that its RECORD speaks of"):
        check_line(Line("a", name, digest[1:], 4), "x.whl", 4, SHA256, lambda: DATA)


def test_weak_and_unknown_hashes_and_wrong_sizes_are_refused():
    for name in ("md5", "sha1"):
        digest = encoded(hashlib.new(name, DATA).digest())
        with pytest.raises(ArchiveError, match="not the file"):
            check_line(Line("a", name, digest, 4), "x.whl", 4, SHA256, lambda: DATA)
    with pytest.raises(ArchiveError, match="'crc32' for a, which is not known"):
        check_line(Line("a", "crc32", "x", 4), "x.whl", 4, SHA256, lambda: DATA)
    with pytest.raises(ArchiveError, match="not the file"):
        check_line(Line("a", "sha256", encoded(SHA256), 5), "x.whl", 4, SHA256, lambda: DATA)
    check_line(Line("a", "sha256", encoded(SHA256), None), "x.whl", 4, SHA256, lambda: DATA)
