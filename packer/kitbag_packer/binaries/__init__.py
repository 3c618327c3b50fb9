"""What the header of a native binary says: where it can run and what it asks for.

ELF, Mach-O and PE are read as far as a loader reads them before it starts the program: no symbol,
section or debug information is looked at. Nothing here knows about Python or archives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_packer.binaries.binary import BadBinary, Binary

if TYPE_CHECKING:
    from io import BytesIO

__all__ = ["BadBinary", "Binary", "is_binary", "read_binaries"]

_ELF = b"\x7fELF"
_PE = b"MZ"
_MACHO = (
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\xca\xfe\xba\xbf",
)
_MAGICS = (_ELF, _PE, *_MACHO)


def is_binary(start: bytes) -> bool:
    """Whether a file that begins with ``start`` (4 bytes or more) may be a native binary."""
    return start.startswith(_MAGICS)


def read_binaries(stream: BytesIO) -> tuple[Binary, ...]:
    """Read a whole file; a universal Mach-O gives one :class:`Binary` for each architecture.

    Empty for files that no loader starts or maps: data, object files, DOS programs, Java classes.
    Raises :class:`BadBinary` for a file that begins as a binary and is not a sound one.
    """
    with stream.getbuffer() as data:
        start = bytes(data[:4])
        if start == _ELF:
            from kitbag_packer.binaries.elf import read_elf

            found = read_elf(stream)
        elif start in _MACHO:
            from kitbag_packer.binaries.macho import read_macho

            return read_macho(data)
        elif start.startswith(_PE):
            from kitbag_packer.binaries.pe import read_pe

            found = read_pe(data)
        else:
            found = None
    return (found,) if found else ()
