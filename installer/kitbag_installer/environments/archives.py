"""Reads a wheel once from its beginning to its end, and hashes it on the way.

Only the directory at the end is read beforehand, since it alone says what there is. What matters
more than the checks of the zip format is that the bytes have the digest which the lock gave; so
the CRC of a member, which says less than that, is left alone.
"""

from __future__ import annotations

import functools
import hashlib
import stat
import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Bytes = bytes | memoryview

BLOCK = 1 << 17
OUT = 1 << 18
_TAIL = 22 + 0xFFFF
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LARGEST_DIRECTORY = 1 << 27
_STORED, _DEFLATED = 0, 8
_UNIX = 3
_ENCRYPTED, _UTF8 = 1, 1 << 11
_NONE64, _NONE32, _NONE16 = 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF, 0xFFFF


class Member(NamedTuple):
    """One file of a wheel, as the directory has it."""

    path: str
    executable: bool
    """Whether somebody may run it; only what Unix made says so."""
    method: int
    packed: int
    """Bytes in the archive."""
    size: int
    """Bytes of the file."""
    offset: int
    """Where its header begins."""


def read_directory(stream: BinaryIO, size: int, filename: str) -> list[Member]:
    """The members of a wheel of ``size`` bytes in the order of their data; no directories.

    Raises :class:`ArchiveError` for what is no sound zip file, for encryption and for methods
    other than those that every zip has.
    """
    stream.seek(max(0, size - _TAIL))
    tail = stream.read(_TAIL)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise _broken(filename, "has no zip directory")
    _, _, _, _, count, length, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise _broken(filename, "has something behind its zip directory")
    if count == _NONE16 or _NONE32 in (length, start):
        count, length, start = _read_end64(stream, tail[:at], filename)
    if start + length > size or length > _LARGEST_DIRECTORY:
        raise _broken(filename, "has a zip directory that is not within it")
    stream.seek(start)
    found, first = _entries(stream.read(length), count, filename)
    if first:
        raise _broken(filename, "has something in front of the zip")
    found.sort(key=lambda member: member.offset)
    stream.seek(0)
    return found


def _read_end64(stream: BinaryIO, before: bytes, filename: str) -> tuple[int, int, int]:
    if len(before) < _LOCATOR.size:
        raise _broken(filename, "has no zip directory")
    sign, _, offset, _ = _LOCATOR.unpack(before[-_LOCATOR.size :])
    if sign != b"PK\6\7":
        # A value may happen to be the greatest one.
        raise _broken(filename, "has a zip directory with impossible values")
    stream.seek(offset)
    data = stream.read(_END64.size)
    if len(data) < _END64.size or data[:4] != b"PK\6\6":
        raise _broken(filename, "has no zip directory where it says")
    fields = _END64.unpack(data)
    return fields[7], fields[8], fields[9]


def _entries(data: bytes, count: int, filename: str) -> tuple[list[Member], int]:
    """The members that are files, and where the first one of all begins."""
    found: list[Member] = []
    at, first = 0, _NONE64
    for _ in range(count):
        if len(data) - at < _CENTRAL.size:
            raise _broken(filename, "has a zip directory that is cut short")
        fields = _CENTRAL.unpack_from(data, at)
        sign, made, _, flags, method, _, _, _, packed, size, names, extras, comments = fields[:13]
        attributes, offset = fields[15:]
        if sign != b"PK\1\2" or len(data) - at < _CENTRAL.size + names + extras + comments:
            raise _broken(filename, "has a zip directory with a broken entry")
        at += _CENTRAL.size
        name = data[at : at + names]
        if _NONE32 in (packed, size, offset):
            extra = data[at + names : at + names + extras]
            size, packed, offset = _large(extra, size, packed, offset, filename)
        at += names + extras + comments
        first = min(first, offset)
        if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
            raise _broken(filename, "has a member that is encrypted or packed in a rare way")
        if made >> 8 == _UNIX and stat.S_ISLNK(attributes >> 16):
            raise _broken(filename, "has a member that is a link")
        try:
            path = name.decode("utf-8" if flags & _UTF8 else "cp437")
        except UnicodeDecodeError:
            raise _broken(filename, "has a member whose name is no text") from None
        if not path.endswith("/"):
            executable = made >> 8 == _UNIX and bool(attributes >> 16 & 0o111)
            found.append(Member(path, executable, method, packed, size, offset))
    return found, first if count else 0


