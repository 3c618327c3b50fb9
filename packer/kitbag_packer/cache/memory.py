"""Remembers what was found in archives, so that none is looked through twice.

A memory is a text: the SHA-256 of what follows, a table in JSON on one line, the contents list. One
that is damaged, from another inspector or from somebody who is not trusted is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import KitbagError
from kitbag_packer.cache.files import make_cache_folder, make_folder, write_atomically
from kitbag_packer.cache.records import is_digest, is_trusted

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.findings import Inspection

SUFFIX = ".inspection"
BYTECODE_SUFFIX = ".bytecode"
"""Of what :mod:`kitbag_packer.bytecode.memory` keeps in the same folder."""
_LARGEST = 64 * 1024 * 1024
_TEXTS = ("release", "flavor", "top", "tar_sha256")
_NUMBERS = ("size", "crc32", "unpacked_size", "files", "longest_path")
_NEEDS = ("interpreter", "glibc", "cpu", "os")


class Memory:
    """Inspections by archive digest, name, given key and version of the inspector."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the cache's."""
        self._cache = folder
        self._folder = folder / "inspections"

    def recall(self, sha256: str, filename: str, key: BuildKey | None) -> Inspection | None:
        """What is known of the archive, or ``None``; a damaged memory is forgotten."""
        if not is_digest(sha256):
            return None
        path = self._path(sha256, filename, key)
        try:
            data = _read(path)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        try:
            return _parse(data, sha256)
        except (ValueError, TypeError, KeyError, RecursionError, KitbagError):
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None

    def remember(self, inspection: Inspection, filename: str, key: BuildKey | None) -> None:
        """Keep ``inspection``; where the cache can't be written nothing happens."""
        data = _render(inspection)
        with contextlib.suppress(OSError):
            make_cache_folder(self._cache)
            make_folder(self._folder)
            write_atomically(self._path(inspection.sha256, filename, key), data)

    def _path(self, sha256: str, filename: str, key: BuildKey | None) -> Path:
        from kitbag_packer.findings import INSPECTOR

        said = repr((INSPECTOR, filename, str(key or ""))).encode("utf-8", "surrogateescape")
        return self._folder / f"{sha256}-{hashlib.sha256(said).hexdigest()[:16]}{SUFFIX}"


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_trusted(status):
            raise PermissionError(path)
        return file.read(_LARGEST)


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
    body = json.dumps(table).encode() + b"\n" + inspection.contents_list
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _parse(data: bytes, sha256: str) -> Inspection:
    import json

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Needs
    from kitbag_packer.findings import Inspection

    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("damaged")
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
