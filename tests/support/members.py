"""Archive members in memory, and archives written from them the way upstream writes them.

`write_archive` follows python-build-standalone: members sorted, no directory entries, owner
root/root, one fixed time, ustar names, gzip without name or time. Other layouts (zip, 7z) hold the
same members.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MTIME = 1704067200  # 2024-01-01T00:00:00Z, the time of every member that upstream publishes
SUFFIXES = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip", ".7z", ".tar")


class Member(NamedTuple):
    """One file or link of a test archive.

    `kind` is 'f' (file), 'l' (symbolic link), 'h' (hard link) or 'd' (directory, which upstream
    never has). `target` is a link's text; a hard link names another member's path.
    """

    path: str
    data: bytes = b""
    mode: int = 0o664
    kind: str = "f"
    target: str = ""


def text(path: str, content: str, mode: int = 0o664) -> Member:
    """Return a file with UTF-8 text."""
    return Member(path, content.encode(), mode)


def program(path: str, content: bytes) -> Member:
    """Return an executable file."""
    return Member(path, content, 0o775)


def link(path: str, target: str) -> Member:
    """Return a symbolic link."""
    return Member(path, b"", 0o777, "l", target)


def below(folder: str, members: Iterable[Member]) -> list[Member]:
    """Return `members` moved below `folder`; the names that hard links point to move along."""
    return [
        member._replace(
            path=f"{folder}/{member.path}",
            target=f"{folder}/{member.target}" if member.kind == "h" else member.target,
        )
        for member in members
    ]


_TYPES = {"f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "d": tarfile.DIRTYPE}


def tar_bytes(members: Sequence[Member], *, pax: bool = False) -> bytes:
    """Return an uncompressed tar of `members` in the order given."""
    buffer = io.BytesIO()
    form = tarfile.PAX_FORMAT if pax else tarfile.USTAR_FORMAT
    with tarfile.open(
        fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.type = _TYPES[member.kind]
            info.mode = member.mode
            info.size = len(member.data) if member.kind == "f" else 0
            info.linkname = member.target
            info.mtime = MTIME
            info.uname = info.gname = "root"
            archive.addfile(info, io.BytesIO(member.data) if member.kind == "f" else None)
    return buffer.getvalue()


def gzip_bytes(data: bytes) -> bytes:
    """Return `data` as one gzip member: level 6, no name, no time, XFL 0, OS 255."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


def zstd_bytes(data: bytes, *, frames: int = 1, window_log: int = 27) -> bytes:
    """Return `data` as zstd frames whose headers ask for a window of 2**`window_log` bytes.

    A quick level replaces upstream's 22. The content size stays out of the header, because with it
    a short frame would announce a window of its own length instead.
    """
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window_log, write_content_size=False, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    step = max(1, -(-len(data) // frames))
    # A stream rather than `compress`, which knows the length and shrinks the window to it.
    pieces = []
    for start in range(0, max(1, len(data)), step):
        encoder = compressor.compressobj()
        pieces += [encoder.compress(data[start : start + step]), encoder.flush()]
    return b"".join(pieces)


def compress_tar(tar: bytes, suffix: str, *, frames: int = 1) -> bytes:
    """Return `tar` compressed as the file name's `suffix` (one of `SUFFIXES`) says."""
    if suffix in {".tar.gz", ".tgz"}:
        return gzip_bytes(tar)
    if suffix == ".tar.zst":
        return zstd_bytes(tar, frames=frames)
    if suffix == ".tar.xz":
        return lzma.compress(tar, preset=1)
    if suffix == ".tar.bz2":
        return bz2.compress(tar, 1)
    if suffix == ".tar":
        return tar
    raise ValueError(f"no such compression: {suffix}")


def zip_bytes(members: Sequence[Member]) -> bytes:
    """Return a zip as Info-ZIP makes it on Unix: deflated, modes and links in the attributes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        contents = {member.path: member.data for member in members}
        for member in members:
            info = zipfile.ZipInfo(member.path, (2024, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            data = member.data
            if member.kind == "l":
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                data = member.target.encode()
            elif member.kind == "d":
                info = zipfile.ZipInfo(member.path + "/", (2024, 1, 1, 0, 0, 0))
                info.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10
            else:
                info.external_attr = (stat.S_IFREG | member.mode) << 16
                data = contents[member.target] if member.kind == "h" else data
            archive.writestr(info, data)
    return buffer.getvalue()


def write_7z(members: Sequence[Member], path: Path, staging: Path) -> None:
    """Write a 7z archive; `staging` is an empty folder for the files on their way."""
    for member in members:
        place = staging / member.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.kind == "l":
            place.symlink_to(member.target)
        elif member.kind == "h":
            place.hardlink_to(staging / member.target)
        elif member.kind == "d":
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(member.data)
            place.chmod(member.mode)
    import py7zr  # takes long to import, and few tests need it

    with py7zr.SevenZipFile(path, "w") as archive:
        for member in members:
            archive.write(staging / member.path, member.path)


def write_archive(
    members: Iterable[Member],
    path: Path,
    suffix: str,
    *,
    first: str = "",
    pax: bool = False,
) -> Path:
    """Write `members`, sorted by path with `first` in front, to `path`; return `path`.

    Members with the same path keep their order, so a repeated member stays behind the first one.
    """
    ordered = sorted(members, key=lambda m: (m.path != first, m.path.encode("utf-8", "replace")))
    if suffix == ".zip":
        path.write_bytes(zip_bytes(ordered))
    elif suffix == ".7z":
        with tempfile.TemporaryDirectory() as staging:
            write_7z(ordered, path, Path(staging))
    else:
        path.write_bytes(compress_tar(tar_bytes(ordered, pax=pax), suffix))
    return path
