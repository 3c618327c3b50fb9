"""The ZIP records of a bundle, as bytes: one description, shared by the writer and the reader.

A record of a bundle has exactly one spelling. The writer writes what these functions return; the
reader takes names, sizes and digests out of a file, calls the same functions, and refuses the file
unless it holds the same bytes. Section numbers are those of PKWARE's APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

ALIGNMENT = 4096
"""Where the data of aligned members begins, and of what the shell header is a multiple."""
HEADER_START = b"#!/bin/sh\n"
MAX_MEMBERS = 0xFFFE
"""So many that their number never needs a ZIP64 record."""
MAX_32 = 0xFFFFFFFF
"""The 32-bit value that says "see the ZIP64 field"; smaller values are themselves (4.4.1.4)."""

LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # 4.3.7
CENTRAL_HEADER = struct.Struct("<4s6H3L5H2L")  # 4.3.12
ZIP64_END = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
ZIP64_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
END = struct.Struct("<4s4H2LH")  # 4.3.16

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
ZIP64_END_SIGNATURE = b"PK\x06\x06"
ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"
END_SIGNATURE = b"PK\x05\x06"

COMMENT_START = b"kitbag1 sha256 "
COMMENT_SIZE = len(COMMENT_START) + 64
COMMENT = re.compile(rb"kitbag1 sha256 ([0-9a-f]{64})")
ANY_COMMENT = re.compile(rb"kitbag([0-9]+) ")

_ZIP64_FIELD = 0x0001  # 4.5.3
_ALIGNMENT_FIELD = 0xA11E  # 4.6.2; Apache Commons Compress, "Data Stream Alignment"
_VERSION = 20  # 4.4.3.2: folders and sub-folders
_VERSION_ZIP64 = 45
_MADE_BY_UNIX = 3 << 8  # 4.4.2.2
_FLAGS = 0  # 4.4.4: no data descriptor; names are ASCII, so no UTF-8 bit
_STORED = 0  # 4.4.5
_DOS_TIME = 0
_DOS_DATE = 1 << 5 | 1  # 1980-01-01, the first day that the format knows


class Record(NamedTuple):
    """One member, as the ZIP structure sees it."""

    name: str
    size: int
    crc32: int
    offset: int
    """Where the local header begins, counted from the first byte of the file."""
    aligned: bool
    """Whether the data begins on a multiple of :data:`ALIGNMENT`."""
    executable: bool


def local_header(record: Record) -> bytes:
    """The local header with name and extra fields; the member's data follows at once."""
    name = record.name.encode("ascii")
    size = record.size
    extra = b""
    if size >= MAX_32:
        # In a local header both sizes must be there (4.5.3).
        extra = struct.pack("<2H2Q", _ZIP64_FIELD, 16, size, size)
        size = MAX_32
    if record.aligned:
        before = record.offset + LOCAL_HEADER.size + len(name) + len(extra) + 6
        padding = -before % ALIGNMENT
        extra += struct.pack("<3H", _ALIGNMENT_FIELD, 2 + padding, ALIGNMENT) + bytes(padding)
    fixed = LOCAL_HEADER.pack(
        LOCAL_SIGNATURE,
        _version(record),
        _FLAGS,
        _STORED,
        _DOS_TIME,
        _DOS_DATE,
        record.crc32,
        size,
        size,
        len(name),
        len(extra),
    )
    return fixed + name + extra


def data_offset(record: Record) -> int:
    """Where the member's data begins, counted from the first byte of the file."""
    return record.offset + len(local_header(record))


def central_header(record: Record) -> bytes:
    """The member's entry in the central directory."""
    name = record.name.encode("ascii")
    size, offset = record.size, record.offset
    large = b""
    if size >= MAX_32:
        large = struct.pack("<2Q", size, size)
        size = MAX_32
    if offset >= MAX_32:
        large += struct.pack("<Q", offset)
        offset = MAX_32
    extra = struct.pack("<2H", _ZIP64_FIELD, len(large)) + large if large else b""
    fixed = CENTRAL_HEADER.pack(
        CENTRAL_SIGNATURE,
        _MADE_BY_UNIX | _version(record),
        _version(record),
        _FLAGS,
        _STORED,
        _DOS_TIME,
        _DOS_DATE,
        record.crc32,
        size,
        size,
        len(name),
        len(extra),
        0,  # length of the comment
        0,  # disk
        0,  # internal attributes
        (0o100755 if record.executable else 0o100644) << 16,
        offset,
    )
    return fixed + name + extra


def end_records(count: int, directory_offset: int, directory_size: int, comment: int) -> bytes:
    """All that follows the central directory, up to a comment of ``comment`` bytes.

    The ZIP64 records are there only when the directory's offset does not fit into 32 bits; numbers
    and sizes of directories that kitbag writes always do.
    """
    zip64 = b""
    offset = directory_offset
    if offset >= MAX_32:
        position = directory_offset + directory_size
        zip64 = ZIP64_END.pack(
            ZIP64_END_SIGNATURE,
            ZIP64_END.size - 12,
            _MADE_BY_UNIX | _VERSION_ZIP64,
            _VERSION_ZIP64,
            0,
            0,
            count,
            count,
            directory_size,
            directory_offset,
        ) + ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, 0, position, 1)
        offset = MAX_32
    return zip64 + END.pack(END_SIGNATURE, 0, 0, count, count, directory_size, offset, comment)


def _version(record: Record) -> int:
    large = record.size >= MAX_32 or record.offset >= MAX_32
    return _VERSION_ZIP64 if large else _VERSION
