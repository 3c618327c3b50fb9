"""What the system says about the file system that a directory is on, or would be on."""

from __future__ import annotations

import os
from typing import NamedTuple

from kitbag_installer.platforms import this_system

_MOUNTS = "/proc/self/mountinfo"
_LARGEST_UNIT = 1 << 16
_USUAL_UNIT = 4096
_NAME_MAX = 255


class Place(NamedTuple):
    """Where a directory is or would be made; numbers are ``None`` where nobody tells them."""

    folder: str
    """The nearest directory that is there."""
    obstacle: str
    """What is there and is no directory, in the way of making it; mostly empty."""
    kind: str
    """The type of the file system, ``ext4``; empty where it can't be told."""
    unit: int
    """In how many bytes space is given out."""
    free: int | None
    """Bytes for this user."""
    inodes: int | None
    """Inodes for this user."""
    read_only: bool
    no_exec: bool
    longest_name: int
    """Bytes of one name."""
    longest_path: int
    """Bytes of a path that a system call takes."""

    @property
    def can_write(self) -> bool:
        """Whether this user may make something in ``folder``."""
        return allowed(self.folder, os.W_OK | os.X_OK)


def place_of(path: str) -> Place:
    """Look at ``path``, absolute, or at the nearest directory above it that exists."""
    folder, obstacle = _nearest(path)
    try:
        status = os.statvfs(folder)
        device = os.stat(folder).st_dev
    except (OSError, AttributeError):
        return _place_by_shutil(folder, obstacle)
    # A file system without a size, such as a tmpfs without limit, says 0 of 0. What is reserved
    # for root is for root alone.
    free = status.f_bfree if _is_root() else status.f_bavail
    inodes = status.f_ffree if _is_root() else status.f_favail
    unit = status.f_frsize or status.f_bsize
    return Place(
        folder=folder,
        obstacle=obstacle,
        kind=_kind(folder, device),
        # A network's "block" is how much it likes to transfer at once, up to megabytes.
        unit=unit if 512 <= unit <= _LARGEST_UNIT else _USUAL_UNIT,
        free=free * (status.f_frsize or status.f_bsize) if status.f_blocks else None,
        inodes=inodes if status.f_files else None,
        read_only=bool(status.f_flag & getattr(os, "ST_RDONLY", 1)),
        no_exec=bool(status.f_flag & getattr(os, "ST_NOEXEC", 0)),
        longest_name=status.f_namemax or _NAME_MAX,
        longest_path=this_system.longest_path(folder),
    )


def _place_by_shutil(folder: str, obstacle: str) -> Place:
    """What there is to know where the system has no ``statvfs``, as on Windows."""
    import shutil

    try:
        free: int | None = shutil.disk_usage(folder).free
    except OSError:
        free = None
    longest = this_system.longest_path(folder)
    unit, name = _USUAL_UNIT, _NAME_MAX
    return Place(folder, obstacle, "", unit, free, None, False, False, name, longest)


def allowed(path: str, mode: int) -> bool:
    """Whether this user may; asks the kernel, which knows of capabilities and asks servers."""
    return os.access(path, mode)


def _nearest(path: str) -> tuple[str, str]:
    obstacle = ""
    while not os.path.isdir(path):
        if os.path.lexists(path):
            obstacle = path
        above = os.path.dirname(path)
        if above == path:
            break
        path = above
    return path, obstacle


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _kind(folder: str, device: int) -> str:
    """The type of the file system by proc(5)'s list of mounts; empty where there is none."""
    try:
        with open(_MOUNTS, "rb") as file:
            mounts = file.read()
    except OSError:
        return ""
    number = b" %d:%d " % (os.major(device), os.minor(device))
    lines = [line for line in mounts.splitlines() if number in line]
    if not lines:
        # A subvolume of btrfs has a device number of its own.
        inside = os.fsencode(os.path.realpath(folder)).rstrip(b"/") + b"/"
        lines = [
            line for line in mounts.splitlines() if inside.startswith(_mount_point(line) + b"/")
        ]
        lines.sort(key=lambda line: len(_mount_point(line)))
    return lines[-1].partition(b" - ")[2].split(b" ")[0].decode("ascii", "replace") if lines else ""


def _mount_point(line: bytes) -> bytes:
    fields = line.split(b" ", 5)
    return fields[4].rstrip(b"/") if len(fields) > 5 else b"\0"
