"""Several files read as one: the numbered volumes of a bundle, without joining them.

The parts ``tools.kitbag.001``, ``.002``, … are plain byte ranges of the bundle, one after the
other. What the bytes mean is for others to know, and :mod:`kitbag_bundles.volumesets` finds the
parts. A file on its own is the simplest set.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from kitbag_bundles.errors import BundleError, FileSystemError, KitbagError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.volumesums import VolumeSums

SUFFIX = ".sha256"
"""Ends the name of the file beside a set; :mod:`kitbag_bundles.volumesums` is what it holds."""

_E = TypeVar("_E", bound=KitbagError)


class Part(NamedTuple):
    """One file of a set."""

    path: str
    offset: int
    """Where it begins in the whole."""
    status: os.stat_result

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return os.path.basename(self.path)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.status.st_size


class Piece(NamedTuple):
    """A run of bytes of one part."""

    path: str
    offset: int
    """From the beginning of the part."""
    size: int


class Volumes:
    """The files that are, one after the other, one bundle."""

    def __init__(
        self, statuses: Sequence[tuple[str, os.stat_result]], sums: VolumeSums | None = None
    ) -> None:
        """Take the files in their order, at least one; use :func:`find` for a path."""
        parts: list[Part] = []
        offset = 0
        for path, status in statuses:
            parts.append(Part(path, offset, status))
            offset += status.st_size
        self.parts = tuple(parts)
        self.size = offset
        self.path = parts[0].path
        """What messages call the whole: its first file."""
        self.sums = sums
        """What the file beside the set says, where there is one."""

    @classmethod
    def of_file(cls, path: str) -> Volumes:
        """A file on its own; raises :class:`OSError`."""
        return cls([(path, os.stat(path))])

    @property
    def several(self) -> bool:
        """Whether it is a set: then the parts deserve to be named."""
        return len(self.parts) > 1 or self.sums is not None

    def open(self) -> Span:
        """A new unbuffered stream over all bytes."""
        return Span(self)

    def pieces(self, offset: int, size: int) -> list[Piece]:
        """Where ``size`` bytes from ``offset`` are; as far as there are any."""
        end = offset + size
        found = []
        for part in self.parts:
            start, stop = max(offset, part.offset), min(end, part.offset + part.size)
            if start < stop:
                found.append(Piece(part.path, start - part.offset, stop - start))
        return found

    def accuse(self, offset: int = 0, size: int = 0) -> str:
        """Which files are to blame for wrong bytes in this range, for a message; "" for one file.

        With the sums of the set the parts are read, those of the range first, until wrong ones are
        found; without them it is every part that the range touches.
        """
        if not self.several:
            return ""
        touched = [piece.path for piece in self.pieces(offset, size)]
        if self.sums is None:
            names = ", ".join(os.path.basename(path) for path in touched)
            return f"damaged or of another set: {names}" if names else ""
        order = sorted(self.parts, key=lambda part: part.path not in touched)
        wrong: dict[int, str] = {}
        for part in order:
            if wrong and part.path not in touched:
                break
            other = self._check(part, wrong)
            if other is not None:
                # It changed places with another one, most likely.
                self._check(other, wrong)
        return "; ".join(wrong[number] for number in sorted(wrong))

    def fault(self, part: Part) -> str:
        """Hold one part against the sums of the set; what is wrong with it, or ""."""
        wrong: dict[int, str] = {}
        self._check(part, wrong)
        return "".join(wrong.values())

    def _check(self, part: Part, wrong: dict[int, str]) -> Part | None:
        """Note what is wrong with a part; returns the one whose bytes it has, if it has such."""
        from kitbag_bundles.digests import file_sha256

        assert self.sums is not None
        number = self.parts.index(part)
        promised = [each.sha256 for each in self.sums.parts]
        digest = file_sha256(part.path)
        if digest == promised[number]:
            return None
        if digest in promised:
            other = self.parts[promised.index(digest)]
            wrong[number] = f"{part.name} is another volume: it holds the bytes of {other.name}"
            return other
        base = part.name[:-4]
        wrong[number] = (
            f"{part.name} is damaged or of another set: its sha256 is not that in {base}{SUFFIX}"
        )
        return None


def accused(error: _E, whom: str) -> _E:
    """The error with those who are to blame, where anybody is."""
    return type(error)(f"{error} ({whom})") if whom else error


class Span(io.RawIOBase):
    """A read-only, seekable stream over all parts; one file is open at a time."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__()
        self._volumes = volumes
        self._position = 0
        self._index = -1
        self._file: io.FileIO | None = None
        try:
            self._turn_to(0)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The file that is being read."""
        return self._volumes.parts[self._index].path

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor of the part that is being read."""
        assert self._file is not None
        return self._file.fileno()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the part goes; 0 at the end, or where a part became shorter."""
        view = memoryview(buffer)  # of bytes: PyPy reads into no slice of one that was cast
        if not view or self._position >= self._volumes.size:
            return 0
        part = self._volumes.parts[self._index]
        if not part.offset <= self._position < part.offset + part.size:
            self._turn_to(self._at(self._position))
            part = self._volumes.parts[self._index]
        assert self._file is not None
        inside = self._position - part.offset
        left = part.size - inside
        self._file.seek(inside)
        count = self._file.readinto(view[:left] if len(view) > left else view)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to any place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._volumes.size}
        position = base[whence] + offset
        if position < 0:
            raise ValueError("negative seek position")
        self._position = position
        return position

    def tell(self) -> int:
        """The position in the whole."""
        return self._position

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _at(self, position: int) -> int:
        """The number of the part that has this byte."""
        from bisect import bisect_right

        return bisect_right([part.offset for part in self._volumes.parts], position) - 1

    def _turn_to(self, index: int) -> None:
        from kitbag_bundles.container import identity

        part = self._volumes.parts[index]
        if self._file is not None:
            self._file.close()
        self._index = index
        try:
            self._file = io.FileIO(part.path, "r")
        except OSError as error:
            raise FileSystemError(f"cannot read {part.path}: {error.strerror}") from None
        if identity(os.fstat(self._file.fileno())) != identity(part.status):
            raise BundleError(f"{part.path} changed while it was read; start again")
