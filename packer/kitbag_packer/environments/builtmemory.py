"""Remembers what was built, so that the same thing is not built twice on the same machine.

The wheel is in the cache among the archives. Beside the inspections there is a note of it: the
SHA-256 of what follows, and a table in JSON. A damaged one is as good as none. Directories are
never remembered: nothing tells whether they have changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_installer.hosts import this_host
from kitbag_packer.cache.files import make_cache_folder, make_folder, write_atomically
from kitbag_packer.cache.memory import SUFFIX
from kitbag_packer.cache.records import is_digest, is_trusted
from kitbag_packer.environments.model import SDIST, VCS
from kitbag_packer.environments.wheels import inspect_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.cache import Cache
    from kitbag_packer.environments.model import Pick, WheelFile

METHOD = 1
"""Grows whenever the same source and the same builder would give another wheel."""

_LARGEST = 65536


class BuiltMemory:
    """Wheels by source, builder and system; safe for several threads."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._folder = cache.folder / "inspections"

    def recall(self, pick: Pick, builder: str) -> WheelFile | None:
        """What ``builder``, by all that tells it from others, made of ``pick``, if it is there."""
        place = self._place(pick, builder)
        if place is None:
            return None
        try:
            filename, sha256 = _parse(_read(place))
        except OSError:
            return None
        except (ValueError, TypeError, KeyError, RecursionError):
            with contextlib.suppress(OSError):
                os.unlink(place)
            return None
        entry = self._cache.find(sha256)
        if entry is None:
            return None
        with contextlib.suppress(OSError):
            os.utime(place)
        try:
            return inspect_wheel(entry.path, filename, sha256)
        except KitbagError:
            return None

    def remember(self, pick: Pick, builder: str, made: WheelFile) -> None:
        """Keep ``made``; where the cache can't be written nothing happens."""
        place = self._place(pick, builder)
        if place is None:
            return
        wheel = made.wheel
        table = {"filename": wheel.filename, "sha256": wheel.sha256}
        body = json.dumps(table).encode()
        with contextlib.suppress(OSError, KitbagError):
            make_cache_folder(self._cache.folder)
            make_folder(self._folder)
            self._cache.add(made.path, sha256=wheel.sha256, filename=wheel.filename, url="")
            write_atomically(place, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)

    def _place(self, pick: Pick, builder: str) -> Path | None:
        if pick.kind == SDIST and is_digest(pick.sha256):
            source = pick.sha256
        elif pick.kind == VCS:
            source = hashlib.sha256(f"{pick.repository} {pick.commit}".encode()).hexdigest()
        else:
            return None
        said = ("built", METHOD, pick.filename, pick.subdirectory, builder, str(this_host()))
        digest = hashlib.sha256(repr(said).encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / f"{source}-{digest[:16]}{SUFFIX}"


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_trusted(status):
            raise PermissionError(path)
        return file.read(_LARGEST)


def _parse(data: bytes) -> tuple[str, str]:
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("damaged")
    table = json.loads(body)
    filename, sha256 = table["filename"], table["sha256"]
    if not isinstance(filename, str) or not (isinstance(sha256, str) and is_digest(sha256)):
        raise ValueError("no wheel")
    return filename, sha256
