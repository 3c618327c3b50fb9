"""What is in a cache: archives, unfinished downloads, inspections, and what nobody knows."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import file_system_error
from kitbag_packer.cache.files import NEW, OURS
from kitbag_packer.cache.locking import label_of
from kitbag_packer.cache.notes import BYTECODE_SUFFIX, SUFFIX
from kitbag_packer.cache.partials import is_identity
from kitbag_packer.cache.records import is_digest, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIXES = "|".join(map(re.escape, (SUFFIX, BYTECODE_SUFFIX)))
_INSPECTION = re.compile(rf"([0-9a-f]{{64}})-[0-9a-f]{{16}}({_SUFFIXES})")
_LARGEST_STATE = 65536


@dataclass(frozen=True)
class Archive:
    """An archive, as far as can be told without reading it."""

    path: Path
    sha256: str
    filename: str
    url: str
    size: int
    """Bytes."""
    last_used: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Unfinished:
    """A download that is going on or was cut short."""

    path: Path
    """Its directory."""
    identity: str
    label: str
    """What was fetched, or the identity."""
    size: int
    """Bytes that are there."""
    total: int | None
    """Bytes of the whole, where known."""
    last_touched: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Leftover:
    """A file that is of no use without something that isn't there, or was never finished."""

    path: Path
    size: int
    last_touched: float
    """Seconds since the epoch."""
    sha256: str = ""
    """The archive that it belongs to; empty for a file that was being written."""


@dataclass(frozen=True)
class Holdings:
    """All of it; every list in a fixed order."""

    archives: tuple[Archive, ...]
    unfinished: tuple[Unfinished, ...]
    inspections: tuple[Leftover, ...]
    leftovers: tuple[Leftover, ...]
    """Notes without an archive, and files that a crash left half written."""
    catalogs: tuple[Leftover, ...]
    unknown: tuple[Path, ...]
    """What kitbag did not make."""


def holdings(folder: Path) -> Holdings:
    """Look through the cache at ``folder``, which need not exist; raises `FileSystemError`."""
    look = _Look(folder)
    look.at_archives()
    look.at_the_rest()
    return Holdings(
        archives=tuple(sorted(look.archives, key=lambda each: (each.filename, each.sha256))),
        unfinished=tuple(sorted(look.unfinished, key=lambda each: (each.label, each.identity))),
        inspections=tuple(look.inspections),
        leftovers=tuple(look.leftovers),
        catalogs=tuple(look.catalogs),
        unknown=tuple(look.unknown),
    )


class _Look:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.archives: list[Archive] = []
        self.unfinished: list[Unfinished] = []
        self.inspections: list[Leftover] = []
        self.leftovers: list[Leftover] = []
        self.catalogs: list[Leftover] = []
        self.unknown: list[Path] = []

    def at_archives(self) -> None:
        notes = []
        for path, status in self._known("archives"):
            stem = path.name.removesuffix(".json")
            if not stat.S_ISREG(status.st_mode) or not is_digest(stem):
                self.unknown.append(path)
            elif path.name == stem:
                self.archives.append(_archive(path, status))
            else:
                notes.append(_leftover(path, status, stem))
        present = {archive.sha256 for archive in self.archives}
        self.leftovers += [note for note in notes if note.sha256 not in present]

    def at_the_rest(self) -> None:
        for path, status in self._known("partial"):
            if is_identity(path.name) and stat.S_ISDIR(status.st_mode):
                self.unfinished.append(_unfinished(path))
            else:
                self.unknown.append(path)
        for path, status in self._known("inspections"):
            found = _INSPECTION.fullmatch(path.name)
            if found and stat.S_ISREG(status.st_mode):
                self.inspections.append(_leftover(path, status, found[1]))
            else:
                self.unknown.append(path)
        for path, status in self._known("catalogs"):
            if stat.S_ISREG(status.st_mode):
                self.catalogs.append(_leftover(path, status))
            else:
                self.unknown.append(path)
        self.unknown += [path for path, _ in self._known("") if path.name not in OURS]

    def _known(self, name: str) -> Iterator[tuple[Path, os.stat_result]]:
        for path, status in _listed(self._folder / name):
            if path.name.startswith(NEW) and stat.S_ISREG(status.st_mode):
                self.leftovers.append(_leftover(path, status))
            else:
                yield path, status


def _listed(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_system_error(error, str(folder)) from None
    for name in names:
        # Others may finish and remove things meanwhile.
        with contextlib.suppress(FileNotFoundError):
            yield folder / name, os.lstat(folder / name)


def _leftover(path: Path, status: os.stat_result, sha256: str = "") -> Leftover:
    return Leftover(path, status.st_size, status.st_mtime, sha256)


def _archive(path: Path, status: os.stat_result) -> Archive:
    note = path.with_name(f"{path.name}.json")
    record = read_record(note, path.name)
    last_used = status.st_mtime
    with contextlib.suppress(OSError):
        last_used = os.stat(note).st_mtime
    return Archive(path, path.name, record.filename, record.url, status.st_size, last_used)


def _unfinished(path: Path) -> Unfinished:
    size, touched = 0, os.lstat(path).st_mtime
    for name in ("data", "state.json", "lock"):
        with contextlib.suppress(OSError):
            status = os.lstat(path / name)
            touched = max(touched, status.st_mtime)
            if name == "data":
                size = status.st_size
    label = label_of(path) or path.name
    return Unfinished(path, path.name, label, size, _total(path / "state.json", size), touched)


def _total(state: Path, size: int) -> int | None:
    """What the downloader notes of the size of the whole."""
    import json

    try:
        with open(os.open(state, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            table = json.loads(file.read(_LARGEST_STATE))
    except (OSError, ValueError, RecursionError):
        return None
    total = table.get("total") if isinstance(table, dict) else None
    return total if type(total) is int and total >= max(size, 1) else None
