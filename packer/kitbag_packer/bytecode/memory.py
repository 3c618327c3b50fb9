"""Remembers bytecode in the cache, so that none is made twice of the same files.

The body of such a note is a table in JSON on one line, and the bytes of the member.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

from kitbag_bundles.manifest import Bytecode
from kitbag_packer.bytecode.overlays import Overlay
from kitbag_packer.cache.notes import BYTECODE_SUFFIX, Notes

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.materials import Material

METHOD = 1
"""Grows whenever the same files and the same maker would give other bytes."""


class BytecodeMemory:
    """Overlays by archive, maker, mode and method; with no cache it remembers nothing."""

    def __init__(self, cache: Path | None) -> None:
        self._notes = Notes(cache, BYTECODE_SUFFIX) if cache else None

    def recall(self, material: Material, maker: str, mode: str, place: Path) -> Overlay | None:
        """What ``maker`` (its identity) made for ``material``, put down at ``place``."""
        if self._notes is None:
            return None

        def parse(body: bytes) -> tuple[Bytecode, bytes]:
            bytecode, member = _parse(body)
            if bytecode.member != material.build.bytecode_member or bytecode.mode != mode:
                raise ValueError("another's")
            return bytecode, member

        depends = _depends(material, maker, mode)
        found = self._notes.recall(material.inspection.sha256, depends, parse)
        if found is None:
            return None
        place.write_bytes(found[1])
        return Overlay(found[0], place)

    def remember(self, material: Material, maker: str, overlay: Overlay) -> None:
        """Keep ``overlay``; where the cache can't be written nothing happens."""
        if self._notes is None:
            return
        head = json.dumps(dataclasses.asdict(overlay.bytecode)).encode()
        body = head + b"\n" + overlay.path.read_bytes()
        depends = _depends(material, maker, overlay.bytecode.mode)
        self._notes.remember(material.inspection.sha256, depends, body)


def _depends(material: Material, maker: str, mode: str) -> tuple[object, ...]:
    found = material.inspection
    listed = hashlib.sha256(found.contents_list).hexdigest()
    return (METHOD, str(found.key), listed, maker, mode, zlib.ZLIB_RUNTIME_VERSION)


def _parse(body: bytes) -> tuple[Bytecode, bytes]:
    head, _, member = body.partition(b"\n")
    table: dict[str, Any] = json.loads(head)
    bytecode = Bytecode(**table)
    if (len(member), hashlib.sha256(member).hexdigest()) != (bytecode.size, bytecode.sha256):
        raise ValueError("not what it says")
    return bytecode, member
