"""The exclusive lock on a root: BSD ``flock`` on ``<root>/.lock``, the one that uv takes too."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, LockTimeout, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.roots import Root

DEFAULT_TIMEOUT = 300.0
"""Seconds; ``KITBAG_LOCK_TIMEOUT`` says otherwise."""
_PAUSE = 0.1


@contextlib.contextmanager
def locked(root: Root, reporter: Reporter, timeout: float | None = None) -> Iterator[None]:
    """Hold the root's lock; the root's directory must exist.

    Waits up to ``timeout`` seconds, by default as long as :func:`lock_timeout` says, and tells of
    it. Raises :class:`LockTimeout`. Children inherit the lock, so a root stays locked until the
    last of a killed command's workers is gone.
    """
    import fcntl

    if timeout is None:
        timeout = lock_timeout(os.environ)
    try:
        handle = os.open(root.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise FileSystemError(
            f"{root.lock_file}: can't be opened ({error.strerror}); "
            "check who owns the root, or choose another with --root"
        ) from None
    try:
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
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
