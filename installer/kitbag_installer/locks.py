"""The exclusive lock on a root's ``<root>/.lock``, the one that uv takes too.

BSD ``flock``; on Windows ``LockFileEx``.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, LockTimeout, UsageError
from kitbag_installer.platforms import this_system

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.roots import Root

DEFAULT_TIMEOUT = 300.0
"""Seconds; ``KITBAG_LOCK_TIMEOUT`` says otherwise."""
_PAUSE = 0.1
_ATTEMPTS = 20
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


@contextlib.contextmanager
def locked(root: Root, reporter: Reporter, timeout: float | None = None) -> Iterator[None]:
    """Hold the root's lock; the root is made if another process has taken it away meanwhile.

    Waits up to ``timeout`` seconds, by default as long as :func:`lock_timeout` says, and tells of
    it. Raises :class:`LockTimeout`. Children inherit the lock, so a root stays locked until the
    last of a killed command's workers is gone.
    """
    if timeout is None:
        timeout = lock_timeout(os.environ)
    handle = _open(root)
    try:
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                if this_system.try_lock(handle):
                    if _is_there(root, handle):
                        break
                    # Whoever held it has removed the root: what is locked here is nobody's any
                    # more, and others may be at work under a new one already.
                    os.close(handle)
                    handle = _open(root)
                    continue
            except OSError as error:
                raise FileSystemError(
                    f"{root.lock_file}: can't be locked ({error.strerror}); "
                    "choose a root on a file system with locks"
                ) from None
            if time.monotonic() >= deadline:
                raise LockTimeout(
                    f"{root.path}: another process has held the lock for {timeout:g} seconds; "
                    "let it finish, then try again, or wait longer with KITBAG_LOCK_TIMEOUT"
                )
            if not told:
                reporter.info(f"waiting for another process that works on {root.path}")
                told = True
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)


def _open(root: Root) -> int:
    for _ in range(_ATTEMPTS):
        try:
            return os.open(root.lock_file, _OPEN, 0o666)
        except FileNotFoundError:
            root.prepare()
        except OSError as error:
            raise FileSystemError(
                f"{root.lock_file}: can't be opened ({error.strerror}); "
                "check who owns the root, or choose another with --root"
            ) from None
    raise FileSystemError(f"{root.path}: is removed again and again; choose another with --root")


def _is_there(root: Root, handle: int) -> bool:
    """Whether the lock file is still the one that was opened."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(root.lock_file))
    except FileNotFoundError:
        return False


def is_awaited(root: Root) -> bool:
    """Whether a process waits for the root's lock in the kernel, as uv does and kitbag does not.

    Known on Linux alone: proc_locks(5) shows such a line as ``1: -> FLOCK ...``.
    """
    try:
        inode = str(os.stat(root.lock_file).st_ino).encode("ascii")
        with open("/proc/locks", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return False
    waiting = [line.split() for line in lines if b" -> FLOCK " in line]
    return any(inode == place.rpartition(b":")[2] for words in waiting for place in words)


def lock_timeout(environ: Mapping[str, str]) -> float:
    """How many seconds to wait for a lock; raises :class:`UsageError` for what is no number."""
    text = environ.get("KITBAG_LOCK_TIMEOUT", "")
    try:
        seconds = float(text or DEFAULT_TIMEOUT)
    except ValueError:
        seconds = -1.0
    # A comparison that "nan" fails too.
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"KITBAG_LOCK_TIMEOUT is {text!r}; set it to a number of seconds")
    return seconds
