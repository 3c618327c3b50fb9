"""Remembers what was found in wheels, beside the inspections of archives and in their form."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from kitbag_bundles.environments import Wheel
from kitbag_packer.cache.files import make_cache_folder, make_folder, write_atomically
from kitbag_packer.cache.memory import SUFFIX
from kitbag_packer.cache.records import is_digest, is_trusted
from kitbag_packer.environments.model import WheelFile
from kitbag_packer.environments.wheels import INSPECTOR

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 64 * 1024 * 1024
_TEXTS = ("filename", "name", "version", "sha256", "url")
_NUMBERS = ("size", "unpacked_size", "files", "longest_path")


class WheelMemory:
    """Wheels by digest, name and version of the inspector; safe for several threads."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the cache's."""
        self._cache = folder
        self._folder = folder / "inspections"

    def recall(self, path: Path, filename: str, sha256: str) -> WheelFile | None:
        """What is known of the wheel, which is now at ``path``; a damaged memory is forgotten."""
        if not is_digest(sha256):
            return None
        place = self._place(sha256, filename)
        try:
            data = _read(place)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(place)
        try:
            found = _parse(data, path)
            if (found.wheel.sha256, found.wheel.filename) != (sha256, filename):
                raise ValueError("another's")
        except (ValueError, TypeError, KeyError, RecursionError):
            with contextlib.suppress(OSError):
                os.unlink(place)
            return None
        return found

    def remember(self, found: WheelFile) -> None:
        """Keep ``found``; where the cache can't be written nothing happens."""
        data = _render(found)
        with contextlib.suppress(OSError):
            make_cache_folder(self._cache)
            make_folder(self._folder)
            write_atomically(self._place(found.wheel.sha256, found.wheel.filename), data)

    def _place(self, sha256: str, filename: str) -> Path:
        said = repr(("wheel", INSPECTOR, filename)).encode("utf-8", "surrogateescape")
        return self._folder / f"{sha256}-{hashlib.sha256(said).hexdigest()[:16]}{SUFFIX}"


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_trusted(status):
            raise PermissionError(path)
        return file.read(_LARGEST)


def _render(found: WheelFile) -> bytes:
    table = {
        "wheel": {**dataclasses.asdict(found.wheel), "url": "", "built": False},
        "crc32": found.crc32,
        "paths": found.paths,
        "references": found.references,
        "requires-python": found.requires_python,
    }
    body = json.dumps(table).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _parse(data: bytes, path: Path) -> WheelFile:
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("damaged")
    table: dict[str, Any] = json.loads(body)
    said = table["wheel"]
    values: dict[str, Any] = {name: _text(said[name]) for name in _TEXTS}
    values |= {name: _number(said[name]) for name in _NUMBERS}
    references = _pairs(table["references"])
    return WheelFile(
        wheel=Wheel(**values, built=False),
        path=path,
        crc32=_number(table["crc32"]),
        paths=_pairs(table["paths"]),
        scripts=tuple(name for name, _ in references),
        requires_python=_text(table["requires-python"]),
        references=references,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no number")
    return value


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_text(one), _text(other)) for one, other in value)
