"""Archives in the cache: found by digest, put there with one rename, checked before they are used.

::

    <cache>/archives/<sha256>              an archive, byte for byte
    <cache>/archives/<sha256>.json         its name, where it came from, when it was last checked
    <cache>/partial/<identity>/data        what has arrived of a download
    <cache>/partial/<identity>/state.json  what the downloader must know to go on
    <cache>/partial/<identity>/lock        held by the process that fetches it
    <cache>/catalogs/                      lists of builds, see kitbag_packer.catalogs.storage
    <cache>/inspections/                   what was found in archives, see cache.memory
    <cache>/CACHEDIR.TAG, .gitignore

A cache that can't be written still gives what it has. What is fetched then goes to a temporary
directory of the same shape, which ends with the :class:`Cache`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError, file_system_error
from kitbag_packer.cache.files import (
    is_refusal,
    make_cache_folder,
    make_folder,
)
from kitbag_packer.cache.locking import held
from kitbag_packer.cache.partials import check_room, is_identity, is_writable, leave, take_over
from kitbag_packer.cache.shelf import Entry, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kitbag_bundles.reporting import Reporter


@dataclass(frozen=True)
class PartialFile:
    """A download in progress, which this process alone may touch while it holds the lock.

    Neither file need exist or hold anything; both survive a crash. What ``state``
    holds is the downloader's affair.
    """

    data: Path
    state: Path


class Cache:
    """A cache directory; nothing is made before it is needed.

    May be used by several threads. A context manager, for whoever wants to say when what did not go
    into the cache is removed; otherwise that is when the object goes, or the process.
    """

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._reporter = reporter
        self._shelf = Shelf(self._folder / "archives", reporter)
        self._mutex = threading.Lock()
        self._refused = False
        self._temporary: Path | None = None
        self._end: Callable[[], object] = _nothing
        try:
            unfit = not os.path.isdir(self._folder) and bool(os.lstat(self._folder))
        except FileNotFoundError:
            unfit = False
        except NotADirectoryError:
            unfit = True
        except OSError as error:
            raise file_system_error(error, str(self._folder)) from None
        if unfit:
            raise UsageError(
                f"{self._folder}: can't be a cache, it is no directory or lies below a file; "
                "name another one with --cache-dir DIR or KITBAG_CACHE_DIR"
            )

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was fetched and could not be put into the cache."""
        self._end()

    @property
    def folder(self) -> Path:
        """The directory, absolute."""
        return self._folder

    @property
    def reporter(self) -> Reporter:
        """Where the cache tells what it finds."""
        return self._reporter

    def find(self, sha256: str) -> Entry | None:
        """The archive with this digest.

        An entry that is no longer what it was when it was last checked (size, times, inode) is
        hashed again, and thrown away with a warning if it is bad.
        """
        return self._look(sha256, thorough=False)

    def check(self, sha256: str) -> Entry | None:
        """Like :meth:`find`, after reading every byte."""
        return self._look(sha256, thorough=True)

    def keep(self, data: Path, *, sha256: str, filename: str, url: str) -> Entry:
        """Move ``data``, whose bytes the caller has just hashed, into the cache by one rename.

        ``url`` is shown to people and must be free of credentials. Raises
        :class:`FileSystemError` when there is no room anywhere.
        """
        return self._store(
            lambda shelf: shelf.keep(data, sha256=sha256, filename=filename, url=url), data
        )

    def add(self, source: Path, *, sha256: str, filename: str, url: str) -> Entry:
        """Copy ``source``, which is only read, into the cache.

        Raises :class:`DigestMismatch` if it is not what ``sha256`` says, :class:`FileSystemError`.
        """
        return self._store(
            lambda shelf: shelf.add(source, sha256=sha256, filename=filename, url=url), source
        )

    @contextlib.contextmanager
    def partial(
        self,
        identity: str,
        label: str,
        *,
        size: int | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Iterator[PartialFile]:
        """The place for a download; waits while another process has it, and says so.

        ``identity`` is the archive's sha256, or ``url-`` and the sha256 of its address where no
        digest is known. After waiting the archive may be there: look again with :meth:`find`.
        Where the cache can't be written, or has no room for ``size`` bytes, the place is a
        temporary one. ``stopped`` is asked while waiting; once it is true, :class:`Interrupted` is
        raised. A thread that holds a place must not ask for it again.
        """
        if not is_identity(identity):
            raise ValueError(f"{identity!r} is no identity of a download")
        home = self._folder / "partial" / identity
        with contextlib.ExitStack() as stack:
            place: Path | None = None
            if self._prepare():
                try:
                    stack.enter_context(held(home, label, self._reporter, stopped))
                    take_over(home)
                    check_room(home, size or 0)
                    place = home
                except OSError as error:
                    stack.close()
                    self._refuse(error)
            if place is None:
                place = self._temporary_place(stack, home, label, stopped)
            try:
                yield PartialFile(place / "data", place / "state.json")
            finally:
                leave(place)

    def _look(self, sha256: str, *, thorough: bool) -> Entry | None:
        found = self._shelf.find(sha256, thorough=thorough)
        if found is None and self._temporary is not None:
            found = self._temporary_shelf().find(sha256, thorough=thorough)
        return found

    def _store(self, put: Callable[[Shelf], Entry], what: Path) -> Entry:
        if self._prepare():
            try:
                return put(self._shelf)
            except OSError as error:
                self._refuse(error)
        try:
            return put(self._temporary_shelf())
        except OSError as error:
            raise file_system_error(error, str(what)) from error

    def _prepare(self) -> bool:
        """Make the directories; returns whether they can be written."""
        if self._refused:
            return False
        try:
            make_cache_folder(self._folder)
            for name in ("archives", "partial"):
                folder = self._folder / name
                make_folder(folder)
                if not is_writable(folder):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        except OSError as error:
            self._refuse(error)
        return not self._refused

    def _refuse(self, error: OSError) -> None:
        """Do without the cache from now on; any other error than a refusal ends the work."""
        if not is_refusal(error):
            raise file_system_error(error, str(self._folder)) from error
        with self._mutex:
            told, self._refused = self._refused, True
        if not told:
            self._reporter.warn(
                f"{self._folder}: the cache can't be written ({error.strerror}), so what is "
                "fetched is kept only until the end of this run; name another with --cache-dir"
            )

    def _temporary_shelf(self) -> Shelf:
        with self._mutex:
            if self._temporary is None:
                made = tempfile.mkdtemp(prefix="kitbag-cache-")
                self._temporary = Path(made)
                self._end = weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
                for name in ("archives", "partial"):
                    os.mkdir(self._temporary / name)
            return Shelf(self._temporary / "archives", self._reporter)

    def _temporary_place(
        self,
        stack: contextlib.ExitStack,
        home: Path,
        label: str,
        stopped: Callable[[], bool] | None,
    ) -> Path:
        try:
            shelf = self._temporary_shelf()
            place = shelf.folder.parent / "partial" / home.name
            stack.enter_context(held(place, label, self._reporter, stopped))
        except OSError as error:
            raise file_system_error(error, tempfile.gettempdir()) from error
        # Where another user fetches the same, waiting for that costs less than fetching again.
        with contextlib.suppress(OSError), held(home, label, self._reporter, stopped, make=False):
            if not (place / "data").exists():
                shutil.copyfile(home / "state.json", place / "state.json")
                shutil.copyfile(home / "data", place / "data")
        return place


def _nothing() -> None:
    pass
