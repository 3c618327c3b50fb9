"""Makes room in a cache without taking away what somebody needs or is using at the moment."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError, file_system_error
from kitbag_packer.cache.holdings import holdings
from kitbag_packer.cache.locking import held_now
from kitbag_packer.cache.partials import remove_place
from kitbag_packer.cache.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from kitbag_packer.cache.holdings import Archive, Holdings, Leftover, Unfinished
    from kitbag_packer.cache.store import Cache

DAY = 86400.0
OLD_DOWNLOAD = 7 * DAY
"""Seconds after which an unfinished download goes, unless an age is given."""
OLD_LEFTOVER = DAY
"""Seconds after which a half-written file can't be a running process's any more."""

_AGE = re.compile(r"(\d{1,9})\s*([smhdw])", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}


@dataclass(frozen=True)
class Removed:
    """Something that was removed, or would have been."""

    path: Path
    name: str
    """What people call it."""
    size: int
    """Bytes."""
    kind: str
    """``archive``, ``download``, ``inspection``, ``catalog`` or ``leftover``."""


@dataclass(frozen=True)
class Pruned:
    """What came of it."""

    removed: tuple[Removed, ...]
    in_use: tuple[str, ...]
    """Names of what another process is using, and what was left for that reason."""
    unknown: tuple[Path, ...]
    """What is not kitbag's, and was left alone."""

    @property
    def freed(self) -> int:
        """Bytes of all that was removed."""
        return sum(each.size for each in self.removed)


def parse_age(text: str) -> float:
    """Seconds of ``30d``, ``12h``, ``2w``, ``90m``, ``10s``; raises :class:`UsageError`."""
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--older-than {text!r} is no age; write 30d, 12h or 2w")
    return int(found[1]) * _UNITS[found[2]]


def prune(
    cache: Cache,
    *,
    keep_locks: Sequence[Path] = (),
    older_than: float | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Remove what no lock in ``keep_locks`` names and nobody used for ``older_than`` seconds.

    With one of the two given, that one decides about archives; with both an archive goes only if
    both say so; with neither every archive stays. Downloads that were cut short go when nobody
    went on with them for ``older_than``, without it for :data:`OLD_DOWNLOAD`, unless a lock names
    them; inspections go with their archives, or at the same age as downloads. Raises what reading
    a lock raises, and :class:`FileSystemError`.
    """
    named = _named(keep_locks)
    now = time.time()
    age = OLD_DOWNLOAD if older_than is None else older_than
    choosing = bool(keep_locks) or older_than is not None
    found = holdings(cache.folder)
    broom = _Broom(cache, dry_run=dry_run)
    for archive in found.archives:
        unused = older_than is None or now - archive.last_used >= older_than
        if choosing and unused and archive.sha256 not in named:
            broom.take_archive(archive)
    for download in found.unfinished:
        if download.identity not in named and now - download.last_touched >= age:
            broom.take_download(download)
    present = {archive.sha256 for archive in found.archives} - broom.archives
    for inspection in found.inspections:
        orphaned = inspection.sha256 not in present and now - inspection.last_touched >= age
        if orphaned or inspection.sha256 in broom.archives:
            broom.take_file(inspection, "inspection")
    for leftover in found.leftovers:
        if now - leftover.last_touched >= OLD_LEFTOVER:
            broom.take_file(leftover, "leftover")
    return broom.result(found)


def clean(cache: Cache, *, dry_run: bool = False) -> Pruned:
    """Remove every file that is kitbag's and that nobody is using; raises `FileSystemError`.

    The directories stay, for another process may be about to use them.
    """
    now = time.time()
    found = holdings(cache.folder)
    broom = _Broom(cache, dry_run=dry_run)
    for archive in found.archives:
        broom.take_archive(archive)
    for download in found.unfinished:
        broom.take_download(download)
    for catalog in found.catalogs:
        broom.take_file(catalog, "catalog")
    for inspection in found.inspections:
        broom.take_file(inspection, "inspection")
    for leftover in found.leftovers:
        if leftover.sha256 or now - leftover.last_touched >= OLD_LEFTOVER:
            broom.take_file(leftover, "leftover")
    return broom.result(found)


class _Broom:
    """Removes one thing after the other and keeps account of it."""

    def __init__(self, cache: Cache, *, dry_run: bool) -> None:
        self._shelf = Shelf(cache.folder / "archives", cache.reporter)
        self._dry_run = dry_run
        self._removed: list[Removed] = []
        self._in_use: list[str] = []
        self.archives: set[str] = set()
        """The digests of those that were removed."""

    def result(self, found: Holdings) -> Pruned:
        return Pruned(tuple(self._removed), tuple(self._in_use), found.unknown)

    def take_archive(self, archive: Archive) -> None:
        with _clear_errors(archive.path):
            if self._shelf.remove(archive.sha256, dry_run=self._dry_run):
                self.archives.add(archive.sha256)
                self._note(archive.path, archive.filename, archive.size, "archive")
            else:
                self._in_use.append(archive.filename)

    def take_download(self, download: Unfinished) -> None:
        with _clear_errors(download.path):
            try:
                with held_now(download.path) as free:
                    if not free:
                        self._in_use.append(download.label)
                        return
                    if not self._dry_run:
                        remove_place(download.path)
            except FileNotFoundError:
                # Without its lock nobody can be at it.
                if not self._dry_run:
                    remove_place(download.path)
            self._note(download.path, download.label, download.size, "download")

    def take_file(self, file: Leftover, kind: str) -> None:
        with _clear_errors(file.path):
            if not self._dry_run:
                os.unlink(file.path)
            self._note(file.path, file.path.name, file.size, kind)

    def _note(self, path: Path, name: str, size: int, kind: str) -> None:
        self._removed.append(Removed(path, name, size, kind))


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        # Somebody else removed it first.
        pass
    except OSError as error:
        raise file_system_error(error, str(path)) from error


def _named(locks: Iterable[Path]) -> set[str]:
    from kitbag_packer.recipes.lock import read_lock

    return {pin.sha256 for path in locks for pin in read_lock(path).pins}
