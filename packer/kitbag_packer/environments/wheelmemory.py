"""Remembers what was found in wheels, beside the inspections of archives."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from kitbag_bundles.environments import Wheel
from kitbag_packer.cache.notes import Notes
from kitbag_packer.environments.model import WheelFile
from kitbag_packer.environments.wheels import INSPECTOR

if TYPE_CHECKING:
    from pathlib import Path

_TEXTS = ("filename", "name", "version", "sha256", "url")
_NUMBERS = ("size", "unpacked_size", "files", "longest_path")


class WheelMemory:
    """Wheels by digest, name and version of the inspector; safe for several threads."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the cache's."""
        self._notes = Notes(folder)

    def recall(self, path: Path, filename: str, sha256: str) -> WheelFile | None:
        """What is known of the wheel, which is now at ``path``; a damaged memory is forgotten."""

        def parse(body: bytes) -> WheelFile:
            found = _parse(body, path)
            if (found.wheel.sha256, found.wheel.filename) != (sha256, filename):
                raise ValueError("another's")
            return found

        return self._notes.recall(sha256, _depends(filename), parse)

    def remember(self, found: WheelFile) -> None:
        """Keep ``found``; where the cache can't be written nothing happens."""
        wheel = found.wheel
        self._notes.remember(wheel.sha256, _depends(wheel.filename), _render(found))


def _depends(filename: str) -> tuple[object, ...]:
    return ("wheel", INSPECTOR, filename)


def _render(found: WheelFile) -> bytes:
    table = {
        "wheel": {**dataclasses.asdict(found.wheel), "url": "", "built": False},
        "crc32": found.crc32,
        "paths": found.paths,
        "references": found.references,
        "requires-python": found.requires_python,
    }
    return json.dumps(table).encode()


def _parse(body: bytes, path: Path) -> WheelFile:
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
