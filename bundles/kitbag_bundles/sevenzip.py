"""A bundle inside of a ``.7z``: found by its place in the file, and read there without a copy.

Only the frame of the file is read here: that it has one member, and where the member's bytes are.
Stored and not encrypted, they are a bundle's own bytes in one run, and all the rest of kitbag reads
them as it reads any file. Names in the frame mean nothing. The format is that of 7-Zip's
``7zFormat.txt``; :mod:`kitbag_packer.sevenzip` writes it, and turns the other kinds into stored
ones.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from kitbag_bundles.errors import BundleError, UsageError
from kitbag_bundles.volumes import Span, Volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.volumes import Piece

MAGIC = b"7z\xbc\xaf\x27\x1c"
START = struct.Struct("<6s2BI")
"""Signature, version, and the CRC of what follows."""
NEXT = struct.Struct("<2QI")
"""Offset from here, size and CRC of the header."""
FRAME = START.size + NEXT.size
"""Bytes before the first packed stream."""

STORED = "stored"
ENCRYPTED = "encrypted"
COMPRESSED = "compressed"

COPY = b"\x00"
"""The method that leaves bytes as they are."""
_AES = b"\x06\xf1\x07\x01"
_MOST_HEADER = 1 << 16
"""Far more than one member needs."""
_MOST = 32
"""Of folders and coders; one member needs a few."""


class Packed(NamedTuple):
    """The member of a ``.7z``, as far as its frame tells."""

    kind: str
    """:data:`STORED`, :data:`ENCRYPTED` (its name perhaps too), or :data:`COMPRESSED`."""
    offset: int
    """Where its packed bytes begin in the file; 0 if not stored."""
    size: int
    """Bytes of the member; 0 where that is encrypted or compressed itself."""


class Inner(Volumes):
    """A run of bytes of other volumes, as if it were a file on its own."""

    def __init__(self, outer: Volumes, start: int, size: int) -> None:
        """``size`` bytes from ``start``."""
        super().__init__([(part.path, part.status) for part in outer.parts])
        self._outer = outer
        self._start = start
        self.size = size

    def open(self) -> Span:
        """A new unbuffered stream over the run."""
        return _InnerSpan(self._outer, self._start, self.size)

    def pieces(self, offset: int, size: int) -> list[Piece]:
        """Where the bytes are in the files."""
        return self._outer.pieces(self._start + offset, min(size, self.size - offset))

    def accuse(self, offset: int = 0, size: int = 0) -> str:
        """Which of several files are to blame."""
        return self._outer.accuse(self._start + offset, size)


class _InnerSpan(Span):
    def __init__(self, outer: Volumes, start: int, size: int) -> None:
        super().__init__(outer)
        self._start = start
        self._inner_size = size
        super().seek(start)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the run goes."""
        left = self._inner_size - self.tell()
        view = memoryview(buffer)  # of bytes: PyPy reads into no slice of one that was cast
        if left <= 0 or not view:
            return 0
        return super().readinto(view[:left] if len(view) > left else view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move within the run."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._inner_size}[whence]
        position = base + offset
        if position < 0:
            raise ValueError("negative seek position")
        super().seek(self._start + position)
        return position

    def tell(self) -> int:
        """The position within the run."""
        return super().tell() - self._start


def unwrapped(volumes: Volumes) -> Volumes:
    """The bundle's own bytes: those inside of a ``.7z``, and ``volumes`` itself if it is none.

    Raises :class:`UsageError` for one that has to be converted first, and :class:`BundleError` for
    one that is damaged or holds anything else than one file.
    """
    if not is_sevenzip(volumes):
        return volumes
    found = look(volumes)
    if found.kind != STORED:
        raise UsageError(
            f"{volumes.path} is {found.kind}, so it can't be read in place; convert it first: "
            "kitbag convert FILE tools.kitbag, or unpack it with 7-Zip: 7z x FILE"
        )
    return Inner(volumes, found.offset, found.size)


def is_sevenzip(volumes: Volumes) -> bool:
    """Whether the bytes begin as those of a ``.7z`` do."""
    with volumes.open() as stream:
        return stream.read(len(MAGIC)) == MAGIC


def look(volumes: Volumes) -> Packed:
    """Read the frame of a ``.7z``; raises :class:`BundleError`."""
    return _Frame(volumes).look()


class _Frame:
    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def look(self) -> Packed:
        start = self._read(0, FRAME)
        signature, _, _, crc = START.unpack_from(start)
        if signature != MAGIC or zlib.crc32(start[START.size :]) != crc:
            self._refuse("the start of the .7z does not have its CRC")
        offset, size, header_crc = NEXT.unpack_from(start, START.size)
        if FRAME + offset + size != self._volumes.size:
            self._refuse("the .7z does not end where it says; its end is missing or it has more")
        if not size:
            self._refuse_contents("nothing")
        if size > _MOST_HEADER:
            self._refuse_contents("many members")
        header = self._read(FRAME + offset, size)
        if zlib.crc32(header) != header_crc:
            self._refuse("the header of the .7z does not have its CRC")
        try:
            return self._parse(_Numbers(header), offset)
        except _Several:
            self._refuse_contents("several members")
        except _Odd:
            self._refuse("the header of the .7z cannot be read")

    def _parse(self, numbers: _Numbers, end: int) -> Packed:
        kind = numbers.byte()
        if kind == 0x17:
            # The header itself is packed: what is in it, only an unpacker can tell.
            streams = _Streams(numbers)
            return Packed(ENCRYPTED if _AES in streams.methods else COMPRESSED, 0, 0)
        if kind != 0x01:
            raise _Odd
        kind = numbers.byte()
        if kind == 0x02:
            while kind := numbers.byte():
                numbers.skip(numbers.number())
            kind = numbers.byte()
        if kind != 0x04:
            self._refuse_contents("no file with content")
        streams = _Streams(numbers)
        if numbers.byte() != 0x05:
            raise _Odd
        if numbers.number() != 1 or streams.members != 1:
            self._refuse_contents("several members")
        if streams.methods != [COPY]:
            return Packed(ENCRYPTED if _AES in streams.methods else COMPRESSED, 0, streams.size)
        if streams.size != streams.packed_size or streams.start + streams.size > end:
            self._refuse("its member does not fit into the .7z")
        return Packed(STORED, FRAME + streams.start, streams.size)

    def _read(self, offset: int, size: int) -> bytes:
        with io.BufferedReader(self._volumes.open()) as stream:
            stream.seek(offset)
            data = stream.read(size)
        if len(data) != size:
            self._refuse("the .7z is too short")
        return data

    def _refuse(self, why: str) -> NoReturn:
        raise BundleError(f"{self._volumes.path} is damaged: {why}; copy it again")

    def _refuse_contents(self, what: str) -> NoReturn:
        raise BundleError(
            f"{self._volumes.path} holds {what}; kitbag reads a .7z that has one bundle as its only"
            " member; unpack it with 7-Zip: 7z x FILE"
        )


class _Odd(Exception):
    """The header is not spelt as the format wants it."""


class _Several(Exception):
    """There is not one member."""


class _Numbers:
    """A header as it is spelt: bytes, and numbers whose first byte tells their length."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        first = self.byte()
        extra, mask = 0, 0x80
        while first & mask:
            extra += 1
            mask >>= 1
        low = int.from_bytes(self.take(extra), "little")
        return low + ((first & (mask - 1) if mask else 0) << (8 * extra))

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise _Odd
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def skip(self, size: int) -> None:
        self.take(size)

    def digests(self, count: int) -> None:
        """Pass over the CRCs of ``count`` streams."""
        defined = count
        if not self.byte():
            bits = self.take((count + 7) // 8)
            defined = sum(bin(byte).count("1") for byte in bits)
        self.skip(4 * defined)


class _Streams:
    """What a header says of packed streams: where they are, how they are packed, how many."""

    def __init__(self, numbers: _Numbers) -> None:
        self.start = 0
        """Of the first packed stream, from the end of the frame."""
        self.packed_size = 0
        self.size = 0
        self.members = 0
        self.methods: list[bytes] = []
        self._numbers = numbers
        self._folders = 0
        self._sizes_of: list[int] = []
        readers = {0x06: self._pack_info, 0x07: self._folder_info, 0x08: self._substreams}
        while kind := numbers.byte():
            if kind not in readers:
                raise _Odd
            readers.pop(kind)()

    def _pack_info(self) -> None:
        numbers = self._numbers
        self.start = numbers.number()
        count = numbers.number()
        while kind := numbers.byte():
            if kind == 0x09:
                self.packed_size = sum(numbers.number() for _ in range(_bounded(count)))
            elif kind == 0x0A:
                numbers.digests(_bounded(count))
            else:
                raise _Odd

    def _folder_info(self) -> None:
        numbers = self._numbers
        if numbers.byte() != 0x0B:
            raise _Odd
        self._folders = self.members = numbers.number()
        if numbers.byte():
            raise _Odd
        outs = [self._folder() for _ in range(_bounded(self._folders))]
        while kind := numbers.byte():
            if kind == 0x0C:
                sizes = [[numbers.number() for _ in range(count)] for count in outs]
                # The sizes of one folder: that of its last step is the member's.
                self.size = max((max(each) for each in sizes), default=0)
            elif kind == 0x0A:
                numbers.digests(self._folders)
            else:
                raise _Odd

    def _folder(self) -> int:
        """Read how one folder is packed; returns how many streams come out of its coders."""
        numbers = self._numbers
        inputs = outputs = 0
        for _ in range(_bounded(numbers.number())):
            flags = numbers.byte()
            self.methods.append(numbers.take(flags & 0x0F))
            inputs += _bounded(numbers.number()) if flags & 0x10 else 1
            outputs += _bounded(numbers.number()) if flags & 0x10 else 1
            if flags & 0x20:
                numbers.skip(numbers.number())
            if flags & 0xC0:
                raise _Odd
        bound = outputs - 1
        for _ in range(2 * max(bound, 0)):
            numbers.number()
        if inputs - bound > 1:
            for _ in range(inputs - bound):
                numbers.number()
        return outputs

    def _substreams(self) -> None:
        """Only how many members there are; of a single one the size is known already."""
        numbers = self._numbers
        counts: Sequence[int] = [1] * self._folders
        kind = numbers.byte()
        if kind == 0x0D:
            counts = [numbers.number() for _ in range(_bounded(self._folders))]
            self.members = sum(counts)
            kind = numbers.byte()
        if self.members != 1:
            raise _Several
        if kind == 0x0A:
            numbers.digests(1)
            kind = numbers.byte()
        if kind:
            raise _Odd


def _bounded(count: int) -> int:
    if count > _MOST:
        raise _Several
    return count
