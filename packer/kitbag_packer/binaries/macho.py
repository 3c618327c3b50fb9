"""Mach-O, thin and universal, by its load commands.

Source of the numbers: Apple's ``mach-o/loader.h``, ``mach-o/fat.h`` and ``mach/machine.h``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from kitbag_packer.binaries.binary import BadBinary, Binary

_FAT, _FAT_64 = 0xCAFEBABE, 0xCAFEBABF
_MOST_SLICES = 16
"""A Java class has the same magic; there the number that follows is its version, 45 or more."""
_THIN = {
    b"\xfe\xed\xfa\xce": (">", 28),
    b"\xfe\xed\xfa\xcf": (">", 32),
    b"\xce\xfa\xed\xfe": ("<", 28),
    b"\xcf\xfa\xed\xfe": ("<", 32),
}
_ARCHES = {
    7: "x86",
    0x01000007: "x86_64",
    12: "armv7",
    0x0100000C: "aarch64",
    18: "powerpc",
    0x01000012: "powerpc64",
}
_EXECUTE, _DYLIB, _BUNDLE = 2, 6, 8
_LOAD_DYLIB, _ID_DYLIB, _REEXPORT_DYLIB, _UPWARD_DYLIB = 0xC, 0xD, 0x8000001F, 0x80000023
_VERSION_MIN_MACOSX, _BUILD_VERSION = 0x24, 0x32
_PLATFORM_MACOS = 1


def read_macho(data: memoryview) -> tuple[Binary, ...]:
    """One binary for each architecture; empty for object files, Java classes and the like."""
    try:
        return tuple(found for part in _slices(data) if (found := _read_thin(part)))
    except struct.error:
        raise BadBinary("damaged Mach-O file: its headers are cut short") from None


def _slices(data: memoryview) -> list[memoryview]:
    magic, count = struct.unpack_from(">II", data) if len(data) >= 8 else (0, 0)
    if magic not in (_FAT, _FAT_64):
        return [data]
    if count > _MOST_SLICES:
        return []
    shape = struct.Struct(">IIIII" if magic == _FAT else ">IIQQII")
    parts = []
    for number in range(count):
        _, _, offset, size, *_ = shape.unpack_from(data, 8 + number * shape.size)
        if offset + size > len(data):
            raise BadBinary("damaged Mach-O file: an architecture lies outside of it")
        parts.append(data[offset : offset + size])
    return parts


@dataclass
class _Commands:
    """What the load commands say."""

    name: str = ""
    needed: list[str] = field(default_factory=list)
    least_os: tuple[int, ...] = ()


def _read_thin(data: memoryview) -> Binary | None:
    shape = _THIN.get(bytes(data[:4]))
    if shape is None:
        return None
    order, offset = shape
    cpu, _, kind, count, length = struct.unpack_from(f"{order}5I", data, 4)
    if kind not in (_EXECUTE, _DYLIB, _BUNDLE):
        return None
    commands, end, found = data[: offset + length], offset + length, _Commands()
    if len(commands) < end:
        raise BadBinary("damaged Mach-O file: its headers are cut short")
    for _ in range(count):
        number, size = struct.unpack_from(f"{order}II", commands, offset)
        if size < 8 or offset + size > end:
            raise BadBinary("damaged Mach-O file: a load command has an impossible size")
        _read_command(order, number, commands[offset : offset + size], found)
        offset += size
    return Binary(
        os="macos",
        arch=_ARCHES.get(cpu, ""),
        libc="none",
        name=found.name,
        needed=tuple(found.needed),
        least_os=found.least_os,
    )


def _read_command(order: str, number: int, command: memoryview, found: _Commands) -> None:
    if number in (_LOAD_DYLIB, _REEXPORT_DYLIB, _UPWARD_DYLIB):
        found.needed.append(_text(order, command))
    elif number == _ID_DYLIB:
        found.name = _text(order, command)
    elif number == _VERSION_MIN_MACOSX:
        found.least_os = _version(*struct.unpack_from(f"{order}I", command, 8))
    elif number == _BUILD_VERSION:
        platform, least = struct.unpack_from(f"{order}II", command, 8)
        if platform == _PLATFORM_MACOS:
            found.least_os = _version(least)


def _text(order: str, command: memoryview) -> str:
    (offset,) = struct.unpack_from(f"{order}I", command, 8)
    return bytes(command[offset:]).partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _version(number: int) -> tuple[int, ...]:
    return (number >> 16, number >> 8 & 0xFF)
