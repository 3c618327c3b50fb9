"""Where the bytes of a bundle go: one file, or numbered volumes with a file of sums beside them.

Either is written beside its final names, flushed, read back by whoever wrote it, and renamed at
the end. Of an older set nothing goes before that, and while names change the first volume is
missing, so that no mixture of two sets can pass for a whole one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, Protocol

from kitbag_bundles import volumesums
from kitbag_bundles.errors import BundleError, UsageError
from kitbag_bundles.volumes import SUFFIX, Volumes
from kitbag_bundles.volumesums import PartSum, VolumeSums, part_name
from kitbag_packer.safefiles import (
    check_space,
    create,
    discard,
    discard_unused,
    flush,
    flush_folder,
    hold,
    in_use,
    write_all,
)
from kitbag_packer.volumes.sizes import check_file_size, count_volumes

if TYPE_CHECKING:
    from typing import BinaryIO

PARTIAL = ".partial"


class Output(Protocol):
    """Takes the bytes of a bundle in order; a context manager that leaves nothing unless told."""

    def __enter__(self) -> Output:
        """Begin; files are made when bytes come."""
        ...

    def __exit__(self, *exc: object) -> None:
        """Remove what was not committed."""
        ...

    def write(self, data: bytes | memoryview) -> int:
        """Write everything."""
        ...

    def finish(self) -> Volumes:
        """Flush to the drive, and give what was written to be read back."""
        ...

    def commit(self, sha256: str) -> tuple[str, ...]:
        """Give the files their names; ``sha256`` is the whole's. Returns the paths of volumes."""
        ...


def open_output(target: str, size: int, volume_size: int = 0) -> Output:
    """An output for ``size`` bytes at ``target``, an absolute path, after a look at the place.

    With ``volume_size``, a multiple of 4096, the files are ``<target>.001`` and so on. Raises
    :class:`UsageError` and :class:`FileSystemError` if it can't be written there.
    """
    return _Parts(target, size, volume_size) if volume_size else _File(target, size)


class _File:
    """One file."""

    def __init__(self, target: str, size: int) -> None:
        self._target = target
        self._partial = target + PARTIAL
        discard_unused(self._partial)
        if os.path.lexists(target) and not os.path.isfile(target):
            raise UsageError(
                f"cannot write a bundle to {target}: something else than a file is there"
            )
        check_file_size(
            target, size, "make volumes, with kitbag pack or kitbag split and --volume-size 4GiB-1"
        )
        check_space(target, size)
        self._output: BinaryIO | None = None
        self._held = -1
        self._ours = False

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._output is not None:
            self._output.close()
        if self._ours:
            with contextlib.suppress(OSError):
                discard(self._partial)
        if self._held >= 0:
            os.close(self._held)

    def write(self, data: bytes | memoryview) -> int:
        write_all(self._output or self._begin(), data)
        return len(data)

    def _begin(self) -> BinaryIO:
        # Said first: a signal may come at any moment, and nothing of ours must be left.
        self._ours = True
        try:
            self._output = create(self._partial)
            self._held = hold(self._output, self._partial)
        except (FileExistsError, UsageError):
            self._ours = False
            raise in_use(self._partial) from None
        return self._output

    def finish(self) -> Volumes:
        assert self._output is not None
        flush(self._output)
        self._output.close()
        return Volumes.of_file(self._partial)

    def commit(self, sha256: str) -> tuple[str, ...]:
        os.replace(self._partial, self._target)
        self._ours = False
        flush_folder(os.path.dirname(self._target))
        return ()


