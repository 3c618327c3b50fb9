"""Who may work on a download: BSD ``flock`` on ``<folder>/lock``, gone with its process.

The folder is removed with its lock when the work is done, so whoever gets a lock makes sure that it
is still the one that others find.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from kitbag_bundles.errors import Interrupted
from kitbag_packer.cache.files import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kitbag_bundles.reporting import Reporter

LOCK = "lock"
_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
_LONGEST_LABEL = 1000


@contextlib.contextmanager
def held(
    folder: Path,
    label: str,
    reporter: Reporter,
    stopped: Callable[[], bool] | None = None,
    *,
    make: bool = True,
) -> Iterator[None]:
    """Hold the lock of ``folder``, which is made unless ``make`` is false.

    Waits as long as it takes (a slow link may need days) and tells so; raises
    :class:`Interrupted` once ``stopped`` says so, and :class:`OSError`.
    """
    handle = _acquire(folder, label, reporter, stopped, make=make)
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def held_now(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder if nobody else does, and say whether; raises :class:`OSError`."""
    handle = _open(folder / LOCK)
    try:
        yield lock_file(handle, exclusive=True) and is_current(handle, folder / LOCK)
    finally:
        os.close(handle)


def lock_file(handle: int, *, exclusive: bool) -> bool:
    """Lock an open file for as long as it is open; false if another one has it."""
    import fcntl

    how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_current(handle: int, path: Path) -> bool:
    """Whether an open file is still the one with this name."""
    try:
        now = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino)


def label_of(folder: Path) -> str:
    """What the last one to hold the lock called its work; empty where it can't be read."""
    try:
        with open(os.open(folder / LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            text = file.read(_LONGEST_LABEL).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return "".join(each if each.isprintable() else "?" for each in text)


def _acquire(
    folder: Path,
    label: str,
    reporter: Reporter,
    stopped: Callable[[], bool] | None,
    *,
    make: bool,
) -> int:
    path = folder / LOCK
    told = False
    while True:
        if make:
            make_folder(folder)
        try:
            handle = _open(path, create=make)
        except FileNotFoundError:
            if make:
                # Removed by the one who finished a moment ago.
                continue
            raise
        try:
            pause = _SHORTEST_PAUSE
            while not lock_file(handle, exclusive=True):
                if not told:
                    reporter.info(f"waiting for another process that fetches {label}")
                    told = True
                if stopped is not None and stopped():
                    raise Interrupted(f"stopped while waiting for {label}")
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
            if is_current(handle, path):
                _sign(handle, label)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _open(path: Path, *, create: bool = False) -> int:
    flags = os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    if create:
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            # Whatever the umask: a lock that others can't open would keep them out for good.
            with contextlib.suppress(OSError):
                os.fchmod(handle, 0o666)
            return handle
    try:
        return os.open(path, flags | os.O_RDWR)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return os.open(path, flags | os.O_RDONLY)


def _sign(handle: int, label: str) -> None:
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{label}\n".encode("utf-8", "replace")[:_LONGEST_LABEL], 0)
