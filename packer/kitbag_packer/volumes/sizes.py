"""How large a volume may be: what people write, and what a file system holds."""

from __future__ import annotations

import os
import re

from kitbag_bundles.errors import FileSystemError, UsageError
from kitbag_bundles.volumesums import MOST
from kitbag_bundles.zipformat import ALIGNMENT

LEAST = 64 * 1024
"""The smallest volume: the shell header must be whole in the first one."""
FAT_LIMIT = 2**32 - 1
"""The largest file of FAT32, in bytes; exFAT has no such limit."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?(?:\s*-\s*(\d+))?", re.ASCII | re.IGNORECASE)
_FAT = ("vfat", "msdos")
_MOUNTS = "/proc/self/mountinfo"


def parse_volume_size(text: str) -> int:
    """Bytes of ``4GiB-1``, ``700MB``, ``4.7GB``, ``2G``, rounded down to a multiple of 4096.

    Units without an ``i`` are powers of 1000, as media are sold. Raises :class:`UsageError`.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{text!r} is no volume size; write 4GiB-1, 2GiB, 700MB or a number")
    number, unit, binary, less = found.groups()
    if binary and not unit:
        raise UsageError(f"{text!r} is no volume size; write 4GiB-1, 2GiB, 700MB or a number")
    factor: int = pow(1024 if binary else 1000, " kmgt".index(unit.lower() or " "))
    whole, _, fraction = number.partition(".")
    exact = int(whole) * factor + int(fraction or 0) * factor // 10 ** len(fraction)
    size: int = (exact - int(less or 0)) // ALIGNMENT * ALIGNMENT
    if size < LEAST:
        raise UsageError(f"{text!r} is too small for a volume; the least is 64KiB")
    return size


def count_volumes(size: int, volume_size: int) -> int:
    """How many volumes ``size`` bytes make; raises :class:`UsageError` if they are too many."""
    count = -(-size // volume_size)
    if count > MOST:
        least = -(-size // MOST)
        raise UsageError(
            f"{size} bytes would make {count} volumes, and there can be {MOST}; choose a volume "
            f"size of at least {-(-least // ALIGNMENT) * ALIGNMENT} bytes"
        )
    return count


def check_file_size(
    target: str, size: int, advice: str, mounts: str = "/proc/self/mountinfo"
) -> None:
    """Raise :class:`FileSystemError` if the file system at ``target`` can't hold such a file.

    ``target`` is absolute. Systems that do not tell are believed to hold any.
    """
    if size > FAT_LIMIT:
        folder = os.path.realpath(os.path.dirname(target))
        if file_system(folder, mounts) in _FAT:
            raise FileSystemError(
                f"cannot write {target}: it would have {size} bytes, and the FAT file system there "
                f"holds files of less than 4 GiB; {advice}"
            )


def file_system(folder: str, mounts: str = _MOUNTS) -> str:
    """The type of the file system that holds ``folder``, as Linux calls it; "" if not known.

    The format of the list is that of proc_pid_mountinfo(5).
    """
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        # Of several at one place the last one is on top.
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind
