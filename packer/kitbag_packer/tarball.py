"""Write a `.tar.gz` whose bytes depend on its members and on nothing else.

The shape is python-build-standalone's: sorted members, no entries for directories, owner 0
(``root``), one fixed time, modes 0644 and 0755, POSIX ustar headers with the prefix field for long
names, and a gzip header without name and time. A PAX record appears only where ustar cannot say
it: a name that is too long or not ASCII, a file of 8 GiB and more. The writer is our own because
the details of `tarfile` and `gzip` differ from one Python to the next.

The tar is the same everywhere; the compressed bytes also depend on the zlib at hand. So
``tar_sha256`` is the digest that reproduces.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from kitbag_bundles.errors import ArchiveError, FileSystemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kitbag_bundles.reporting import Progress, Reporter

MODIFIED = 1704067200
"""The time of every member in seconds, 2024-01-01T00:00:00Z: python-build-standalone's own."""

LEVEL = 6
"""zlib's own choice."""
BLOCK = 512
RECORD = 20 * BLOCK
_CHUNK = 1 << 20
_LARGEST_OCTAL = 8**11
_GZIP_HEADER = bytes.fromhex("1f8b0800 00000000 00ff")


class TarItem(NamedTuple):
    """One member: a file with its content or the path to read it from, or a symbolic link.

    ``path`` is relative, ``/``-separated, with surrogate escapes for bytes that are not UTF-8;
    ``kind`` is ``f`` or ``l``; ``target`` is a link's text.
    """

    path: str
    kind: str = "f"
    mode: int = 0o644
    content: bytes | Path = b""
    target: str = ""


class TarballDigests(NamedTuple):
    """SHA-256 of the compressed file, of the tar inside it, and the compressed size in bytes."""

    sha256: str
    tar_sha256: str
    size: int


def write_tarball(
    destination: Path,
    items: Iterable[TarItem],
    *,
    reporter: Reporter,
    level: int = LEVEL,
    modified: int = MODIFIED,
) -> TarballDigests:
    """Write the members, sorted by path, to ``destination``; it appears only when it is complete.

    ``level`` is zlib's, ``modified`` the time of every member in seconds. Progress is counted in
    bytes of content. Raises :class:`ArchiveError` for a member that must
    not be (absolute, twice, a link that leads out) and :class:`FileSystemError` when a file cannot
    be read or changes meanwhile, or when the destination cannot be written.
    """
    members = sorted(items, key=lambda item: _encoded(item.path))
    _check(members)
    partial = destination.with_name(destination.name + ".partial")
    try:
        sizes = [_size(member) for member in members]
        with (
            open(partial, "wb") as stream,
            reporter.progress(destination.name, sum(sizes)) as progress,
        ):
            sink = GzipSink(stream, level)
            for member, size in zip(members, sizes, strict=True):
                _write_member(sink, member, size, modified, progress)
            sink.write(bytes(2 * BLOCK))
            sink.write(bytes(-sink.count % RECORD))
            digests = sink.finish()
        os.replace(partial, destination)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise FileSystemError(f"cannot write {destination}: {problem}") from problem
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return digests


class GzipSink:
    """Compresses what it is given and hashes both sides of the compression."""

    def __init__(self, stream: BinaryIO, level: int = LEVEL) -> None:
        self.count = 0
        self._stream = stream
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        self._inner = hashlib.sha256()
        self._outer = hashlib.sha256()
        self._emit(_GZIP_HEADER)

    def write(self, data: bytes) -> None:
        """Add bytes to the tar."""
        self.count += len(data)
        self._crc = zlib.crc32(data, self._crc)
        self._inner.update(data)
        self._emit(self._deflate.compress(data))

    def finish(self) -> TarballDigests:
        """End the gzip stream."""
        self._emit(self._deflate.flush())
        self._emit(self._crc.to_bytes(4, "little") + (self.count % 2**32).to_bytes(4, "little"))
        return TarballDigests(self._outer.hexdigest(), self._inner.hexdigest(), self._size)

    def _emit(self, data: bytes) -> None:
        self._size += len(data)
        self._outer.update(data)
        self._stream.write(data)


