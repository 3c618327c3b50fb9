"""Turns an archive that no shell can unpack into a ``.tar.gz`` of the very same tar.

What comes out is no longer upstream's file: it has no public address, and its digest is its own.
The digest of the tar stays, so anyone with upstream's archive can still compare. As with every
archive that kitbag makes, the compressed bytes depend on the zlib at hand.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kitbag_bundles.archives import archive_suffix
from kitbag_bundles.archives.compression import decompressed
from kitbag_bundles.errors import DigestMismatch, FileSystemError
from kitbag_packer.tarball import GzipSink

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_packer.materials import Material

SUFFIX = ".tar.gz"


def recompressed(material: Material, folder: Path, reporter: Reporter) -> Material:
    """``material``, which is a compressed tar, with its archive made anew in ``folder``.

    Raises :class:`DigestMismatch` if the archive is no longer the one that was inspected, and
    :class:`FileSystemError`.
    """
    found = material.inspection
    suffix = archive_suffix(material.filename)
    filename = material.filename[: -len(suffix)] + SUFFIX
    destination = folder / filename
    try:
        folder.mkdir(exist_ok=True)
        with (
            open(material.archive, "rb") as source,
            open(destination, "wb") as stream,
            reporter.progress(filename, found.size) as progress,
        ):
            written = _Summed(stream)
            sink = GzipSink(cast("BinaryIO", written))
            counted = cast("BinaryIO", _Counted(source, progress))
            for chunk in decompressed(counted, material.filename, suffix):
                sink.write(chunk)
            made = sink.finish()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise FileSystemError(
            f"cannot re-compress {material.filename} in {folder}: {why}"
        ) from None
    if made.tar_sha256 != found.tar_sha256:
        raise DigestMismatch(
            f"{material.archive}: not the archive that was looked through; run the command again"
        )
    reporter.info(
        f"{found.key}: carried as {filename}, re-compressed: {made.size:,} bytes instead of "
        f"{found.size:,}; it is upstream's tar, and no longer upstream's file"
    )
    inspection = replace(found, size=made.size, sha256=made.sha256, crc32=written.crc32)
    return replace(material, archive=destination, filename=filename, inspection=inspection, url="")


class _Counted:
    """A file whose progress is told while it is read."""

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._progress.advance(len(data))
        return data


class _Summed:
    """A file whose checksum is kept while it is written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.crc32 = 0

    def write(self, data: bytes) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        return self._stream.write(data)
