"""Writes a bundle so that it is either there, whole and read back, or not there at all.

The file is written beside its final name, flushed to the drive, read back from the drive, and only
then renamed. What was there before stays until that moment. A source that is not what it was said
to be stops the work.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from kitbag_bundles import zipformat
from kitbag_bundles.container import CHUNK
from kitbag_bundles.directory import DirectoryContainer
from kitbag_bundles.errors import (
    BundleError,
    DigestMismatch,
    FileSystemError,
    KitbagError,
    UsageError,
)
from kitbag_bundles.members import in_order, is_aligned, is_executable
from kitbag_bundles.names import check_member_names
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.zipformat import Record
from kitbag_packer.assembly import assemble, render_manifest
from kitbag_packer.safefiles import (
    check_space,
    clear_errors,
    create,
    flush,
    flush_folder,
    write_all,
)
from kitbag_packer.sources import MemberSource, bytes_member, file_member
from kitbag_packer.volumes.outputs import open_output
from kitbag_packer.volumes.sizes import check_file_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_bundles.volumes import Volumes
    from kitbag_packer.volumes.outputs import Output

__all__ = [
    "MemberSource",
    "Placed",
    "WrittenBundle",
    "assemble",
    "bytes_member",
    "file_member",
    "lay_out",
    "render_manifest",
    "write_bundle",
    "write_directory",
]


@dataclass(frozen=True)
class Placed:
    """A member and its place in the file."""

    source: MemberSource
    record: Record

    @property
    def header_offset(self) -> int:
        """Where the local header begins, in bytes from the start of the file."""
        return self.record.offset

    @property
    def data_offset(self) -> int:
        """Where the data begins, in bytes from the start of the file."""
        return zipformat.data_offset(self.record)

    @property
    def end(self) -> int:
        """Where the data ends."""
        return self.data_offset + self.source.size

    @property
    def block(self) -> int:
        """The block of 4096 bytes with which the data of an aligned member begins."""
        return self.data_offset // zipformat.ALIGNMENT

    @property
    def blocks(self) -> int:
        """How many whole blocks the data has."""
        return self.source.size // zipformat.ALIGNMENT

    @property
    def tail(self) -> int:
        """How many bytes of data come after the last whole block."""
        return self.source.size % zipformat.ALIGNMENT


@dataclass(frozen=True)
class WrittenBundle:
    """A bundle that is on the drive and was read back from there."""

    path: str
    size: int
    """Bytes of the file, or of all files of the folder."""
    sha256: str
    """As ``sha256sum`` gives it; empty for a folder."""
    volumes: tuple[str, ...] = ()
    """The paths of the numbered volumes, if there are such."""


def lay_out(members: Sequence[MemberSource], header_size: int) -> tuple[Placed, ...]:
    """Where each member goes in a file that begins with ``header_size`` bytes of shell header.

    Raises :class:`BundleError` if the members have unfit names or are not in the fixed order.
    """
    names = [member.name for member in members]
    check_member_names(names)
    if names != in_order(names):
        raise BundleError("the members of a bundle must be in their fixed order")
    if len(names) > zipformat.MAX_MEMBERS:
        raise BundleError(f"a bundle cannot have more than {zipformat.MAX_MEMBERS} members")
    if header_size % zipformat.ALIGNMENT:
        raise BundleError(f"a shell header must be a multiple of {zipformat.ALIGNMENT} bytes")
    offset = header_size
    placed = []
    for each in members:
        aligned, executable = is_aligned(each.name), is_executable(each.name)
        record = Record(each.name, each.size, each.crc32, offset, aligned, executable)
        placed.append(Placed(each, record))
        offset = placed[-1].end
    return tuple(placed)


def write_bundle(
    destination: Path,
    members: Sequence[MemberSource],
    *,
    header: bytes | Callable[[tuple[Placed, ...]], bytes] = b"",
    volume_size: int = 0,
    output: Callable[[str, int], Output] | None = None,
    reporter: Reporter,
) -> WrittenBundle:
    """Write the members, which are in their fixed order, as one file.

    With ``volume_size``, a multiple of 4096, the bytes go into ``<destination>.001``, … instead;
    ``output`` makes another place for them, for a path and a size in bytes.
    ``header`` may be a function of the layout; the length of its result must not depend on the
    offsets. Raises :class:`FileSystemError` if the drive refuses, :class:`DigestMismatch` if a
    source is not what it was said to be or the drive gives other bytes back, :class:`BundleError`
    for members that make no bundle. After any error nothing new is left, and an earlier file of
    that name is untouched.
    """
    start, placed = _with_header(members, header)
    target = os.path.abspath(destination)
    directory = b"".join(zipformat.central_header(each.record) for each in placed)
    directory_offset = placed[-1].end if placed else len(start)
    end = zipformat.end_records(
        len(placed), directory_offset, len(directory), zipformat.COMMENT_SIZE
    )
    size = directory_offset + len(directory) + len(end) + zipformat.COMMENT_SIZE
    if volume_size and len(start) > volume_size:
        raise UsageError(
            f"a volume must hold the {len(start)} bytes that start the bundle; choose a larger"
            " --volume-size"
        )
    with clear_errors(target):
        opened = open_output(target, size, volume_size) if output is None else output(target, size)
    bar = reporter.progress(f"writing {target}", 2 * size)
    with clear_errors(target), bar as progress, opened as written:
        writer = _Writer(written, progress)
        writer.write(start)
        for each in placed:
            writer.write(zipformat.local_header(each.record))
            writer.copy(each.source)
        writer.write(directory + end)
        promised = writer.whole.hexdigest()
        writer.write(zipformat.COMMENT_START + promised.encode("ascii"))
        if not _reads_back(written.finish(), start, placed, promised, progress):
            raise _lost(target)
        volumes = written.commit(writer.whole.hexdigest())
    return WrittenBundle(target, size, writer.whole.hexdigest(), volumes)


def write_directory(
    destination: Path, members: Sequence[MemberSource], *, reporter: Reporter
) -> WrittenBundle:
    """Write the members as the files of a new folder; like :func:`write_bundle` otherwise.

    The folder must not exist yet, or be empty.
    """
    lay_out(members, 0)
    target = os.path.abspath(destination)
    partial = f"{target}.partial"
    size = sum(member.size for member in members)
    _check_folder_target(target, size)
    largest = max((member.size for member in members), default=0)
    check_file_size(target, largest, "make volumes, with kitbag pack --volume-size 4GiB-1")
    with clear_errors(target), reporter.progress(f"writing {target}", 2 * size) as progress:
        os.mkdir(partial)
        try:
            folders = {partial}
            for member in members:
                path = os.path.join(partial, *member.name.split("/"))
                folder = os.path.dirname(path)
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
                with create(path) as output:
                    _Writer(output, progress).copy(member)
                    if is_executable(member.name) and hasattr(os, "fchmod"):
                        mode = stat.S_IMODE(os.fstat(output.fileno()).st_mode)
                        os.fchmod(output.fileno(), mode | (mode & 0o444) >> 2)
                    flush(output)
            for folder in folders:
                flush_folder(folder)
            verified = DirectoryContainer(partial).verify(progress)
            if verified.members != {member.name: member.sha256 for member in members}:
                raise _lost(target)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(target)
            os.rename(partial, target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        flush_folder(os.path.dirname(target))
    return WrittenBundle(target, size, "")


class _Writer:
    """Copies bytes to the output and digests them on the way.

    A member's CRC is enough here to notice at once that a source changed: its SHA-256 is checked
    when the bytes are read back, so that no pass takes two digests of the same bytes.
    """

    def __init__(self, output: BinaryIO | Output, progress: Progress) -> None:
        self.whole = hashlib.sha256()
        self._output = output
        self._progress = progress
        self._buffer = memoryview(bytearray(CHUNK))

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes."""
        self.whole.update(data)
        write_all(self._output, data)
        self._progress.advance(len(data))

    def copy(self, source: MemberSource) -> None:
        """Write a member's bytes; raises :class:`DigestMismatch` if they are not as promised."""
        size, crc = 0, 0
        with source.open() as stream:
            for chunk in self._chunks(source, stream):
                size += len(chunk)
                if size > source.size:
                    break
                crc = zlib.crc32(chunk, crc)
                self.write(chunk)
        if (size, crc) != (source.size, source.crc32):
            raise DigestMismatch(
                f"{source.origin} is not what it was said to be: it changed while it was packed,"
                " or the drive that it is on is failing; check it and pack again"
            )

    def _chunks(self, source: MemberSource, stream: BinaryIO) -> Iterator[memoryview]:
        try:
            while count := stream.readinto(self._buffer):  # type: ignore[attr-defined]
                yield self._buffer[:count]
        except OSError as error:
            raise FileSystemError(f"cannot read {source.origin}: {error.strerror}") from None