class _Parts:
    """Numbered volumes."""

    def __init__(self, target: str, size: int, volume_size: int) -> None:
        self._folder, self._base = os.path.split(target)
        if not volumesums.is_suitable(self._base):
            raise UsageError(
                f"cannot write volumes of {target!r}: choose a name without control characters "
                "and backslashes"
            )
        self._volume_size = volume_size
        count = count_volumes(size, volume_size)
        self._paths = [self._path(number) for number in range(1, count + 1)]
        self._sums_path = target + SUFFIX
        self._digests: list[hashlib._Hash] = []
        self._sizes: list[int] = []
        self._output: BinaryIO | None = None
        self._partials: list[str] = []
        self._discard_partials()
        for path in (*self._paths, self._sums_path):
            if os.path.lexists(path) and not os.path.isfile(path):
                raise UsageError(f"cannot write volumes to {path}: something else is there")
        self._stale = self._find_stale(count)
        check_file_size(
            target, min(size, volume_size), "make the volumes smaller: --volume-size 4GiB-1"
        )
        check_space(target, size)

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._output is not None:
            self._output.close()
        for path in self._partials:
            with contextlib.suppress(OSError):
                discard(path)

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data)
        while view:
            if not self._sizes or self._sizes[-1] == self._volume_size:
                self._next()
            assert self._output is not None
            piece = view[: self._volume_size - self._sizes[-1]]
            write_all(self._output, piece)
            self._digests[-1].update(piece)
            self._sizes[-1] += len(piece)
            view = view[len(piece) :]
        return len(data)

    def finish(self) -> Volumes:
        self._flush()
        return Volumes([(path, os.stat(path)) for path in self._partials])

    def commit(self, sha256: str) -> tuple[str, ...]:
        parts = [
            PartSum(size, digest.hexdigest())
            for size, digest in zip(self._sizes, self._digests, strict=True)
        ]
        sums = VolumeSums(sum(self._sizes), sha256, tuple(parts))
        self._partials.append(self._sums_path + PARTIAL)
        with create(self._partials[-1]) as output:
            write_all(output, volumesums.render(self._base, sums))
            flush(output)
        # Without its first volume nothing here is whole, whatever moment the work is stopped at.
        # The old sums go after the volumes that only they vouch for.
        for path in (self._paths[0], *self._stale, self._sums_path):
            discard(path)
        flush_folder(self._folder)
        for path in reversed(self._paths):
            os.replace(path + PARTIAL, path)
        os.replace(self._sums_path + PARTIAL, self._sums_path)
        flush_folder(self._folder)
        self._partials.clear()
        return tuple(self._paths)

    def _next(self) -> None:
        self._flush()
        path = self._paths[len(self._sizes)] + PARTIAL
        # First its name: a signal may come at any moment, and nothing must be left.
        self._partials.append(path)
        self._output = create(path)
        self._sizes.append(0)
        self._digests.append(hashlib.sha256())

    def _flush(self) -> None:
        if self._output is not None:
            flush(self._output)
            self._output.close()
            self._output = None

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, part_name(self._base, number))

    def _discard_partials(self) -> None:
        """Remove what a killed run left, of any number."""
        ours = re.compile(
            rf"{re.escape(self._base)}(\.[0-9]{{3}}|{re.escape(SUFFIX)}){re.escape(PARTIAL)}"
        )
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                if ours.fullmatch(name):
                    discard(os.path.join(self._folder, name))

    def _find_stale(self, count: int) -> list[str]:
        """Volumes of an older, larger set of this name, the last one first.

        Raises :class:`UsageError` for those that the sums of that set do not speak of.
        """
        numbers = range(count + 1, volumesums.MOST + 1)
        more = [number for number in numbers if os.path.lexists(self._path(number))]
        if not more:
            return []
        known = 0
        with contextlib.suppress(OSError, BundleError):
            with open(self._sums_path, "rb") as stream:
                data = stream.read(1 << 20)
            known = len(volumesums.parse(data, self._sums_path).parts)
        foreign = [self._path(number) for number in more if number > known]
        if foreign:
            raise UsageError(
                f"volumes of another set are in the way: {', '.join(foreign)}; remove them, or "
                "choose another name"
            )
        return [self._path(number) for number in reversed(more)]
