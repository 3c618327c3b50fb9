"""Tar archives written block by block, so that they can say anything at all.

Header layout and record types are those of POSIX.1-2001 (ustar, pax) and of GNU tar's manual.
"""

from __future__ import annotations

import struct

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, HARD_LINK, SYMLINK, CHARACTER = b"0", b"1", b"2", b"3"
BLOCK_DEVICE, FOLDER, FIFO = b"4", b"5", b"6"
GNU_LONG_NAME, GNU_LONG_LINK, GNU_SPARSE, PAX, PAX_GLOBAL = b"L", b"K", b"S", b"x", b"g"


def octal(value: int, width: int) -> bytes:
    """Return a number field: zero-padded octal and a NUL."""
    return f"{value:0{width - 1}o}".encode() + b"\0"


def base256(value: int, width: int) -> bytes:
    """Return GNU's binary number field; a negative value starts with 0xff."""
    data = value.to_bytes(width, "big", signed=True)
    return bytes([data[0] | 0x80]) + data[1:]


def padded(data: bytes) -> bytes:
    """Return `data` filled up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def header(
    name: bytes,
    *,
    kind: bytes = FILE,
    size: int = 0,
    mode: int = 0o664,
    link: bytes = b"",
    prefix: bytes = b"",
    device: tuple[int, int] = (0, 0),
    size_field: bytes | None = None,
    magic: bytes = b"ustar\x0000",
    checksum: int | None = None,
) -> bytes:
    """Return one header block. `size_field` and `checksum` replace what would be right."""
    fields = struct.pack(
        "100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x",
        name,
        octal(mode, 8),
        octal(0, 8),
        octal(0, 8),
        octal(size, 12) if size_field is None else size_field,
        octal(1704067200, 12),
        b" " * 8,
        kind,
        link,
        magic,
        b"root",
        b"root",
        octal(device[0], 8),
        octal(device[1], 8),
        prefix,
    )
    total = sum(fields) if checksum is None else checksum
    return fields[:148] + f"{total:06o}".encode() + b"\0 " + fields[156:]


def member(
    name: bytes,
    data: bytes = b"",
    *,
    kind: bytes = FILE,
    mode: int = 0o664,
    link: bytes = b"",
    prefix: bytes = b"",
    device: tuple[int, int] = (0, 0),
    size_field: bytes | None = None,
) -> bytes:
    """Return a header and its data."""
    head = header(
        name,
        kind=kind,
        size=len(data),
        mode=mode,
        link=link,
        prefix=prefix,
        device=device,
        size_field=size_field,
    )
    return head + padded(data)


def pax_record(key: bytes, value: bytes) -> bytes:
    """Return one pax record; the length in front counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def pax(records: dict[bytes, bytes] | bytes, *, kind: bytes = PAX) -> bytes:
    """Return a pax header for the next member, or with `kind=PAX_GLOBAL` for all that follow."""
    if isinstance(records, dict):
        records = b"".join(pax_record(key, value) for key, value in records.items())
    return member(b"PaxHeaders/x", records, kind=kind)


def gnu_long(name: bytes, kind: bytes = GNU_LONG_NAME) -> bytes:
    """Return GNU's record that carries a long name for the next member."""
    return member(b"././@LongLink", name + b"\0", kind=kind)
