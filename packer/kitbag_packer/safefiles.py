"""New files that survive a pulled plug, and plain words for what a file system refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING, BinaryIO, Protocol

from kitbag_bundles.errors import FileSystemError, UsageError
from kitbag_installer.placing import flush_folder

__all__ = [
    "check_space",
    "clear_errors",
    "create",
    "discard",
    "discard_unused",
    "flush",
    "flush_folder",
    "hold",
    "in_use",
    "write_all",
]

if TYPE_CHECKING:
    from collections.abc import Iterator


class Writable(Protocol):
    """What takes bytes, all or some of them."""

    def write(self, data: memoryview, /) -> int:
        """Write, and say how much."""
        ...


def check_space(target: str, size: int) -> None:
    """Refuse at once what would fail after minutes of copying."""
    folder = os.path.dirname(target)
    try:
        free = shutil.disk_usage(folder).free
    except FileNotFoundError:
        raise UsageError(f"cannot write {target}: there is no folder {folder}") from None
    except OSError as error:
        raise FileSystemError(f"cannot write {target}: {error.strerror}") from None
    if free < size:
        raise FileSystemError(
            f"cannot write {target}: it needs {size} bytes and {folder} has {free} left"
        )


def discard(path: str) -> None:
    """Remove what an interrupted run left, if it left anything."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def discard_unused(path: str) -> None:
    """Remove what a killed run left; raises :class:`UsageError` if a run that lives has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        discard(path)
        return
    try:
        if not _locked(descriptor):
            raise in_use(path)
        discard(path)
    finally:
        os.close(descriptor)


def hold(output: BinaryIO, path: str) -> int:
    """Show other runs that the new file at ``path`` is in use, until the descriptor is closed.

    Raises :class:`UsageError` if another run took it away in the moment since it was created.
    """
    descriptor = os.dup(output.fileno())
    if _locked(descriptor):
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
    os.close(descriptor)
    raise in_use(path)


def in_use(path: str) -> UsageError:
    """The error for a file that another run is writing."""
    return UsageError(
        f"{path} is being written by another run; let it finish, or choose another name"
    )


def _locked(descriptor: int) -> bool:
    """Whether nobody else has it; where there are no locks everybody is believed."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def create(path: str) -> BinaryIO:
    """A file that was not there before, unbuffered."""
    return open(path, "xb", buffering=0)


def write_all(output: Writable, data: bytes | memoryview) -> None:
    """Write everything; a single call may write less."""
    view = memoryview(data)
    while view:
        view = view[output.write(view) :]


def flush(output: BinaryIO) -> None:
    """To the drive, and out of the cache, so that a later read comes from the drive."""
    os.fsync(output.fileno())
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(output.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def clear_errors(target: str) -> Iterator[None]:
    """Turn what the system says while ``target`` is written into one clear line."""
    advice = {
        errno.ENOSPC: "free some space or write elsewhere",
        errno.EDQUOT: "free some space or write elsewhere",
        errno.EFBIG: "its file system cannot hold a file that large; split it into volumes",
        errno.EROFS: "write elsewhere",
        errno.EACCES: "write elsewhere, or ask for permission",
        errno.EPERM: "write elsewhere, or ask for permission",
    }
    try:
        yield
    except OSError as error:
        hint = advice.get(error.errno or 0, "check the drive")
        message = f"cannot write {target}: {error.strerror or error}; {hint}"
        raise FileSystemError(message) from error