def _check(members: list[TarItem]) -> None:
    taken: set[str] = set()
    folders: set[str] = set()
    for member in members:
        path = member.path
        if not path or path != posixpath.normpath(path) or path.startswith(("/", "..")):
            raise ArchiveError(f"{path!r} is not a path that an archive may hold")
        if path in taken:
            raise ArchiveError(f"{path!r} would be in the archive twice")
        if member.kind not in ("f", "l"):
            raise ArchiveError(f"{path!r} is neither a file nor a link")
        if member.kind == "l":
            _check_link(path, member.target)
        taken.add(path)
        folder = posixpath.dirname(path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    for path in sorted(taken & folders):
        raise ArchiveError(f"{path!r} would be both a folder and something else in the archive")


def _check_link(path: str, target: str) -> None:
    top = path.partition("/")[0]
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if not target or target.startswith("/") or (end + "/").partition("/")[0] != top:
        raise ArchiveError(f"the link {path!r} leads out of the archive, to {target!r}")


def _size(member: TarItem) -> int:
    if member.kind == "l":
        return 0
    if isinstance(member.content, bytes):
        return len(member.content)
    return member.content.stat().st_size


def _write_member(
    sink: GzipSink, member: TarItem, size: int, modified: int, progress: Progress
) -> None:
    sink.write(_headers(member, size, modified))
    written = 0
    for chunk in _chunks(member):
        written += len(chunk)
        sink.write(chunk)
        progress.advance(len(chunk))
    if written != size:
        raise FileSystemError(
            f"{member.path} changed while it was read; run the command again when it is at rest"
        )
    sink.write(bytes(-size % BLOCK))


def _chunks(member: TarItem) -> Iterator[bytes]:
    if member.kind == "l":
        return
    if isinstance(member.content, bytes):
        yield member.content
        return
    with open(member.content, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _headers(member: TarItem, size: int, modified: int) -> bytes:
    name = _encoded(member.path)
    target = _encoded(member.target)
    split = _split(name) if name.isascii() else None
    records: dict[bytes, bytes] = {}
    if split is None:
        records[b"path"] = name
        split = (b"", _shortened(name))
    if len(target) > 100 or not target.isascii():
        records[b"linkpath"] = target
        target = _shortened(target)
    if size >= _LARGEST_OCTAL:
        records[b"size"] = b"%d" % size
    mode = 0o777 if member.kind == "l" else member.mode
    kind = b"2" if member.kind == "l" else b"0"
    shown = size if b"size" not in records else 0
    header = _ustar(*split, mode, shown, modified, kind, target)
    if not records:
        return header
    body = _pax_records(records)
    label = (b"PaxHeaders/" + _shortened(name))[:100]
    extended = _ustar(b"", label, 0o644, len(body), modified, b"x", b"")
    return extended + body + bytes(-len(body) % BLOCK) + header


def _encoded(path: str) -> bytes:
    """The bytes of a path, whatever the locale's encoding is."""
    return path.encode("utf-8", "surrogateescape")


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """The ustar prefix and name fields (155 and 100 bytes at most), or None where it can't be."""
    if len(name) <= 100:
        return b"", name
    cut = name.find(b"/", len(name) - 101)
    if cut < 1 or cut > 155 or cut == len(name) - 1:
        return None
    return name[:cut], name[cut + 1 :]


def _shortened(name: bytes) -> bytes:
    """A stand-in for readers that know no PAX; the record beside it holds the truth."""
    return name.rpartition(b"/")[2].decode("ascii", "replace").replace("�", "_").encode()[:88]


def _pax_records(records: dict[bytes, bytes]) -> bytes:
    try:
        for value in records.values():
            value.decode("utf-8")
    except UnicodeDecodeError:
        records = {b"hdrcharset": b"BINARY", **records}
    return b"".join(_pax_record(key, value) for key, value in records.items())


def _pax_record(key: bytes, value: bytes) -> bytes:
    """``<length> <key>=<value>\\n``, where the length counts its own digits (POSIX pax)."""
    rest = len(key) + len(value) + 3
    length = rest + 1
    while length != rest + len(b"%d" % length):
        length = rest + len(b"%d" % length)
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(
    prefix: bytes, name: bytes, mode: int, size: int, modified: int, kind: bytes, target: bytes
) -> bytes:
    fields = (
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        b"%011o\0" % size,
        b"%011o\0" % modified,
        b" " * 8,
        kind,
        target.ljust(100, b"\0"),
        b"ustar\x0000",
        b"root".ljust(32, b"\0"),
        b"root".ljust(32, b"\0"),
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        prefix.ljust(155, b"\0"),
        bytes(12),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
