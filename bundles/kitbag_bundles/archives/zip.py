"""Members of upstream's ``.zip`` archives: PyPy's and GraalPy's for Windows.

The standard library's :mod:`zipfile` reads them; what it does not mind but kitbag does
(encryption, strange types, links that lead out) is refused here.
"""

from __future__ import annotations

import contextlib
import stat
from typing import TYPE_CHECKING, Any, BinaryIO

from kitbag_bundles.archives.compression import CHUNK_SIZE
from kitbag_bundles.archives.members import Member, check_growth, check_link, normal_path
from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

_LONGEST_LINK = 4096
_UNIX = 3
_METHODS = (0, 8)
"""Stored and deflated (APPNOTE 4.4.5); upstream knows no other."""


def zip_members(stream: BinaryIO, filename: str) -> Iterator[tuple[Member, Iterator[Any]]]:
    """Yield the members in the order of their data; raises :class:`ArchiveError`."""
    import zipfile

    with _refusing(filename), zipfile.ZipFile(stream) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        total = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        check_growth(total, packed, filename)
        for info in infos:
            member = _member(archive, info, filename)
            yield member, _data(archive, info, filename) if member.kind == "f" else iter(())


@contextlib.contextmanager
def _refusing(filename: str) -> Iterator[None]:
    """Turn what zipfile and the decoders raise into :class:`ArchiveError`."""
    import struct
    import zipfile
    import zlib

    errors = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OverflowError)
    try:
        yield
    except (*errors, ValueError, struct.error) as error:
        raise ArchiveError(f"{filename}: damaged archive ({error}); fetch it again") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, filename: str) -> Member:
    # ZipInfo cuts a name at its first NUL; the original tells.
    path = normal_path(info.orig_filename, filename)
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if info.flag_bits & 0x1:
        raise ArchiveError(
            f"{filename}: member {path!r} is encrypted; unpack and repack it plainly"
        )
    if info.compress_type not in _METHODS:
        raise ArchiveError(
            f"{filename}: member {path!r} is packed by the method {info.compress_type}; "
            "repack it stored or deflated"
        )
    if mode & 0o7000:
        raise ArchiveError(f"{filename}: member {path!r} has a setuid, setgid or sticky bit")
    kind = stat.S_IFMT(mode)
    if info.is_dir():
        return Member(path, "d", 0o755, 0, "")
    if kind == stat.S_IFLNK:
        if info.file_size > _LONGEST_LINK:
            raise ArchiveError(
                f"{filename}: the link {path!r} has a target of {info.file_size} bytes"
            )
        target = archive.read(info).decode("utf-8", "surrogateescape")
        check_link(path, target, filename)
        return Member(path, "l", 0o777, 0, target)
    if kind not in (0, stat.S_IFREG) or not path:
        raise ArchiveError(f"{filename}: member {path!r} is neither a file, a folder nor a link")
    return Member(path, "f", stat.S_IMODE(mode) or 0o644, info.file_size, "")


def _data(archive: zipfile.ZipFile, info: zipfile.ZipInfo, filename: str) -> Iterator[bytes]:
    # Its errors show where the data is consumed, which is not inside of zip_members.
    with _refusing(filename), archive.open(info) as source:
        left = info.file_size
        while chunk := source.read(CHUNK_SIZE):
            left -= len(chunk)
            yield chunk
        if left:
            # zipfile does not mind data that ends before the size that its directory gives.
            raise EOFError(f"member {info.filename!r} is shorter than announced")
