"""Executables of other systems for test archives: minimal Windows PE and macOS Mach-O files.

They hold the headers that a reader looks at (machine, subsystem, least system version, library
names), and nothing that runs. Layouts: Microsoft's PE format reference, Apple's `mach-o/loader.h`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PE_MACHINES = {"x86_64": 0x8664, "i686": 0x14C, "aarch64": 0xAA64}
MACHO_CPUS = {"x86_64": (0x01000007, 3), "aarch64": (0x0100000C, 0)}


def make_pe(cpu: str, *, dll: bool = False, least_system: tuple[int, int] = (6, 2)) -> bytes:
    """Return a PE file without sections; `least_system` is the Windows version it asks for."""
    wide = cpu != "i686"
    optional = struct.pack("<HBB5I", 0x20B if wide else 0x10B, 14, 0, 0, 0, 0, 0, 0)
    optional += b"" if wide else struct.pack("<I", 0)
    optional += struct.pack("<Q" if wide else "<I", 0x140000000 if wide else 0x400000)
    optional += struct.pack("<II6H", 0x1000, 0x200, *least_system, 0, 0, *least_system)
    optional += struct.pack("<IIIIHH", 0, 0x1000, 0x200, 0, 3, 0x8160)
    optional += struct.pack("<4Q" if wide else "<4I", 0x100000, 0x1000, 0x100000, 0x1000)
    optional += struct.pack("<II", 0, 16) + bytes(16 * 8)
    characteristics = 0x0022 | (0x2000 if dll else 0)
    coff = struct.pack(
        "<HHIIIHH", PE_MACHINES[cpu], 0, 0x65920080, 0, 0, len(optional), characteristics
    )
    stub = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    return (stub.ljust(0x80, b"\0") + b"PE\0\0" + coff + optional).ljust(0x200, b"\0")


def _path_command(command: int, path: str, fixed: bytes) -> bytes:
    head = 12 + len(fixed)
    body = path.encode() + b"\0"
    size = head + len(body) + -(head + len(body)) % 8
    return (struct.pack("<III", command, size, head) + fixed + body).ljust(size, b"\0")


def make_macho(
    cpu: str,
    *,
    library: str = "",
    needed: Sequence[str] = ("/usr/lib/libSystem.B.dylib",),
    rpaths: Sequence[str] = (),
    least_system: tuple[int, int] = (11, 0),
) -> bytes:
    """Return a Mach-O program, or with `library` a dylib of that install name."""
    version = least_system[0] << 16 | least_system[1] << 8
    fixed = struct.pack("<III", 2, 0x10000, 0x10000)
    commands = [_path_command(0xD, library, fixed)] if library else []
    commands.append(struct.pack("<6I", 0x32, 24, 1, version, 15 << 16, 0))  # LC_BUILD_VERSION
    commands += [_path_command(0xC, name, fixed) for name in needed]
    commands += [_path_command(0x8000001C, path, b"") for path in rpaths]
    load = b"".join(commands)
    kind = 6 if library else 2
    header = struct.pack(
        "<I2iIIIII", 0xFEEDFACF, *MACHO_CPUS[cpu], kind, len(commands), len(load), 0x85, 0
    )
    return header + load
