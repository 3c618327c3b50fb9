"""What has arrived of one download: the bytes, their digest, and whose bytes they are.

The state file says from where they came, so that a later run may go on, and how many of them are
known to be on the disk. A process that is killed loses none; a machine that loses its power may
lose or spoil those that were not there yet, which is told by the boot that wrote them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.cache import PartialFile

_BLOCK = 1 << 20
_SYNC_AFTER = 10.0
"""Seconds of a download that a loss of power may cost."""


@dataclass(frozen=True)
class Origin:
    """Whose bytes they are."""

    url: str = ""
    """Without credentials."""
    etag: str = ""
    modified: str = ""
    total: int | None = None
    """Bytes of the whole."""


class Partial:
    """The partial file of a download; a context manager that leaves it in order."""

    def __init__(self, place: PartialFile, *, trusted: bool, boot: str | None = None) -> None:
        """``trusted``: a digest will tell in the end, so bytes of unknown origin may stay."""
        self._data = place.data
        self._state = place.state
        self._trusted = trusted
        self._boot = boot_id() if boot is None else boot
        self.origin = Origin()
        self.have = 0
        """Bytes that are there."""
        self.gained = 0
        """Bytes that were appended since it was opened, those that were dropped later too."""
        self._hash = hashlib.sha256()
        self._durable = 0
        self._synced_at = time.monotonic()

    def __enter__(self) -> Partial:
        durable, boot, known = self._load()
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._data, flags, 0o666)
        try:
            size = os.fstat(self._file).st_size
            keep = size
            if not known and not self._trusted:
                keep = 0
            elif known and self._may_be_spoilt(boot):
                keep = min(size, durable)
            if keep < size:
                os.ftruncate(self._file, keep)
            self._durable = min(durable, keep)
            self._read_in(keep)
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            # What arrived as a whole is somebody else's affair from now on.
            if self.have and exc[0] is not None:
                with contextlib.suppress(OSError):
                    self.sync()
        finally:
            os.close(self._file)
            if not self.have:
                self._remove()

    @property
    def digest(self) -> str:
        """SHA-256 in hex of what is there."""
        return self._hash.hexdigest()

    def append(self, data: bytes | memoryview) -> None:
        """Take more bytes."""
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self.have += len(data)
        self.gained += len(data)
        if time.monotonic() - self._synced_at >= _SYNC_AFTER:
            self.sync()

    def read(self, start: int, count: int) -> bytes:
        """``count`` bytes from ``start``, fewer at the end."""
        position = os.lseek(self._file, 0, os.SEEK_CUR)
        os.lseek(self._file, start, os.SEEK_SET)
        parts = []
        while count and (part := os.read(self._file, min(count, _BLOCK))):
            parts.append(part)
            count -= len(part)
        os.lseek(self._file, position, os.SEEK_SET)
        return b"".join(parts)

    def cut(self, at: int, hashed: Any) -> None:
        """Keep the first ``at`` bytes, whose running SHA-256 is ``hashed``."""
        os.ftruncate(self._file, at)
        os.lseek(self._file, at, os.SEEK_SET)
        self._hash = hashed
        self.have = at
        self._durable = min(self._durable, at)

    def discard(self) -> None:
        """Drop everything."""
        self.cut(0, hashlib.sha256())
        self.origin = Origin()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state)

    def note(self, origin: Origin) -> None:
        """From now on the bytes are those of ``origin``."""
        if origin != self.origin:
            self.origin = origin
            self._save()

    def learn_total(self, total: int) -> None:
        """The whole has ``total`` bytes."""
        self.note(replace(self.origin, total=total))

    def sync(self) -> None:
        """Have the bytes on the disk, and note that."""
        os.fsync(self._file)
        self._durable = self.have
        self._synced_at = time.monotonic()
        self._save()

    def _may_be_spoilt(self, boot: str) -> bool:
        """Whether bytes that were not synced may be wrong; where nobody knows a digest decides."""
        return boot != self._boot if boot and self._boot else not self._trusted

    def _read_in(self, count: int) -> None:
        while self.have < count and (block := os.read(self._file, min(_BLOCK, count - self.have))):
            self._hash.update(block)
            self.have += len(block)

    def _load(self) -> tuple[int, str, bool]:
        """Set the origin; the durable bytes, the boot that wrote them, whether that is known."""
        try:
            table = json.loads(self._state.read_bytes())
            total = table["total"]
            origin = Origin(
                url=str(table["url"]),
                etag=str(table["etag"]),
                modified=str(table["last-modified"]),
                total=None if total is None else int(total),
            )
            durable, boot = max(0, int(table["durable"])), str(table["boot-id"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, "", False
        self.origin = origin
        return durable, boot, True

    def _save(self) -> None:
        table = asdict(self.origin)
        table["last-modified"] = table.pop("modified")
        table |= {"durable": self._durable, "boot-id": self._boot}
        _write_whole(self._state, json.dumps(table).encode())

    def _remove(self) -> None:
        for path in (self._data, self._state):
            with contextlib.suppress(OSError):
                os.unlink(path)


def boot_id() -> str:
    """What tells this start of the machine from others; empty where the system has no such thing.

    random(4): ``/proc/sys/kernel/random/boot_id``.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeError):
        return ""


def _write_whole(path: Path, data: bytes) -> None:
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    os.replace(new, path)
