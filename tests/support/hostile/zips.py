"""Hostile cases: zip archives."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

from support.members import Member, zip_bytes

from .base import EITHER, LIBRARY, REFUSE, Cases, base_members

if TYPE_CHECKING:
    from collections.abc import Callable


def _zip_entry(info: zipfile.ZipInfo, data: bytes) -> Callable[[], list[bytes]]:
    def chunks() -> list[bytes]:
        buffer = io.BytesIO(zip_bytes(base_members()))
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(info, data)
        return [buffer.getvalue()]

    return chunks


def _info(name: str, mode: int = 0o100664) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _patched(
    find: bytes, offset: int, new: bytes, *, last: bool = False
) -> Callable[[], list[bytes]]:
    """Return the base zip with `new` written `offset` bytes behind the first or last `find`."""

    def chunks() -> list[bytes]:
        data = bytearray(zip_bytes(base_members()))
        place = (data.rindex(find) if last else data.index(find)) + offset
        data[place : place + len(new)] = new
        return [bytes(data)]

    return chunks


def zips(cases: Cases) -> None:
    """Add zip archives."""

    library = LIBRARY.decode()

    def entry(
        name: str, verdict: str, why: str, path: str, mode: int = 0o100664, data: bytes = b"text\n"
    ) -> None:
        cases.add(f"zip-{name}", verdict, why, _zip_entry(_info(path, mode), data), suffix=".zip")

    def bytes_case(
        name: str, why: str, chunks: Callable[[], list[bytes]], verdict: str = REFUSE
    ) -> None:
        cases.add(f"zip-{name}", verdict, why, chunks, suffix=".zip")

    entry("parent-member", REFUSE, "a name leaves the tree", "python/../../escape")
    entry("absolute", REFUSE, "an absolute name", "/tmp/escape")
    entry("backslash-parent", EITHER, "a name leaves the tree on Windows", "python\\..\\..\\escape")
    entry("drive", REFUSE, "a drive letter", "C:/escape")
    entry(
        "symlink-absolute", REFUSE, "an absolute link", library + "link", 0o120777, b"/etc/passwd"
    )
    entry(
        "symlink-outside",
        REFUSE,
        "a link that leaves",
        library + "link",
        0o120777,
        b"../../../../escape",
    )
    entry(
        "symlink-huge",
        REFUSE,
        "a link text of a megabyte",
        library + "link",
        0o120777,
        b"x" * (1 << 20),
    )
    entry("fifo", REFUSE, "a named pipe", library + "pipe", 0o010644, b"")
    entry("setuid", EITHER, "a setuid file", library + "special", 0o104775)
    central, local = b"PK\x01\x02", b"PK\x03\x04"
    bytes_case(
        "size-lies",
        "an entry unpacks to more than announced",
        _patched(central, 24, struct.pack("<I", 1)),
    )
    bytes_case("crc-lies", "an entry's CRC is wrong", _patched(central, 16, b"\xff\xff\xff\xff"))
    bytes_case(
        "offset-lies",
        "an entry points outside the file",
        _patched(central, 42, struct.pack("<I", 1 << 30)),
    )
    bytes_case(
        "offset-inside",
        "an entry points into another one",
        _patched(central, 42, struct.pack("<I", 7), last=True),
    )
    bytes_case("encrypted", "an entry says that it is encrypted", _patched(central, 8, b"\x01\x00"))
    bytes_case("unknown-method", "an entry's method is unknown", _patched(central, 10, b"\x63\x00"))
    bytes_case("names-disagree", "local and central name differ", _patched(local, 30, b"PYTHON"))
    bytes_case("truncated", "half a zip", lambda: [zip_bytes(base_members())[:4000]])
    bytes_case(
        "no-directory", "a zip without its directory", lambda: [zip_bytes(base_members())[:-22]]
    )
    bytes_case(
        "prepended",
        "bytes in front of the zip",
        lambda: [b"#!/bin/sh\n" + zip_bytes(base_members())],
        EITHER,
    )

    def overlapping() -> list[bytes]:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_info("python/zeros"), bytes(1 << 20))
            first = archive.infolist()[0]
            for number in range(200):
                again = _info("python/zeros")
                again.orig_filename = again.filename = f"python/zeros{number}"
                again.header_offset, again.CRC = first.header_offset, first.CRC
                again.compress_size, again.file_size = first.compress_size, first.file_size
                archive.filelist.append(again)
                archive.NameToInfo[again.filename] = again
        return [buffer.getvalue()]

    bytes_case("overlapping", "200 entries share one piece of data", overlapping)

    def repeated() -> list[bytes]:
        data = zip_bytes(base_members())
        name = b"python/bin/python3.13"
        other = b"python/bin/pythoN3.13"
        twice = zip_bytes([*base_members(), Member(other.decode(), b"another\n", 0o775)])
        assert name in data
        return [twice.replace(other, name)]

    bytes_case("repeated", "two entries of one name", repeated)

    def bomb() -> list[bytes]:
        return _zip_entry(_info(library + "bomb"), bytes(1 << 28))()

    bytes_case("bomb", "256 MiB of zeros in a quarter of a megabyte", bomb, EITHER)