def _with_header(
    members: Sequence[MemberSource], header: bytes | Callable[[tuple[Placed, ...]], bytes]
) -> tuple[bytes, tuple[Placed, ...]]:
    if isinstance(header, bytes):
        start = header
        placed = lay_out(members, len(start))
    else:
        # The first call is for the length alone: offsets follow from it.
        length = len(header(lay_out(members, 0)))
        placed = lay_out(members, length)
        start = header(placed)
        if len(start) != length:
            raise BundleError("the length of the shell header depends on the offsets in it")
    if start and not start.startswith(zipformat.HEADER_START):
        raise BundleError("the shell header does not begin with #!/bin/sh")
    return start, placed


def _check_folder_target(target: str, size: int) -> None:
    if os.path.lexists(target) and (not _is_real_folder(target) or os.listdir(target)):
        raise UsageError(f"cannot write a bundle to {target}: it is there and is no empty folder")
    if os.path.lexists(f"{target}.partial"):
        raise UsageError(f"{target}.partial is left from an earlier run: remove it and try again")
    check_space(target, size)


def _is_real_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _reads_back(
    written: Volumes, start: bytes, placed: Sequence[Placed], promised: str, progress: Progress
) -> bool:
    """Check every byte as the drive gives it: the frame itself, each member by its SHA-256."""
    try:
        container = ZipContainer(written)
        container.close()
    except KitbagError:
        return False
    frame = (tuple(each.record for each in placed), promised)
    buffer = memoryview(bytearray(CHUNK))
    with written.open() as stream:
        if (container.records, container.promised) != frame or stream.read(len(start)) != start:
            return False
        for each in placed:
            digest = hashlib.sha256()
            stream.seek(each.data_offset)
            left = each.source.size
            while left and (count := stream.readinto(buffer[:left])):
                digest.update(buffer[:count])
                progress.advance(count)
                left -= count
            if digest.hexdigest() != each.source.sha256:
                return False
    return True


def _lost(target: str) -> DigestMismatch:
    return DigestMismatch(
        f"{target} was written, but other bytes came back from the drive, and nothing was kept:"
        " the drive or this machine's memory is failing; use another"
    )
