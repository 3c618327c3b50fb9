"""The exclusive lock on a root: BSD ``flock`` on ``<root>/.lock``, the one that uv takes too."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.roots import Root

DEFAULT_TIMEOUT = 300.0
_PAUSE = 0.1


@contextlib.contextmanager
def locked(root: Root, reporter: Reporter, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
    """Hold the root's lock; the root's directory must exist.

    Waits up to ``timeout`` seconds and says so. Raises :class:`LockTimeout`. Children inherit the
    lock, so a root stays locked until the last of a killed command's workers is gone.
    """
    import fcntl

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
                    f"{root.path}: another process has held the lock for {timeout:.0f} seconds; "
                    "let it finish, then try again"
                )
            if not told:
                reporter.info(f"waiting for another process that works on {root.path}")
                told = True
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)
