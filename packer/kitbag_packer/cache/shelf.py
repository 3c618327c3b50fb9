"""Archives in one directory, by their digest: found, checked, thrown away, put there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DigestMismatch
from kitbag_packer.cache.files import (
    copy_hashed,
    make_folder,
    remove_anything,
    scratch_beside,
    share,
    sync,
)
from kitbag_packer.cache.locking import is_current, lock_file
from kitbag_packer.cache.records import Record, Stamp, is_digest, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_bundles.reporting import Reporter


_MOST_HELD = 400
"""Open files are few; of more archives than these, the rest is protected by nothing."""
_LONGEST_REMOVAL = 5.0


@dataclass(frozen=True)
class Entry:
    """An archive in the cache."""

    path: Path
    sha256: str
    size: int
    """Bytes."""
    filename: str
    """Upstream's name, decoded."""


class Shelf:
    """``<folder>/<sha256>`` and ``<folder>/<sha256>.json``; the folder need not exist."""

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self.folder = folder
        self._reporter = reporter
        self._bad: dict[str, Stamp] = {}
        self._held: dict[str, int] = {}
        weakref.finalize(self, _close_all, self._held)

    def find(self, sha256: str, *, thorough: bool = False) -> Entry | None:
        """The archive, if it is there and right; a wrong one is thrown away.

        Its bytes are read when ``thorough``, or when it isn't what it was when they were last read.
        """
        if not is_digest(sha256):
            return None
        path = self.folder / sha256
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._reporter.warn(f"{path}: can't be read ({error.strerror}), so it is not used")
            return None
        try:
            status = os.fstat(handle)
            stamp, record = Stamp.of(status), self.record(sha256)
            good = stat.S_ISREG(status.st_mode)
            if good and (thorough or record.checked != stamp):
                good = self._bad.get(sha256) != stamp and _has_digest(handle, sha256)
                unchanged = Stamp.of(os.fstat(handle)) == stamp
                record = record.stamped(stamp if unchanged else None)
            if good and not self._hold(sha256, handle):
                return None
        finally:
            os.close(handle)
        if not good:
            self._discard(sha256, stamp)
            return None
        self._use(sha256, record)
        return Entry(path, sha256, stamp.size, record.filename)

    def keep(self, data: Path, *, sha256: str, filename: str, url: str) -> Entry:
        """Move ``data`` here by one rename, also from another file system; raises `OSError`."""
        there = self._there(sha256, filename, url)
        if there is not None:
            os.unlink(data)
            return there
        # First, so that a crash before the second note leaves an archive whose name is known.
        make_folder(self.folder)
        write_record(self._note(sha256), Record(filename, url))
        sync(data)
        try:
            os.replace(data, self.folder / sha256)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(data, sha256)
            os.unlink(data)
        return self._finish(sha256, filename, url)

    def add(self, source: Path, *, sha256: str, filename: str, url: str) -> Entry:
        """Copy ``source`` here; raises :class:`DigestMismatch` if it is not that, `OSError`."""
        there = self._there(sha256, filename, url)
        if there is not None:
            return there
        make_folder(self.folder)
        self._copy(source, sha256)
        return self._finish(sha256, filename, url)

    def _there(self, sha256: str, filename: str, url: str) -> Entry | None:
        there = self.find(sha256)
        if there is None or there.filename != sha256:
            return there
        named = Record(filename, url, self.record(sha256).checked)
        with contextlib.suppress(OSError):
            write_record(self._note(sha256), named)
        return replace(there, filename=filename)

    def _copy(self, source: Path, sha256: str) -> None:
        scratch = scratch_beside(self.folder / sha256)
        try:
            seen = copy_hashed(source, scratch)
            if seen != sha256:
                raise DigestMismatch(f"{source}: has SHA-256 {seen}, not {sha256}; do not use it")
            sync(scratch)
            os.replace(scratch, self.folder / sha256)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise

    def _finish(self, sha256: str, filename: str, url: str) -> Entry:
        path = self.folder / sha256
        with contextlib.suppress(OSError):
            share(path)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._hold(sha256, handle)
            stamp = Stamp.of(os.fstat(handle))
        finally:
            os.close(handle)
        with contextlib.suppress(OSError):
            write_record(self._note(sha256), Record(filename, url, stamp))
        return Entry(path, sha256, stamp.size, filename)

    def record(self, sha256: str) -> Record:
        """What is noted about an archive."""
        return read_record(self._note(sha256), sha256)

    def remove(self, sha256: str, *, dry_run: bool = False) -> bool:
        """Remove an archive and its note unless somebody uses it; raises :class:`OSError`.

        False if somebody does. With ``dry_run`` nothing is removed.
        """
        path = self.folder / sha256
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not lock_file(handle, exclusive=True):
                return False
            if not dry_run:
                remove_anything(path)
                remove_anything(self._note(sha256))
        finally:
            os.close(handle)
        return True

    def _note(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.json"

    def _hold(self, sha256: str, handle: int) -> bool:
        """Keep others from removing an archive while this object lives; false if it is gone."""
        if sha256 in self._held:
            if is_current(self._held[sha256], self.folder / sha256):
                return True
            os.close(self._held.pop(sha256))
        # Whoever removes an archive has it for a moment only.
        deadline = time.monotonic() + _LONGEST_REMOVAL
        try:
            while not lock_file(handle, exclusive=False):
                if time.monotonic() > deadline:
                    return True
                time.sleep(0.01)
            if not is_current(handle, self.folder / sha256):
                return False
            if len(self._held) < _MOST_HELD:
                self._held[sha256] = os.dup(handle)
        except OSError:
            # A file system without locks: whoever cleans up there must know what runs.
            pass
        return True

    def _use(self, sha256: str, record: Record) -> None:
        # The note, not the archive: a touched archive has another ctime.
        note = self._note(sha256)
        with contextlib.suppress(OSError):
            if self.record(sha256) != record:
                write_record(note, record)
            else:
                os.utime(note)

    def _discard(self, sha256: str, stamp: Stamp) -> None:
        path = self.folder / sha256
        told = self._bad.get(sha256) == stamp
        try:
            # Another process may have replaced it by a good one meanwhile.
            if Stamp.of(os.stat(path)) == stamp:
                if path.is_dir() and not path.is_symlink():
                    os.rename(path, f"{path}.{secrets.token_hex(4)}.foreign")
                else:
                    os.unlink(path)
            fate = "it was thrown away"
        except OSError:
            self._bad[sha256] = stamp
            fate = "it is not used"
        if not told:
            name = self.record(sha256).filename
            self._reporter.warn(f"{path}: damaged, not the {name} that was put there; {fate}")


def _has_digest(handle: int, sha256: str) -> bool:
    try:
        with open(handle, "rb", buffering=0, closefd=False) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _close_all(handles: dict[str, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])
