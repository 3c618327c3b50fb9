"""Notes: what was worked out once about something in the cache, and need not be again.

A note is a file: the SHA-256 of what follows in hex, a line feed, a body. Its name begins with the
SHA-256 of what it is about, so that it goes when that does, and ends with a digest of whatever else
it depends on. One that is damaged, or that somebody wrote who is not trusted, is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, TypeVar

from kitbag_bundles.errors import KitbagError
from kitbag_packer.cache.files import make_cache_folder, make_folder, write_atomically
from kitbag_packer.cache.records import is_digest, is_trusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUFFIX = ".inspection"
BYTECODE_SUFFIX = ".bytecode"
LARGEST = 128 * 1024 * 1024
"""Bytes of the largest note that is read."""

_Read = TypeVar("_Read")


class Notes:
    """The notes of one kind in a cache; safe for several threads and processes."""

    def __init__(self, cache: Path, suffix: str = SUFFIX) -> None:
        """``cache`` is the cache's directory, which need not be there."""
        self._cache = cache
        self._folder = cache / "inspections"
        self._suffix = suffix

    def recall(
        self, sha256: str, depends: tuple[object, ...], parse: Callable[[bytes], _Read]
    ) -> _Read | None:
        """What ``parse`` makes of the body about ``sha256``; ``None`` if there is no good note.

        One from which ``parse`` raises an error that bad data brings about is removed.
        """
        if not is_digest(sha256):
            return None
        path = self._path(sha256, depends)
        try:
            data = _read(path)
        except OSError:
            return None
        digest, _, body = data.partition(b"\n")
        try:
            if hashlib.sha256(body).hexdigest().encode() != digest:
                raise ValueError("damaged")
            found = parse(body)
        except (ValueError, TypeError, KeyError, RecursionError, KitbagError):
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def remember(self, sha256: str, depends: tuple[object, ...], body: bytes) -> None:
        """Keep ``body``; where the cache can't be written nothing happens."""
        with contextlib.suppress(OSError):
            make_cache_folder(self._cache)
            make_folder(self._folder)
            data = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
            write_atomically(self._path(sha256, depends), data)

    def _path(self, sha256: str, depends: tuple[object, ...]) -> Path:
        said = repr(depends).encode("utf-8", "surrogateescape")
        return self._folder / f"{sha256}-{hashlib.sha256(said).hexdigest()[:16]}{self._suffix}"


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_trusted(status):
            raise PermissionError(path)
        return file.read(LARGEST)
