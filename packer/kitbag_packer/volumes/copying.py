"""The same bundle in other files: cut into volumes, or joined from them, and checked on the way."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.container import CHUNK
from kitbag_bundles.errors import BundleError, DigestMismatch, FileSystemError, UsageError
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.sevenzip import is_sevenzip, look
from kitbag_bundles.volumes import SUFFIX, Volumes, accused
from kitbag_bundles.volumesets import find
from kitbag_bundles.zipformat import COMMENT_SIZE
from kitbag_packer.safefiles import clear_errors
from kitbag_packer.volumes.outputs import open_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kitbag_bundles.reporting import Reporter


@dataclass(frozen=True)
class Copied:
    """A bundle that was written anew, byte for byte."""

    path: str
    size: int
    """Bytes of the whole."""
    sha256: str
    """Of the whole, as ``sha256sum`` gives it."""
    volumes: tuple[str, ...]
    """The paths of the volumes; none for one file."""


def split(source: Path, destination: Path, volume_size: int, reporter: Reporter) -> Copied:
    """Cut the bundle ``source``, a file or volumes, into volumes ``<destination>.001``, ….

    Raises what :func:`join` raises.
    """
    return _copy(source, destination, volume_size, reporter)


def join(source: Path, destination: Path, reporter: Reporter) -> Copied:
    """Make one file of the volumes ``source``.

    The bytes are held against the digest in the bundle's comment and the sums of the set as they
    are read, and read back once they are written. Raises :class:`BundleError` for a bundle that is
    damaged or not whole, :class:`UsageError` where nothing or a folder is given,
    :class:`FileSystemError` and :class:`DigestMismatch` if the drive refuses or loses bytes. After
    any error nothing new is left, and what was there before is untouched.
    """
    return _copy(source, destination, 0, reporter)


def _copy(source: Path, destination: Path, volume_size: int, reporter: Reporter) -> Copied:
    target = os.path.abspath(destination)
    volumes = _open(source)
    _check_apart(volumes, target, volume_size)
    promised, header_size = _look_into(volumes)
    if volume_size and header_size > volume_size:
        raise UsageError(
            f"a volume must hold the {header_size} bytes that start the bundle; choose a larger"
            " --volume-size"
        )
    size = volumes.size
    with clear_errors(target):
        opened = open_output(target, size, volume_size)
    bar = reporter.progress(f"writing {target}", 2 * size)
    with clear_errors(target), bar as progress, opened as output:
        before_comment, whole = hashlib.sha256(), hashlib.sha256()
        position = 0
        for chunk in chunks_of(volumes):
            progress.advance(len(chunk))
            before_comment.update(chunk[: max(size - COMMENT_SIZE - position, 0)])
            whole.update(chunk)
            output.write(chunk)
            position += len(chunk)
        _check(volumes, promised, before_comment.hexdigest(), whole.hexdigest())
        back = hashlib.sha256()
        for chunk in chunks_of(output.finish()):
            progress.advance(len(chunk))
            back.update(chunk)
        if back.digest() != whole.digest():
            raise DigestMismatch(
                f"{target} was written, but other bytes came back from the drive, and nothing "
                "was kept: the drive or this machine's memory is failing; use another"
            )
        written = output.commit(whole.hexdigest())
    return Copied(target, size, whole.hexdigest(), written)


def _open(source: Path) -> Volumes:
    """The files of a bundle, as they are."""
    path = os.path.abspath(source)
    try:
        volumes = find(path)
        if volumes is None and os.path.isdir(path):
            raise UsageError(f"{path} is a folder without volumes; name a bundle's file")
        if volumes is None and not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(f"{path} is no file; name a bundle's file")
        return volumes or Volumes.of_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no bundle at {path}; check the path") from None
    except OSError as error:
        raise FileSystemError(f"cannot look at {path}: {error.strerror}") from None


def _look_into(volumes: Volumes) -> tuple[str, int]:
    """The digest in the bundle's comment, and the size of its shell header.

    A ``.7z`` around it has neither; raises :class:`BundleError` for what is no bundle at all.
    """
    if is_sevenzip(volumes):
        look(volumes)
        return "", 0
    with closing(ZipContainer(volumes)) as container:
        return container.promised, container.header_size


def _check(volumes: Volumes, promised: str, before_comment: str, whole: str) -> None:
    """Raise :class:`BundleError` if the bytes that were read are not the promised ones."""
    sums = volumes.sums
    if promised and before_comment != promised:
        problem = "its bytes do not have the SHA-256 of its comment"
    elif sums is not None and whole != sums.sha256:
        problem = f"its bytes do not have the SHA-256 in its {SUFFIX} file"
    else:
        return
    error = BundleError(f"{volumes.path} is damaged: {problem}; kitbag verify tells where")
    raise accused(error, volumes.accuse() if sums is not None else "")


def chunks_of(volumes: Volumes) -> Iterator[memoryview]:
    """All bytes in order; a chunk is good until the next one is asked for."""
    buffer = memoryview(bytearray(CHUNK))
    left = volumes.size
    with volumes.open() as stream:
        while left:
            try:
                count = stream.readinto(buffer)
            except OSError as error:
                raise FileSystemError(f"cannot read {stream.name}: {error.strerror}") from None
            if not count:
                raise BundleError(f"{stream.name} became shorter while it was read")
            left -= count
            yield buffer[:count]


def _check_apart(volumes: Volumes, target: str, volume_size: int) -> None:
    """Refuse to write over what is being read."""
    for part in volumes.parts:
        stem, _, number = part.path.rpartition(".")
        if (stem == target and number.isdecimal()) if volume_size else part.path == target:
            raise UsageError(f"{part.path} is what is to be read; write to another place or name")
