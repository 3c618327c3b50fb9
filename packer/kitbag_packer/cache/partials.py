"""The place of one download while its lock is held: taken over, left in order, removed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from typing import TYPE_CHECKING

from kitbag_packer.cache.files import remove_anything, scratch_beside, share
from kitbag_packer.cache.locking import LOCK

if TYPE_CHECKING:
    from pathlib import Path

_IDENTITY = re.compile(r"(?:url-)?[0-9a-f]{64}")
_LEAST_ROOM = 65536


def is_identity(text: str) -> bool:
    """Whether a download could have this identity."""
    return bool(_IDENTITY.fullmatch(text))


def is_writable(path: Path) -> bool:
    """Whether this process may write there; false for a file system that is read-only."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def take_over(place: Path) -> None:
    """Make sure that what was left of a download can be gone on with, whoever began it."""
    if not is_writable(place):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    data, state = place / "data", place / "state.json"
    for path in (data, state):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            remove_anything(path)
        elif not is_writable(path):
            scratch = scratch_beside(path)
            try:
                shutil.copyfile(path, scratch)
            except OSError:
                remove_anything(scratch)
                if path == data:
                    raise
                # Bytes without a state are checked in the end, if they can be.
                os.unlink(path)
            else:
                os.replace(scratch, path)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(data, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        share(data)


def check_room(place: Path, size: int) -> None:
    """Raise :class:`OSError` if the rest of ``size`` bytes does not fit."""
    missing = max(size - os.stat(place / "data").st_size, _LEAST_ROOM)
    if shutil.disk_usage(place).free < missing:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


def leave(place: Path) -> None:
    """Remove the place while its lock is held, unless bytes are there to go on with."""
    try:
        started = os.stat(place / "data").st_size > 0
    except OSError:
        started = False
    if not started:
        remove_place(place)
        return
    for name in ("data", "state.json"):
        with contextlib.suppress(OSError):
            share(place / name)


def remove_place(place: Path) -> None:
    """Remove the place of a download, whose lock the caller holds, as far as it goes."""
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(place), key=LOCK.__eq__):
            remove_anything(place / name)
        os.rmdir(place)
