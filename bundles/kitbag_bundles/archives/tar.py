"""A strict, forward-only reader of tar streams.

It understands what tar programs write for a build of Python: ustar (POSIX.1-1988), pax extended
headers (POSIX.1-2001) and GNU's long names. Where two readers could see different members in the
same bytes it refuses: sizes that a pax record contradicts, sparse files, links that carry data,
missing end-of-archive blocks, anything but zeros behind them.

Formats: POSIX.1-2017, ``pax`` utility, "ustar Interchange Format" and "pax Interchange Format";
GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from kitbag_bundles.archives.members import Member, check_link, normal_path
from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
_ZEROS = bytes(BLOCK)
_LARGEST_HEADER = 1024 * 1024
"""Bytes of one pax header or GNU long name; a real one has some hundred."""
_OCTAL_SIZE_LIMIT = 8**11
_KINDS = {b"0": "f", b"\0": "f", b"7": "f", b"1": "h", b"2": "l", b"5": "d"}
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a fifo",
    b"S": "a sparse file",
    b"M": "a continuation of another volume",
}


def tar_members(chunks: Any, filename: str) -> Iterator[tuple[Member, Iterator[Any]]]:
    """Yield the members of the tar whose uncompressed bytes ``chunks`` yields.

    Raises :class:`ArchiveError`. Closes ``chunks`` at the end, also an early one.
    """
    try:
        yield from _Reader(chunks, filename).members()
    finally:
        chunks.close()


class _Reader:
    def __init__(self, chunks: Iterator[bytes], filename: str) -> None:
        self._chunks = chunks
        self._filename = filename
        self._buffer = memoryview(b"")
        self._left = 0  # bytes of the current member, padding not included

    def members(self) -> Iterator[tuple[Member, Iterator[Any]]]:
        extended: dict[str, str] = {}
        while True:
            header = bytes(self._take(BLOCK))
            if header == _ZEROS:
                break
            self._check_sum(header)
            self._check_numbers(header)
            kind = header[156:157]
            size = self._size(header)
            if kind in (b"x", b"g", b"L", b"K"):
                self._read_extension(kind, size, extended)
                continue
            member = self._member(header, size, extended)
            if extended:
                extended = {}
            padding = -member.size % BLOCK
            if member.size + padding <= len(self._buffer):
                # Most files lie in one chunk as a whole.
                piece = self._buffer[: member.size]
                self._buffer = self._buffer[member.size + padding :]
                yield member, iter((piece,) if piece else ())
                continue
            self._left = member.size
            yield member, self._data()
            for _ in self._data():
                pass
            self._take(padding)
        if extended:
            raise self._bad("an extended header stands before nothing")
        if bytes(self._take(BLOCK)) != _ZEROS:
            raise self._bad("one block of zeros, but no end, among its members")
        self._end()

    def _member(self, header: bytes, size: int, extended: dict[str, str]) -> Member:
        kind = header[156:157]
        if kind not in _KINDS:
            what = _REFUSED.get(kind, f"of the unknown type {kind!r}")
            raise self._bad(f"member {self._name(header)!r} is {what}")
        path = extended.get("path") or self._name(header)
        target = extended.get("linkpath") or _text(header[157:257])
        if "size" in extended:
            size = self._extended_size(extended["size"], size, path)
        shape = _KINDS[kind]
        mode = self._octal(header[100:108], "mode")
        if mode & 0o7000:
            raise self._bad(f"member {path!r} has a setuid, setgid or sticky bit")
        if shape != "f" and size:
            raise self._bad(f"member {path!r} is no file and yet has data")
        if shape == "f" and path.endswith("/"):
            raise self._bad(f"member {path!r} is a file with the name of a folder")
        path = normal_path(path, self._filename)
        if shape == "l":
            check_link(path, target, self._filename)
        elif shape == "h":
            target = normal_path(target, self._filename)
            if not target:
                raise self._bad(f"member {path!r} is a hard link to nothing")
        else:
            target = ""
        if not path and shape != "d":
            raise self._bad("a member without a name")
        return Member(path, shape, mode & 0o777, size, target)

    def _read_extension(self, kind: bytes, size: int, extended: dict[str, str]) -> None:
        if size > _LARGEST_HEADER:
            raise self._bad(f"an extended header of {size} bytes")
        data = bytes(self._take(size))
        if bytes(self._take(-size % BLOCK)).strip(b"\0"):
            # Some readers take it for a part of the header, whatever its size says.
            raise self._bad("an extended header that goes on behind its end")
        if kind in (b"L", b"K"):
            extended["path" if kind == b"L" else "linkpath"] = _text(data)
            return
        records = self._pax_records(data)
        if any(name.startswith("GNU.sparse") for name in records):
            raise self._bad("a sparse file")
        if kind == b"x":
            extended.update(records)
        elif not records.keys().isdisjoint(("path", "linkpath", "size")):
            raise self._bad("a global header that renames or resizes members")

    def _pax_records(self, data: bytes) -> dict[str, str]:
        """Parse ``<length> <keyword>=<value>\\n`` records; the length counts itself."""
        records = {}
        while data:
            digits, space, _ = data[:12].partition(b" ")
            length = int(digits) if digits.isdigit() else 0
            record = data[len(digits) + 1 : length]
            keyword, equals, value = record.partition(b"=")
            if not space or not equals or record[-1:] != b"\n" or length > len(data):
                raise self._bad("a damaged extended header")
            records[_decode(keyword)] = _decode(value[:-1])
            data = data[length:]
        return records

    def _extended_size(self, text: str, header_size: int, path: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise self._bad(f"member {path!r} has the size {text!r}")
        size = int(text)
        if size != header_size and size < _OCTAL_SIZE_LIMIT:
            raise self._bad(
                f"member {path!r} has two sizes, {header_size} and {size}, and readers differ"
            )
        return size

    def _data(self) -> Iterator[Any]:
        while self._left:
            if not self._buffer:
                self._fill()
            piece = self._buffer[: self._left]
            self._buffer = self._buffer[len(piece) :]
            self._left -= len(piece)
            yield piece

    def _fill(self) -> None:
        try:
            self._buffer = memoryview(next(self._chunks))
        except StopIteration:
            raise self._bad("it is cut short") from None

    def _take(self, size: int) -> Any:
        """The next ``size`` bytes, without a copy where they lie in one chunk."""
        if len(self._buffer) >= size:
            piece = self._buffer[:size]
            self._buffer = self._buffer[size:]
            return piece
        pieces = []
        while size:
            if not self._buffer:
                self._fill()
            part = self._buffer[:size]
            pieces.append(part)
            self._buffer = self._buffer[len(part) :]
            size -= len(part)
        return b"".join(pieces)

    def _end(self) -> None:
        """Tar programs fill their last record with zeros; nothing else may follow."""
        rest: Any = self._buffer
        while True:
            if bytes(rest).strip(b"\0"):
                raise self._bad("something stands behind its end")
            try:
                rest = next(self._chunks)
            except StopIteration:
                return

    def _name(self, header: bytes) -> str:
        name = _text(header[:100])
        if header[257:263] == b"ustar\0" and header[345:346] != b"\0":
            return f"{_text(header[345:500])}/{name}"
        return name

    def _size(self, header: bytes) -> int:
        field = header[124:136]
        if not field[0] & 0x80:
            return self._octal(field, "size")
        if field[0] != 0x80:
            raise self._bad("a negative size")
        return int.from_bytes(field[1:], "big")

    def _octal(self, field: bytes, what: str) -> int:
        digits = field.strip(b" \0")
        if digits.strip(b"01234567"):
            raise self._bad(f"{field!r} for a {what}")
        return int(digits or b"0", 8)

    def _check_numbers(self, header: bytes) -> None:
        """Owner and time are not used, but other readers stop where they make no sense."""
        if not (header[108:124] + header[136:148]).translate(None, b"01234567 \0"):
            return
        for what, field in (
            ("user", header[108:116]),
            ("group", header[116:124]),
            ("time", header[136:148]),
        ):
            if field[0] not in (0x80, 0xFF):
                self._octal(field, what)

    def _check_sum(self, header: bytes) -> None:
        # The sum takes the checksum's own eight bytes for spaces. The low half of an Adler-32 is
        # that sum plus one, modulo 65521 (RFC 1950), and much quicker than sum().
        found = zlib.adler32(header[:148] + b"        " + header[156:]) & 0xFFFF
        if (self._octal(header[148:156], "checksum") + 1) % 65521 != found:
            raise self._bad("a header with a wrong checksum")

    def _bad(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self._filename}: not acceptable as an archive: {what}")


def _text(field: bytes) -> str:
    return _decode(field.partition(b"\0")[0])


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
