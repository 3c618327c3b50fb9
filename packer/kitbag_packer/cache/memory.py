"""Remembers what was found in archives, so that none is looked through twice.

The body of such a note is a table in JSON on one line, and the contents list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_packer.cache.notes import Notes

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.findings import Inspection

_TEXTS = ("release", "flavor", "top", "tar_sha256")
_NUMBERS = ("size", "crc32", "unpacked_size", "files", "longest_path")
_NEEDS = ("interpreter", "glibc", "cpu", "os")


class Memory:
    """Inspections by archive digest, name, given key and version of the inspector."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the cache's."""
        self._notes = Notes(folder)

    def recall(self, sha256: str, filename: str, key: BuildKey | None) -> Inspection | None:
        """What is known of the archive, or ``None``; a damaged memory is forgotten."""
        return self._notes.recall(
            sha256, _depends(filename, key), lambda body: _parse(body, sha256)
        )

    def remember(self, inspection: Inspection, filename: str, key: BuildKey | None) -> None:
        """Keep ``inspection``; where the cache can't be written nothing happens."""
        self._notes.remember(inspection.sha256, _depends(filename, key), _render(inspection))


def _depends(filename: str, key: BuildKey | None) -> tuple[object, ...]:
    from kitbag_packer.findings import INSPECTOR

    return (INSPECTOR, filename, str(key or ""))


def _render(inspection: Inspection) -> bytes:
    import json

    needs = inspection.needs
    table: dict[str, Any] = {
        "key": str(inspection.key),
        "notes": list(inspection.notes),
        "libraries": list(needs.libraries),
        "optional": [[name, *users] for name, users in inspection.optional_libraries.items()],
        **{name: getattr(needs, name) for name in _NEEDS},
        "case_collisions": inspection.case_collisions,
        **{name: getattr(inspection, name) for name in (*_TEXTS, *_NUMBERS)},
    }
    return json.dumps(table).encode() + b"\n" + inspection.contents_list


def _parse(body: bytes, sha256: str) -> Inspection:
    import json

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Needs
    from kitbag_packer.findings import Inspection

    head, _, listed = body.partition(b"\n")
    table = json.loads(head)
    values: dict[str, Any] = {name: _text(table[name]) for name in _TEXTS}
    values |= {name: _number(table[name]) for name in _NUMBERS}
    return Inspection(
        key=BuildKey.parse(_text(table["key"])),
        contents_list=listed,
        needs=Needs(
            libraries=_texts(table["libraries"]),
            **{name: _text(table[name]) for name in _NEEDS},
        ),
        optional_libraries={
            name: tuple(users) for name, *users in map(_texts, _list(table["optional"]))
        },
        sha256=sha256,
        case_collisions=_flag(table["case_collisions"]),
        notes=_texts(table["notes"]),
        **values,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))
