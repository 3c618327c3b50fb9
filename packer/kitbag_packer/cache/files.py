"""Files and directories of a cache that several processes and users share."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NEW = ".new-"
"""How the name of a file begins that is still being written; a crash may leave one."""

OURS = frozenset({"archives", "partial", "catalogs", "inspections", "CACHEDIR.TAG", ".gitignore"})
"""What kitbag makes in the directory of a cache."""

_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This file marks a cache directory, made by kitbag; backups may leave it out.
# See https://bford.info/cachedir/
"""
_CHUNK = 1024 * 1024
_REFUSALS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
        *(errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
    }
)


def is_refusal(error: OSError) -> bool:
    """Whether a cache can't be written, or not locked, and could still be read."""
    return error.errno in _REFUSALS


def make_cache_folder(folder: Path) -> None:
    """Make the directory of a cache and mark it as one; raises :class:`OSError`.

    A directory that holds anything else is not marked: backups would leave that out, too.
    """
    os.makedirs(folder, exist_ok=True)
    names = set(os.listdir(folder))
    if names <= OURS and not {"CACHEDIR.TAG", ".gitignore"} <= names:
        write_atomically(folder / "CACHEDIR.TAG", _TAG)
        write_atomically(folder / ".gitignore", b"*\n")


def make_folder(folder: Path) -> None:
    """Make a directory below one that exists; raises :class:`OSError`.

    Whoever may read and write the parent may do so in the new one, whatever the umask: that is how
    a mount is shared.
    """
    try:
        os.mkdir(folder)
    except FileExistsError:
        # Whoever is done with an empty folder may remove it at any moment, also this one.
        try:
            if stat.S_ISDIR(os.stat(folder).st_mode):
                return
        except FileNotFoundError:
            if not os.path.islink(folder):
                return
        raise
    wanted = stat.S_IMODE(os.stat(folder.parent).st_mode) & 0o1777
    with contextlib.suppress(FileNotFoundError):
        given = stat.S_IMODE(os.stat(folder).st_mode)
        if wanted & ~given:
            os.chmod(folder, given | wanted)


def share(path: Path) -> None:
    """Let everyone read a file who may read its directory, and nobody else change it."""
    wanted = stat.S_IMODE(os.stat(path.parent).st_mode) & 0o044
    given = stat.S_IMODE(os.stat(path).st_mode)
    if given != (given & 0o644 | wanted):
        os.chmod(path, given & 0o644 | wanted)


def write_atomically(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file in one step, without asking the drive to hurry; raises :class:`OSError`.

    With ``private`` only this user may read it.
    """
    scratch = scratch_beside(path)
    mode = 0o600 if private else 0o644
    try:
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        if not private:
            share(scratch)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


def scratch_beside(path: Path) -> Path:
    """A name in the same directory that nobody uses."""
    return path.parent / f"{NEW}{secrets.token_hex(8)}"


def copy_hashed(source: Path, destination: Path) -> str:
    """Copy the bytes of ``source`` to a new file; returns their SHA-256 in hex."""
    digest = hashlib.sha256()
    with open(source, "rb", buffering=0) as reader, open(destination, "xb", buffering=0) as writer:
        view = memoryview(bytearray(_CHUNK))
        while count := reader.readinto(view):
            digest.update(view[:count])
            left = view[:count]
            while left:
                left = left[writer.write(left) :]
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Bring the bytes of a file to the drive, so that its name never stands for other ones."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_anything(path: Path) -> None:
    """Remove a file, a link or a whole directory, if it is there; raises :class:`OSError`."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        if path.is_symlink() or not path.is_dir():
            raise
        shutil.rmtree(path)
