"""Writes a bundle as the one stored member of a ``.7z``: the same bundle, the same bytes.

The frame has no times, no owner and no name but the bundle's own, so that nothing of this machine
gets into it. With encryption it is another matter: :mod:`kitbag_packer.sealing`.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zlib

from kitbag_bundles.errors import UsageError
from kitbag_bundles.sevenzip import COPY, FRAME, MAGIC, NEXT, START, Inner
from kitbag_bundles.volumes import Volumes
from kitbag_packer.safefiles import (
    check_space,
    create,
    discard,
    flush,
    flush_folder,
    write_all,
)
from kitbag_packer.volumes.sizes import check_file_size

PARTIAL = ".partial"
_MOST_HEADER = 1024
_VERSION = (0, 4)
_ATTRIBUTES = (0o100644 << 16) | 0x8000 | stat.FILE_ATTRIBUTE_ARCHIVE


class SevenZipOutput:
    """A :class:`kitbag_packer.volumes.outputs.Output` that puts the bytes into a ``.7z``."""

    def __init__(self, target: str, size: int) -> None:
        """For ``size`` bytes of a bundle at ``target``, an absolute path.

        Raises :class:`UsageError` and :class:`FileSystemError` if it can't be written there.
        """
        self._target = target
        self._partial = target + PARTIAL
        self._size = size
        self._written = 0
        self._crc = 0
        check_place(target, FRAME + size + _MOST_HEADER)

    def __enter__(self) -> SevenZipOutput:
        self._output = create(self._partial)
        write_all(self._output, bytes(FRAME))
        return self

    def __exit__(self, *exc: object) -> None:
        self._output.close()
        with contextlib.suppress(OSError):
            discard(self._partial)

    def write(self, data: bytes | memoryview) -> int:
        """Write everything."""
        write_all(self._output, data)
        self._crc = zlib.crc32(data, self._crc)
        self._written += len(data)
        return len(data)

    def finish(self) -> Volumes:
        """Write the frame, flush to the drive, and give the bundle inside to be read back."""
        header = spell_header(self._member_name(), self._written, self._crc)
        write_all(self._output, header)
        following = NEXT.pack(self._written, len(header), zlib.crc32(header))
        self._output.seek(0)
        write_all(self._output, START.pack(MAGIC, *_VERSION, zlib.crc32(following)) + following)
        flush(self._output)
        self._output.close()
        return self._inner()

    def commit(self, sha256: str) -> tuple[str, ...]:
        """Give the file its name; there are no volumes."""
        os.replace(self._partial, self._target)
        flush_folder(os.path.dirname(self._target))
        return ()

    def _inner(self) -> Volumes:
        return Inner(Volumes.of_file(self._partial), FRAME, self._written)

    def _member_name(self) -> str:
        return member_name(self._inner())


def check_place(target: str, size: int) -> None:
    """Look whether a file of ``size`` bytes can be written at ``target``; sweep an older try."""
    discard(target + PARTIAL)
    if os.path.lexists(target) and not os.path.isfile(target):
        raise UsageError(f"cannot write a bundle to {target}: something else than a file is there")
    check_file_size(target, size, "write to another drive, or split it: kitbag split")
    check_space(target, size)


def member_name(bundle: Volumes) -> str:
    """What the bundle is called inside of a ``.7z``: by its own name, whatever its file's is.

    Raises what :meth:`kitbag_bundles.bundle.Bundle.open` raises.
    """
    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.reader import ZipContainer

    container = ZipContainer(bundle)
    try:
        name = Bundle(container).manifest.name
    finally:
        container.close()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100].strip("-.")
    return f"{plain or 'bundle'}.kitbag"


def spell_header(name: str, size: int, crc: int) -> bytes:
    """The header of a ``.7z`` whose only member is stored at the end of the frame."""
    text = name.encode("utf-16-le") + b"\0\0"
    number = _number(size)
    packed = b"\x06\x00\x01\x09" + number + b"\x00"
    folder = b"\x0b\x01\x00\x01" + bytes([len(COPY)]) + COPY
    unpacked = b"\x07" + folder + b"\x0c" + number + b"\x00"
    streams = b"\x08\x0a\x01" + crc.to_bytes(4, "little") + b"\x00"
    names = b"\x11" + _number(len(text) + 1) + b"\x00" + text
    attributes = b"\x15\x06\x01\x00" + _ATTRIBUTES.to_bytes(4, "little")
    files = b"\x05\x01" + names + attributes + b"\x00"
    return b"\x01\x04" + packed + unpacked + streams + b"\x00" + files + b"\x00"


def _number(value: int) -> bytes:
    """A number as the format spells it: the first byte's leading ones count the bytes that follow.

    What does not fit into those is in the rest of the first byte.
    """
    first = 0
    for extra in range(8):
        if value < 1 << (7 * (extra + 1)):
            low = value & ((1 << (8 * extra)) - 1)
            return bytes([first | value >> (8 * extra)]) + low.to_bytes(extra, "little")
        first |= 0x80 >> extra
    return b"\xff" + value.to_bytes(8, "little")
