"""Files and folders that appear whole and flushed, or not at all.

A file is written beside its place under ``<name>.partial``, a folder beside its own; what a run
that was killed left there, the next one throws away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING, Any

from kitbag_bundles.container import CHUNK
from kitbag_bundles.errors import LockTimeout, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = ".partial"
_MARK = ".kitbag-unfinished"


@contextlib.contextmanager
def new_folder(directory: str) -> Iterator[str]:
    """A folder beside ``directory``, which is not there: takes its name only if all goes well."""
    folder = directory + PARTIAL
    if os.path.lexists(folder):
        if not os.path.lexists(os.path.join(folder, _MARK)):
            raise UsageError(f"{folder} is in the way; move it, or export to another directory")
        with locked_folder(folder):
            shutil.rmtree(folder)
    os.mkdir(folder)
    try:
        with locked_folder(folder):
            mark = os.path.join(folder, _MARK)
            with open(mark, "xb"):
                pass
            yield folder
            os.unlink(mark)
            os.rename(folder, directory)
            flush_folder(os.path.dirname(directory))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def filled_folder(directory: str) -> Iterator[str]:
    """A folder that is empty, or that a killed run began to fill; it is emptied if all goes ill.

    It keeps its place, so it may be a mount point, or lie where nothing else may be made.
    """
    mark = os.path.join(directory, _MARK)
    with locked_folder(directory):
        with open(mark, "wb"):
            pass
        try:
            yield directory
            os.unlink(mark)
        except BaseException:
            for name in sorted(os.listdir(directory), key=_MARK.__eq__):
                path = os.path.join(directory, name)
                with contextlib.suppress(OSError):
                    if os.path.isdir(path):
                        shutil.rmtree(path)
                    else:
                        os.unlink(path)
            raise


def can_be_filled(directory: str) -> bool:
    """Whether :func:`filled_folder` may have the folder."""
    names = os.listdir(directory)
    return not names or _MARK in names


@contextlib.contextmanager
def locked_folder(folder: str) -> Iterator[None]:
    """Keep other exports out of ``folder``, where the system has locks for that."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise LockTimeout(
                    f"{folder}: another kitbag exports to it; let it finish, then try again"
                ) from None
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def written(path: str) -> Iterator[Any]:
    """A file that appears at ``path``, flushed, when the block ends well, and never otherwise."""
    partial = path + PARTIAL
    folder = os.path.dirname(path)
    made = _make_folders(folder)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        flush_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        for each in made:
            with contextlib.suppress(OSError):
                os.rmdir(each)
        raise


def _make_folders(folder: str) -> list[str]:
    """Make ``folder``; returns what was made, innermost first."""
    made = []
    missing = folder
    while not os.path.isdir(missing):
        made.append(missing)
        missing = os.path.dirname(missing)
    for each in reversed(made):
        os.mkdir(each)
    return made


def flush_folder(folder: str) -> None:
    """Make names in ``folder`` last; systems without that are left in peace."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def has_content(path: str, size: int, sha256: str) -> bool:
    """Whether a file with this content is at ``path``."""
    import hashlib

    if not os.path.isfile(path) or os.path.getsize(path) != size:
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == sha256


def has_bytes(path: str, data: bytes) -> bool:
    """Whether a file with these bytes is at ``path``."""
    if not os.path.isfile(path) or os.path.getsize(path) != len(data):
        return False
    with open(path, "rb") as file:
        return file.read(len(data)) == data
