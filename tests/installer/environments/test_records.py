"""RECORD, read and written."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments.records import (
    Line,
    Seen,
    check_record,
    encoded,
    parse_record,
    render_record,
)

DATA = b"data"
SHA256 = hashlib.sha256(DATA).digest()
paths = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda path: not path.endswith("/")
)


@given(st.dictionaries(paths, st.binary(max_size=20)))
def test_what_is_written_is_read(files):
    lines = [(path, hashlib.sha256(data).digest(), len(data)) for path, data in files.items()]
    text = render_record(lines, "x.dist-info/RECORD")
    found = parse_record(text, "x.whl")
    own = found.pop("x.dist-info/RECORD", None)
    assert own is not None
    assert {path: (encoded(line.digest), line.size) for path, line in found.items()} == {
        path: (encoded(digest), size) for path, digest, size in lines
    }
    rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


INFO = "x.dist-info"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(ArchiveError):
        assert all(isinstance(path, str) for path in parse_record(data, "x.whl"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a.py,sha256=x\n", "a line of 2 fields, 'a.py'"),
        (b"a.py,,1,\n", "a line of 4 fields"),
        (b'"a.py,,\n', "can't be read"),
        (b"\xff,,\n", "can't be read"),
        (b"a.py,,\n", "no hash for 'a.py'"),
        (b"a/x.dist-info/RECORD,,\n", "no hash for"),
        (b"a.py,sha256=abc,\n", "makes no sense"),
        (b"a.py,sha256=" + b"A" * 42 + b"B,\n", "makes no sense"),
        (b"a.py,sha256=" + b"A" * 42 + b"+,\n", "makes no sense"),
        ("a.py,sha256=üü,1\n".encode(), "makes no sense"),
        (f"a.py,sha256={encoded(SHA256)},-1\n".encode(), "makes no sense"),
        (b"a.py,md5=x,\n", "a hash by 'md5' for 'a.py', weak"),
        (b"a.py,sha1=x,\n", "'sha1'"),
        (b"a.py,shake_128=x,\n", "'shake_128'"),
        (b"a.py,crc32=x,\n", "'crc32'"),
        (
            b"a,sha256=" + b"A" * 43 + b",1\na,sha256=" + b"A" * 43 + b",2\n",
            "says two things of 'a'",
        ),
    ],
)
def test_what_is_no_record_is_refused(text, said):
    with pytest.raises(ArchiveError, match=rf"x\.whl: its RECORD .*{said}"):
        parse_record(text, "x.whl")


def test_line_ends_blank_and_repeated_lines_padding_and_directories_do_no_harm():
    line = f"a.py,sha256={encoded(SHA256)}=,4\r\n"
    text = f"\r\n{line}\r\n{line}pkg/,,\r\n{INFO}/RECORD,,\r\n"
    found = parse_record(text.encode(), "x.whl")
    assert found == {"a.py": Line("sha256", SHA256, 4), f"{INFO}/RECORD": Line("", b"", None)}


def test_a_hash_in_hex_is_one():
    for text in (SHA256.hex(), SHA256.hex().upper()):
        found = parse_record(f"a.py,sha256={text},4\n".encode(), "x.whl")
        assert found == {"a.py": Line("sha256", SHA256, 4)}


def seen(data: bytes = DATA) -> Seen:
    return Seen(
        len(data), hashlib.sha256(data).digest(), lambda name: hashlib.new(name, data).digest()
    )


@pytest.mark.parametrize("name", ["sha256", "SHA384", "sha512", "blake2b", "sha3-256"])
def test_other_hashes_are_checked_too(name):
    digest = encoded(hashlib.new(name.lower().replace("-", "_"), DATA).digest())
    record = f"a,{name}={digest},\n".encode()
    check_record(record, INFO, {"a": seen()}, "x.whl")
    with pytest.raises(ArchiveError, match="its 'a' is not the file that its RECORD speaks of"):
        check_record(record, INFO, {"a": seen(b"tada")}, "x.whl")


def test_files_and_lines_go_together():
    line = f"a,sha256={encoded(SHA256)},"
    own = {f"{INFO}/{name}": seen() for name in ("RECORD", "RECORD.jws", "RECORD.p7s")}
    for size in ("", "4"):
        check_record(f"{line}{size}\n".encode(), INFO, {"a": seen(), **own}, "x.whl")
    with pytest.raises(ArchiveError, match="its 'a' is not the file"):
        check_record(f"{line}5\n".encode(), INFO, {"a": seen()}, "x.whl")
    with pytest.raises(ArchiveError, match="has no 'a', of which its RECORD speaks"):
        check_record(f"{line}4\n".encode(), INFO, own, "x.whl")
    with pytest.raises(ArchiveError, match="has 'a', of which its RECORD does not speak"):
        check_record(b"", INFO, {"a": seen()}, "x.whl")
