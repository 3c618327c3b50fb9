"""Remembers bytecode in the cache, so that none is made twice of the same files.

Like an inspection it goes with its archive, in the same folder: a line with the SHA-256 of what
follows, a table in JSON on one line, the bytes of the member. A damaged one is as good as none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
import zlib
from typing import TYPE_CHECKING, Any

from kitbag_bundles.bundle import MAX_READ
from kitbag_bundles.manifest import Bytecode
from kitbag_packer.bytecode.overlays import Overlay
from kitbag_packer.cache.files import make_cache_folder, make_folder, write_atomically
from kitbag_packer.cache.memory import BYTECODE_SUFFIX
from kitbag_packer.cache.records import is_trusted

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.materials import Material

METHOD = 1
"""Grows whenever the same files and the same maker would give other bytes."""


class BytecodeMemory:
    """Overlays by archive, maker, mode and method; with no cache it remembers nothing."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache

    def recall(self, material: Material, maker: str, mode: str, place: Path) -> Overlay | None:
        """What ``maker`` (its identity) made for ``material``, put down at ``place``."""
        if self._cache is None:
            return None
        path = self._path(self._cache, material, maker, mode)
        try:
            data = _read(path)
            bytecode, member = _parse(data)
            if bytecode.member != material.build.bytecode_member or bytecode.mode != mode:
                raise ValueError("another's")
        except OSError:
            return None
        except (ValueError, TypeError, RecursionError):
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        place.write_bytes(member)
        return Overlay(bytecode, place)

    def remember(self, material: Material, maker: str, overlay: Overlay) -> None:
        """Keep ``overlay``; where the cache can't be written nothing happens."""
        if self._cache is None:
            return
        path = self._path(self._cache, material, maker, overlay.bytecode.mode)
        head = json.dumps(dataclasses.asdict(overlay.bytecode)).encode()
        body = head + b"\n" + overlay.path.read_bytes()
        with contextlib.suppress(OSError):
            make_cache_folder(self._cache)
            make_folder(path.parent)
            write_atomically(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)

    @staticmethod
    def _path(cache: Path, material: Material, maker: str, mode: str) -> Path:
        found = material.inspection
        listed = hashlib.sha256(found.contents_list).hexdigest()
        said = repr((METHOD, str(found.key), listed, maker, mode, zlib.ZLIB_RUNTIME_VERSION))
        digest = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return cache / "inspections" / f"{found.sha256}-{digest}{BYTECODE_SUFFIX}"


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_trusted(status):
            raise PermissionError(path)
        return file.read(MAX_READ + 4096)


def _parse(data: bytes) -> tuple[Bytecode, bytes]:
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("damaged")
    head, _, member = body.partition(b"\n")
    table: dict[str, Any] = json.loads(head)
    bytecode = Bytecode(**table)
    if (len(member), hashlib.sha256(member).hexdigest()) != (bytecode.size, bytecode.sha256):
        raise ValueError("not what it says")
    return bytecode, member
