"""The zip that a wheel is: which members it may have, and their bytes in bounded pieces."""

from __future__ import annotations

import contextlib
import re
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO

from kitbag_bundles.archives.members import BOMB_FLOOR, BOMB_RATIO, normal_path
from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments.archives import WheelStream, read_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_DIRECTORY = 16 * 1024 * 1024
"""Bytes of a zip's central directory; the largest wheels have half of that."""
LARGEST_TEXT = 16 * 1024 * 1024
"""Bytes of METADATA and the like."""

_CHUNK = 1024 * 1024
_UNIX = 3
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DRIVE = re.compile(r"[A-Za-z]:")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\\]")
_ENCRYPTED = 0x1
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


@contextlib.contextmanager
def open_wheel(stream: BinaryIO, size: int, filename: str) -> Iterator[WheelZip]:
    """The zip in ``stream``, of ``size`` bytes; raises :class:`ArchiveError`, also in the block."""
    _check_directory(stream, size, filename)
    with _refusing(filename), zipfile.ZipFile(stream) as archive:
        yield WheelZip(archive, stream, filename, size)


class WheelZip:
    """The members of a wheel, all of them acceptable."""

    def __init__(
        self, archive: zipfile.ZipFile, stream: BinaryIO, filename: str, size: int
    ) -> None:
        self._archive = archive
        self._stream = stream
        self._size = size
        self._filename = filename
        self.files: dict[str, zipfile.ZipInfo] = {}
        """Files by path, in the order of the zip."""
        folders: set[str] = set()
        for info in archive.infolist():
            path = self._checked(info)
            if info.is_dir():
                folders.add(path)
            elif path in self.files:
                raise self.bad(f"{path!r} is in it twice")
            else:
                self.files[path] = info
        for path in self.files:
            folders.update(_parents(path))
        for path in sorted(folders & self.files.keys()):
            raise self.bad(f"{path!r} is a file and a folder")
        if min((info.header_offset for info in archive.infolist()), default=0):
            raise self.bad("something stands before the zip")
        self.unpacked_size = sum(info.file_size for info in self.files.values())
        """Bytes of all files."""
        if self.unpacked_size > max(BOMB_FLOOR, size * BOMB_RATIO):
            raise self.bad(f"it would unpack to {self.unpacked_size} bytes")

    def bad(self, what: str) -> ArchiveError:
        """The error for a wheel of which ``what`` is true."""
        return ArchiveError(f"{self._filename}: {what}; do not use this wheel")

    def text(self, path: str) -> bytes:
        """A small file as a whole."""
        info = self.files[path]
        if info.file_size > LARGEST_TEXT:
            raise self.bad(f"{path} has {info.file_size} bytes")
        return self._archive.read(info)

    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file."""
        with self._archive.open(self.files[path]) as member:
            while chunk := member.read(_CHUNK):
                yield chunk

    def contents(self) -> Iterator[tuple[str, Iterator[bytes | memoryview]]]:
        """Each file and its bytes, in the order of the zip, as an install reads them.

        Its reader is another one than :mod:`zipfile`, and there are zip files that the two do not
        understand alike.
        """
        members = read_directory(self._stream, self._size, self._filename)
        if {each.path: each.size for each in members} != {
            path: info.file_size for path, info in self.files.items()
        } or len(members) != len(self.files):
            raise self.bad("the zip does not mean the same to all who read it")
        stream = WheelStream(self._stream, self._size, self._filename, lambda _: None)
        for member in members:
            yield member.path, self._checked_content(member.path, stream.content(member))

    def _checked_content(
        self, path: str, content: Iterator[bytes | memoryview]
    ) -> Iterator[bytes | memoryview]:
        crc32 = 0
        for chunk in content:
            crc32 = zlib.crc32(chunk, crc32)
            yield chunk
        if crc32 != self.files[path].CRC:
            raise zipfile.BadZipFile(f"bad CRC-32 of {path}")

    def _checked(self, info: zipfile.ZipInfo) -> str:
        """The path of a member, if it may be there."""
        # ZipInfo cuts a name at its first NUL; the original tells.
        raw = info.orig_filename
        path = normal_path(raw, self._filename)
        if not path or path != raw.removesuffix("/") or _UNFIT.search(path) or _DRIVE.match(path):
            raise self.bad(f"a member is called {raw!a}")
        if info.flag_bits & _ENCRYPTED:
            raise self.bad(f"{path!r} is encrypted")
        if info.compress_type not in _METHODS:
            raise self.bad(f"{path!r} is packed by the method {info.compress_type}")
        mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
        kind = stat.S_IFMT(mode)
        if kind == stat.S_IFLNK:
            raise self.bad(f"{path!r} is a link")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR) > info.is_dir():
            raise self.bad(f"{path!r} is neither a file nor a folder")
        if mode & 0o7000 and not info.is_dir():
            raise self.bad(f"{path!r} has a setuid, setgid or sticky bit")
        return path


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _check_directory(stream: BinaryIO, size: int, filename: str) -> None:
    """Refuse a central directory that would fill the memory: zipfile reads it as one.

    The records are those of APPNOTE 4.3.14 to 4.3.16.
    """
    start = max(0, size - 22 - 0xFFFF - 20)
    stream.seek(start)
    tail = stream.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < 22:
        raise ArchiveError(f"{filename}: no zip file, or the end is missing; fetch it again")
    length = struct.unpack_from("<L", tail, end + 12)[0]
    locator = tail[max(0, end - 20) : end]
    if locator.startswith(_LOCATOR) and len(locator) == 20:
        stream.seek(min(struct.unpack_from("<Q", locator, 8)[0], size))
        record = stream.read(56)
        if record.startswith(_END64) and len(record) == 56:
            length = max(
                length if length != 0xFFFFFFFF else 0, *struct.unpack_from("<Q", record, 40)
            )
    if length > LARGEST_DIRECTORY:
        raise ArchiveError(
            f"{filename}: the zip's directory has {length} bytes, more than any wheel needs; "
            "do not use it"
        )
    stream.seek(0)


@contextlib.contextmanager
def _refusing(filename: str) -> Iterator[None]:
    """Turn what zipfile and the decoders raise into :class:`ArchiveError`."""
    errors = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OverflowError)
    try:
        yield
    except (*errors, ValueError, struct.error, RuntimeError) as error:
        raise ArchiveError(f"{filename}: damaged wheel ({error}); fetch it again") from None