def _large(extra: bytes, size: int, packed: int, offset: int, filename: str) -> tuple[int, ...]:
    """The values for which the entry had no room (APPNOTE.TXT 4.5.3)."""
    at = 0
    while len(extra) - at >= 4:
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            numbers = list(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            values = (size, packed, offset)
            if len(numbers) < values.count(_NONE32):
                break
            return tuple(numbers.pop(0) if value == _NONE32 else value for value in values)
        at += 4 + length
    raise _broken(filename, "has an entry in its zip directory without its sizes")


class WheelStream:
    """The bytes of a wheel in their order, each hashed once."""

    def __init__(
        self, stream: BinaryIO, size: int, filename: str, advance: Callable[[int], object]
    ) -> None:
        """Begin at the beginning; ``advance`` is told how many bytes were read."""
        self._stream = stream
        self._size = size
        self._filename = filename
        self._advance = advance
        self._hash = hashlib.sha256()
        self._block: Bytes = b""
        self._at = 0
        self._position = 0

    def content(self, member: Member) -> Iterator[Bytes]:
        """The bytes of ``member``, unpacked, in one piece if they are few.

        Members must be asked for in their order. Raises :class:`ArchiveError`.
        """
        self._go_to(member)
        if member.method == _STORED:
            if member.packed != member.size:
                raise _broken(self._filename, f"has a wrong size for {member.path}")
            rest = member.size
            while rest:
                piece = self._some(rest)
                rest -= len(piece)
                yield piece
            return
        yield from self._inflate(member)

    def _inflate(self, member: Member) -> Iterator[Bytes]:
        module = _inflater()
        decoder = module.decompressobj(-15)
        left, rest = member.size, member.packed
        try:
            while rest:
                data = self._some(rest)
                rest -= len(data)
                while True:
                    # One byte more than there may be, to see that there is no more.
                    most = min(left + 1, OUT)
                    out = decoder.decompress(data, most)
                    left -= len(out)
                    if left < 0:
                        raise _broken(self._filename, f"has a wrong size for {member.path}")
                    if out:
                        yield out
                    data = decoder.unconsumed_tail
                    # Where there was no room for more, there may be more without more input.
                    if decoder.eof or (not data and len(out) < most):
                        break
        except (zlib.error, module.error) as error:
            raise _broken(self._filename, f"can't be unpacked: {member.path} ({error})") from None
        if left or not decoder.eof or decoder.unused_data:
            raise _broken(self._filename, f"has a wrong size for {member.path}")

    def finish(self) -> str:
        """Read what is left; returns the SHA-256 of all bytes in hex."""
        while self._position < self._size:
            self._some(self._size - self._position)
        return self._hash.hexdigest()

    def _go_to(self, member: Member) -> None:
        gap = member.offset - self._position
        if gap < 0:
            raise _broken(self._filename, f"has something else where {member.path} is")
        while gap:
            gap -= len(self._some(gap))
        fields = _LOCAL.unpack(self._take(_LOCAL.size))
        if fields[0] != b"PK\3\4" or fields[3] != member.method:
            raise _broken(self._filename, f"has no header for {member.path}")
        name = bytes(self._take(fields[9]))
        self._take(fields[10])
        # Some tools tell the encoding only in the directory.
        if member.path not in (name.decode("utf-8", "replace"), name.decode("cp437")):
            raise _broken(self._filename, f"has another name in the header of {member.path}")

    def _take(self, count: int) -> Bytes:
        """Exactly ``count`` bytes."""
        end = self._at + count
        if end <= len(self._block):
            data = self._block[self._at : end]
            self._at = end
            self._position += count
            return data
        parts = []
        while count:
            parts.append(self._some(count))
            count -= len(parts[-1])
        return b"".join(parts)

    def _some(self, most: int) -> Bytes:
        """At least one byte, and at most ``most``."""
        if self._at == len(self._block):
            block = self._stream.read(BLOCK)
            if not block:
                raise _broken(self._filename, "is cut short")
            self._hash.update(block)
            self._advance(len(block))
            self._block, self._at = memoryview(block), 0
        data = self._block[self._at : self._at + most]
        self._at += len(data)
        self._position += len(data)
        return data


@functools.cache
def _inflater() -> Any:
    from kitbag_bundles.archives.compression import inflating

    return inflating()


def digest_of(stream: BinaryIO) -> str:
    """SHA-256 of all bytes in hex."""
    found = hashlib.sha256()
    stream.seek(0)
    while block := stream.read(BLOCK):
        found.update(block)
    return found.hexdigest()


def _broken(filename: str, what: str) -> ArchiveError:
    return ArchiveError(f"{filename}: {what}; the wheel is broken, take another one")
