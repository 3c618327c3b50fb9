"""PE, the form of Windows' executables and DLLs: machine, least system, imported DLLs.

Source of the offsets: Microsoft's "PE Format" page.
"""

from __future__ import annotations

import struct

from kitbag_packer.binaries.binary import BadBinary, Binary

_ARCHES = {0x014C: "x86", 0x8664: "x86_64", 0xAA64: "aarch64", 0x01C4: "armv7"}
_PE32, _PE32_PLUS = 0x10B, 0x20B
_EXECUTABLE_IMAGE = 0x0002
_IMPORTS = 1
_MOST = 4096
_LONGEST_NAME = 260


def read_pe(data: memoryview) -> Binary | None:
    """Read an executable or a DLL; ``None`` for a DOS program and for object files."""
    try:
        return _read(data)
    except struct.error:
        raise BadBinary("damaged PE file: its headers are cut short") from None


def _read(data: memoryview) -> Binary | None:
    if len(data) < 0x40:
        return None
    (start,) = struct.unpack_from("<I", data, 0x3C)
    if bytes(data[start : start + 4]) != b"PE\0\0":
        return None
    machine, sections, *_, length, flags = struct.unpack_from("<HHIIIHH", data, start + 4)
    if not flags & _EXECUTABLE_IMAGE:
        return None
    optional = start + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic not in (_PE32, _PE32_PLUS):
        raise BadBinary(f"damaged PE file: optional header of unknown kind {magic:#x}")
    directories = optional + (92 if magic == _PE32 else 108)
    least_os = struct.unpack_from("<HH", data, optional + 48)
    (count,) = struct.unpack_from("<I", data, directories)
    imports = 0
    if count > _IMPORTS:
        (imports,) = struct.unpack_from("<I", data, directories + 4 + 8 * _IMPORTS)
    places = [
        struct.unpack_from("<IIII", data, optional + length + 40 * number + 8)
        for number in range(sections)
    ]
    return Binary(
        os="windows",
        arch=_ARCHES.get(machine, ""),
        libc="none",
        needed=_imported(data, places, imports) if imports else (),
        least_os=least_os,
    )


def _imported(data: memoryview, places: list[tuple[int, ...]], address: int) -> tuple[str, ...]:
    """The names in the import table; DLLs that are loaded on first use are in another one."""
    offset = _file_offset(places, address)
    names = []
    for number in range(_MOST):
        entry = struct.unpack_from("<5I", data, offset + 20 * number)
        if not entry[3]:
            break
        names.append(_text(data, _file_offset(places, entry[3])))
    return tuple(names)


def _file_offset(places: list[tuple[int, ...]], address: int) -> int:
    for size, start, raw_size, raw_start in places:
        if start <= address < start + max(size, raw_size):
            return address - start + raw_start
    raise BadBinary(f"damaged PE file: address {address:#x} is in no section")


def _text(data: memoryview, offset: int) -> str:
    text, end, _ = bytes(data[offset : offset + _LONGEST_NAME]).partition(b"\0")
    if not end:
        raise BadBinary("damaged PE file: the name of a DLL has no end")
    return text.decode("utf-8", "surrogateescape")
