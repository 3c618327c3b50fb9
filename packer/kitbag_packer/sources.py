"""Where the bytes of a bundle's members come from, and what must be known of them beforehand."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from kitbag_bundles.container import CHUNK
from kitbag_bundles.errors import DigestMismatch, FileSystemError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class MemberSource:
    """A member to be: its name, the facts that go into the headers, and its bytes on request.

    The facts are promises. The writer hashes what it copies and stops if they do not hold.
    """

    name: str
    size: int
    """Bytes."""
    crc32: int
    sha256: str
    """In hex."""
    origin: str
    """What messages call the place the bytes come from."""
    opener: Callable[[], BinaryIO] = field(repr=False, compare=False)

    def open(self) -> BinaryIO:
        """A new stream over the bytes; raises :class:`FileSystemError`."""
        try:
            return self.opener()
        except OSError as error:
            raise FileSystemError(f"cannot read {self.origin}: {error.strerror}") from None


def bytes_member(name: str, data: bytes) -> MemberSource:
    """A member whose bytes are at hand."""
    digest = hashlib.sha256(data).hexdigest()
    return MemberSource(name, len(data), zlib.crc32(data), digest, name, lambda: io.BytesIO(data))


def file_member(
    name: str,
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    crc32: int | None = None,
) -> MemberSource:
    """A member that is a file.

    With ``sha256`` and ``crc32`` known nothing is read now; otherwise the file is read once, and a
    ``sha256`` that was given must be its own, or :class:`DigestMismatch` is raised.
    """
    full = os.fspath(path)

    def opener() -> BinaryIO:
        return open(full, "rb", buffering=0)

    try:
        size = os.stat(full).st_size
        if sha256 is None or crc32 is None:
            with opener() as stream:
                size, crc32, actual = _read_facts(stream)
            if sha256 not in (None, actual):
                raise DigestMismatch(f"{full} has the SHA-256 {actual} and not {sha256}")
            sha256 = actual
    except OSError as error:
        raise FileSystemError(f"cannot read {full}: {error.strerror}") from None
    return MemberSource(name, size, crc32, sha256, full, opener)


def _read_facts(stream: BinaryIO) -> tuple[int, int, str]:
    size, crc, digest = 0, 0, hashlib.sha256()
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
        digest.update(chunk)
    return size, crc, digest.hexdigest()
