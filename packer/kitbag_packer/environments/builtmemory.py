"""Remembers what was built, so that the same thing is not built twice on the same machine.

The wheel is in the cache among the archives; the note of it is a table in JSON. Directories are
never remembered: nothing tells whether they have changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_installer.hosts import this_host
from kitbag_packer.cache.notes import Notes
from kitbag_packer.cache.records import is_digest
from kitbag_packer.environments.model import SDIST, VCS
from kitbag_packer.environments.wheels import inspect_wheel

if TYPE_CHECKING:
    from kitbag_packer.cache import Cache
    from kitbag_packer.environments.model import Pick, WheelFile

METHOD = 1
"""Grows whenever the same source and the same builder would give another wheel."""


class BuiltMemory:
    """Wheels by source, builder and system; safe for several threads."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._notes = Notes(cache.folder)

    def recall(self, pick: Pick, builder: str) -> WheelFile | None:
        """What ``builder``, by all that tells it from others, made of ``pick``, if it is there."""
        found = self._notes.recall(_source(pick), _depends(pick, builder), _parse)
        if found is None:
            return None
        filename, sha256 = found
        entry = self._cache.find(sha256)
        if entry is None:
            return None
        try:
            return inspect_wheel(entry.path, filename, sha256)
        except KitbagError:
            return None

    def remember(self, pick: Pick, builder: str, made: WheelFile) -> None:
        """Keep ``made``; where the cache can't be written nothing happens."""
        source = _source(pick)
        if not source:
            return
        wheel = made.wheel
        body = json.dumps({"filename": wheel.filename, "sha256": wheel.sha256}).encode()
        with contextlib.suppress(OSError, KitbagError):
            self._cache.add(made.path, sha256=wheel.sha256, filename=wheel.filename, url="")
            self._notes.remember(source, _depends(pick, builder), body)


def _source(pick: Pick) -> str:
    """A SHA-256 that tells one source from all others; empty where there is none."""
    if pick.kind == SDIST and is_digest(pick.sha256):
        return pick.sha256
    if pick.kind == VCS:
        return hashlib.sha256(f"{pick.repository} {pick.commit}".encode()).hexdigest()
    return ""


def _depends(pick: Pick, builder: str) -> tuple[object, ...]:
    return ("built", METHOD, pick.filename, pick.subdirectory, builder, str(this_host()))


def _parse(body: bytes) -> tuple[str, str]:
    table = json.loads(body)
    filename, sha256 = table["filename"], table["sha256"]
    if not isinstance(filename, str) or not (isinstance(sha256, str) and is_digest(sha256)):
        raise ValueError("no wheel")
    return filename, sha256
