"""What the cache notes about an archive; every value is checked, for anyone may have written it."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kitbag_packer.cache.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 65536
_FILENAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_URL = re.compile(r"[\x21-\x7e]{0,4096}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether ``text`` is a SHA-256 in lower-case hex."""
    return bool(_DIGEST.fullmatch(text))


@dataclass(frozen=True)
class Stamp:
    """What changes when a file is written to or replaced, except by someone who sets the clock."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file as it is now."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class Record:
    """The note on one archive."""

    filename: str
    """Upstream's name, decoded; the digest where nobody knows it."""
    url: str = ""
    """Where it came from, without credentials; empty where nobody knows."""
    checked: Stamp | None = None
    """The file as it was when its bytes were last found right."""

    def stamped(self, stamp: Stamp | None) -> Record:
        """The same, last found right as ``stamp`` says."""
        return replace(self, checked=stamp)


def read_record(path: Path, sha256: str) -> Record:
    """The note at ``path`` on the archive ``sha256``; one that can't be used says nothing.

    The stamp counts only where this user or root wrote it and nobody else can have changed it.
    """
    import json

    nothing = Record(sha256)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return nothing
            found = json.loads(file.read(_LARGEST).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return nothing
    if not isinstance(found, dict):
        return nothing
    filename, url = found.get("filename"), found.get("url")
    return Record(
        filename=filename if isinstance(filename, str) and is_filename(filename) else sha256,
        url=url if isinstance(url, str) and _URL.fullmatch(url) else "",
        checked=_stamp(found.get("checked")) if is_trusted(status) else None,
    )


def write_record(path: Path, record: Record) -> None:
    """Write the note in one step; raises :class:`OSError`."""
    import json

    table: dict[str, Any] = {"filename": record.filename, "url": record.url}
    if record.checked is not None:
        checked = record.checked
        table["checked"] = {
            "size": checked.size,
            "mtime-ns": checked.mtime_ns,
            "ctime-ns": checked.ctime_ns,
            "inode": checked.inode,
        }
    write_atomically(path, json.dumps(table, indent=2).encode() + b"\n")


def is_filename(text: str) -> bool:
    """Whether ``text`` is a name for a file, and nothing but one."""
    return text not in (".", "..") and bool(_FILENAME.fullmatch(text))


def is_trusted(status: os.stat_result) -> bool:
    """Whether this user or root wrote a file, and nobody else can have changed it."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def _stamp(value: object) -> Stamp | None:
    if not isinstance(value, dict):
        return None
    names = ("size", "mtime-ns", "ctime-ns", "inode")
    numbers = [value[name] for name in names if type(value.get(name)) is int]
    if len(numbers) < len(names):
        return None
    return Stamp(*numbers)
