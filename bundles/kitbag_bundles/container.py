"""What holds the members of a bundle: a file, volumes, a folder; who reads need not know which.

A container knows its own structure and nothing of what the members mean; that is
:mod:`kitbag_bundles.bundle`.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kitbag_bundles.errors import BundleError, FileSystemError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.reporting import Progress
    from kitbag_bundles.volumes import Span

CHUNK = 1 << 20
"""How many bytes are read at a time where everything is read."""


class Location(NamedTuple):
    """Where the bytes of a member are."""

    path: str
    """The file, or the first of the volumes."""
    offset: int
    """From the beginning of the bundle, across all volumes."""
    size: int


class Verified(NamedTuple):
    """What reading every byte of a container found."""

    sha256: str
    """SHA-256 of the bundle's one file, as ``sha256sum`` gives it; empty for a folder."""
    members: Mapping[str, str]
    """The name of every member and the SHA-256 of its bytes."""


class Container(Protocol):
    """A bundle as named runs of bytes."""

    @property
    def path(self) -> str:
        """The absolute path of the file or folder, or of the first volume."""
        ...

    @property
    def size(self) -> int:
        """How many bytes :meth:`verify` reads."""
        ...

    @property
    def header_size(self) -> int:
        """Bytes of the shell header, a multiple of 4096; 0 where there is none."""
        ...

    @property
    def promised(self) -> str:
        """The SHA-256 in a file's own comment, in hex; empty for a folder."""
        ...

    def names(self) -> tuple[str, ...]:
        """The names of all members, in the container's order."""
        ...

    def size_of(self, name: str) -> int:
        """The size of a member in bytes; raises :class:`BundleError` if there is none."""
        ...

    def open(self, name: str) -> io.BufferedReader:
        """A new read-only stream over one member, with a file descriptor of its own."""
        ...

    def location(self, name: str) -> Location:
        """Where the member's bytes are."""
        ...

    def accuse(self, name: str) -> str:
        """Which volumes are to blame if this member is damaged, for a message; "" for one file."""
        ...

    def check(self, name: str, data: bytes) -> None:
        """Hold all bytes of a member against what the container itself knows of them.

        Raises :class:`BundleError`. A file knows their CRC, a folder nothing.
        """
        ...

    def verify(self, progress: Progress) -> Verified:
        """Read every byte, and raise :class:`BundleError` for what the container itself knows.

        For a file that is the digest in its comment and the CRC of every member.
        """
        ...

    def close(self) -> None:
        """Let go of the file; streams that are open stay open."""
        ...


def open_container(path: str | os.PathLike[str]) -> Container:
    """Open the bundle at ``path``, whichever form it has.

    Raises :class:`UsageError` if nothing is there, :class:`FileSystemError` if it cannot be read,
    and :class:`BundleError` if it is not a bundle or its structure is broken.
    """
    absolute = os.path.abspath(path)
    try:
        volumes = None
        if not _is_plainly_a_file(absolute):
            from kitbag_bundles.volumesets import find

            volumes = find(absolute)
        if volumes is not None:
            from kitbag_bundles.reader import ZipContainer
            from kitbag_bundles.sevenzip import unwrapped

            return ZipContainer(unwrapped(volumes))
        mode = os.stat(absolute).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no bundle at {absolute}; check the path") from None
    except ValueError:
        raise UsageError(f"{absolute!r} is not a path") from None
    except OSError as error:
        raise FileSystemError(f"cannot look at {absolute}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        from kitbag_bundles.directory import DirectoryContainer

        return DirectoryContainer(absolute)
    if stat.S_ISREG(mode):
        from kitbag_bundles.reader import ZipContainer
        from kitbag_bundles.sevenzip import unwrapped
        from kitbag_bundles.volumes import Volumes

        return ZipContainer(unwrapped(Volumes.of_file(absolute)))
    raise BundleError(f"{absolute} is not a kitbag bundle: neither a file nor a folder")


def _is_plainly_a_file(path: str) -> bool:
    """Whether no set of volumes can be meant: the usual case should import nothing for them."""
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
    return regular and not path.endswith(".sha256") and not path[-3:].isdecimal()


class Window(io.RawIOBase):
    """A read-only stream over ``size`` bytes of a file from ``offset``; owns ``file``."""

    def __init__(self, file: io.FileIO | Span, offset: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._size = size
        self._position = 0
        file.seek(offset)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor of the whole file: its offset is not the window's."""
        return self._file.fileno()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the window goes."""
        left = self._size - self._position
        view = memoryview(buffer)  # of bytes: PyPy reads into no slice of one that was cast
        if left <= 0 or not view:
            return 0
        try:
            count = self._file.readinto(view[:left] if len(view) > left else view)
        except OSError as error:
            raise FileSystemError(f"cannot read {self._file.name}: {error.strerror}") from None
        if not count:
            raise BundleError(f"{self._file.name} became shorter while it was read")
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move within the window; past its end reads give nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        position = base + offset
        if position < 0:
            raise ValueError("negative seek position")
        self._file.seek(self._offset + position)
        self._position = position
        return position

    def tell(self) -> int:
        """The position within the window."""
        return self._position

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


def open_window(path: str, offset: int, size: int, *, same_as: os.stat_result) -> io.BufferedReader:
    """A buffered stream over a part of the file at ``path``.

    ``same_as`` is what the file was when it was checked; a file that was replaced or written to
    since is a :class:`BundleError`.
    """
    try:
        file = io.FileIO(path, "r")
    except OSError as error:
        raise FileSystemError(f"cannot read {path}: {error.strerror}") from None
    if identity(os.fstat(file.fileno())) != identity(same_as):
        file.close()
        raise BundleError(f"{path} changed while it was read; start again")
    return io.BufferedReader(Window(file, offset, size), 1 << 16)


def identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """What stays the same as long as a file is neither replaced nor written to."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
