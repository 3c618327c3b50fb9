"""Finds the volumes of a bundle, and tells which are missing, cut or of another set.

Any name of a set will do. Here only numbers and sizes count, the sums beside the set where there
are any, and how large the whole says it is; the bytes are checked by who reads them.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from typing import TYPE_CHECKING, NoReturn

from kitbag_bundles import volumesums, zipformat
from kitbag_bundles.errors import BundleError, UsageError
from kitbag_bundles.volumes import SUFFIX, Volumes
from kitbag_bundles.volumesums import part_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.volumesums import VolumeSums

_NUMBERED = re.compile(r"(.+)\.([0-9]{3})", re.DOTALL)
_MANIFEST = "manifest.toml"
_MOST_SUMS = 1 << 20
_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"


def find(path: str) -> Volumes | None:
    """The set of volumes that ``path`` means, or None if it means something else or nothing.

    ``path`` is absolute: any part, the file with the sums, the common name without a number, or a
    folder that holds one set. Raises :class:`BundleError` if a part is missing, has a size that
    cannot be, or does not belong to the set, :class:`UsageError` if a folder holds several sets,
    and :class:`OSError`.
    """
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        return _in_folder(path)
    numbered = _NUMBERED.fullmatch(name)
    there = os.path.lexists(path)
    if numbered:
        base = numbered[1]
        others = set(_numbers(folder, base)) - {int(numbered[2])}
        alone = not others and not os.path.lexists(os.path.join(folder, base + SUFFIX))
        if alone and (not there or _is_whole(path)):
            return None
    elif name.endswith(SUFFIX) and there:
        base = name[: -len(SUFFIX)]
        if not _numbers(folder, base) and not volumesums.is_ours(_read_start(path)):
            return None
    elif not there:
        base = name
        if not _numbers(folder, base) and not _has_sums(folder, base):
            return None
    else:
        return None
    return _Set(folder, base).open()


def _in_folder(folder: str) -> Volumes | None:
    names = os.listdir(folder)
    if _MANIFEST in names:
        return None
    bases = set()
    for name in names:
        numbered = _NUMBERED.fullmatch(name)
        if numbered and int(numbered[2]):
            bases.add(numbered[1])
        elif name.endswith(SUFFIX) and _has_sums(folder, name[: -len(SUFFIX)]):
            bases.add(name[: -len(SUFFIX)])
    if len(bases) > 1:
        several = ", ".join(part_name(base, 1) for base in sorted(bases))
        raise UsageError(f"{folder} holds several bundles in volumes: name one of {several}")
    return _Set(folder, bases.pop()).open() if bases else None


def _numbers(folder: str, base: str) -> list[int]:
    """The numbers of the parts that are there, in order."""
    found = []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in names:
        numbered = _NUMBERED.fullmatch(name)
        if numbered and numbered[1] == base and int(numbered[2]):
            found.append(int(numbered[2]))
    return sorted(found)


def _is_whole(path: str) -> bool:
    """Whether a file with a number at its end is a bundle of its own."""
    if not os.path.isfile(path):
        return True
    volumes = Volumes.of_file(path)
    return promised_size(volumes) == volumes.size


def _has_sums(folder: str, base: str) -> bool:
    try:
        return volumesums.is_ours(_read_start(os.path.join(folder, base + SUFFIX)))
    except OSError:
        return False


def _read_start(path: str) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):
        return b""
    with open(path, "rb") as stream:
        return stream.read(_MOST_SUMS)


class _Set:
    """The parts that lie in a folder under one name, and what their sizes tell."""

    def __init__(self, folder: str, base: str) -> None:
        self._folder = folder
        self._base = base
        self._statuses = {
            number: os.stat(os.path.join(folder, part_name(base, number)))
            for number in _numbers(folder, base)
        }

    def open(self) -> Volumes:
        """The set, if it looks whole; raises :class:`BundleError` otherwise."""
        for number, status in self._statuses.items():
            if not stat.S_ISREG(status.st_mode):
                self._refuse(f"{self._name(number)} is no regular file")
        problem = self._problem()
        sums = None
        place = os.path.join(self._folder, self._base + SUFFIX)
        data = _read_start(place) if os.path.exists(place) else b""
        if volumesums.is_ours(data):
            sums = volumesums.parse(data, place)
            told = self._against(sums)
            if told and not problem:
                told = (
                    f"{self._base}{SUFFIX} is of another set than the volumes, which go together;"
                    f" copy it again, or remove it to go on without it ({told})"
                )
            problem = told
        if problem:
            self._refuse(problem)
        return self._volumes(sums)

    def _volumes(self, sums: VolumeSums | None = None) -> Volumes:
        places = [
            (os.path.join(self._folder, self._name(number)), status)
            for number, status in self._statuses.items()
        ]
        return Volumes(places, sums)

    def _against(self, sums: VolumeSums) -> str:
        """What differs from the sums in number or size; "" if nothing does."""
        wanted = range(1, len(sums.parts) + 1)
        missing = [self._name(number) for number in wanted if number not in self._statuses]
        if missing:
            return f"missing: {', '.join(missing)}"
        problems = [
            f"{self._name(number)} has {self._statuses[number].st_size} bytes and not {each.size}:"
            " it is cut or of another set"
            for number, each in enumerate(sums.parts, 1)
            if self._statuses[number].st_size != each.size
        ]
        more = [self._name(number) for number in self._statuses if number not in wanted]
        if more:
            problems.append(f"of another set, remove it: {', '.join(more)}")
        return "; ".join(problems)

    def _problem(self) -> str:
        """What is wrong by the numbers, sizes and the end of the last part alone."""
        if not self._statuses:
            return f"missing: {self._name(1)}"
        last = max(self._statuses)
        missing = [self._name(each) for each in range(1, last) if each not in self._statuses]
        if missing:
            return f"missing: {', '.join(missing)}"
        sizes = [self._statuses[number].st_size for number in range(1, last + 1)]
        total = promised_size(self._volumes())
        if total != sum(sizes) and (more := self._beyond_the_end()):
            return f"of another set, remove it: {', '.join(more)}"
        if total is None:
            usual = _usual(sizes)
            if last > 2 and (odd := self._odd(sizes, usual)):
                return odd
            if sizes[-1] == usual:
                return (
                    f"missing: {self._name(last + 1)}; or else {self._name(last)} is cut,"
                    " damaged or of another set"
                )
            return f"{self._name(last)} is cut, damaged or of another set"
        if last == 1:
            return "" if sizes == [total] else f"{self._name(1)} is cut or of another set"
        usual, rest = divmod(total - sizes[-1], last - 1)
        if rest or usual < sizes[-1] or not sizes[-1]:
            usual = _usual(sizes)
        odd = self._odd(sizes, usual)
        if odd or sum(sizes) == total:
            return odd
        return f"{self._name(last)} is of another set than the volumes before it"

    def _beyond_the_end(self) -> list[str]:
        """The parts after which a whole bundle has ended already."""
        parts = self._volumes().parts
        for count in range(len(parts) - 1, 0, -1):
            shorter = Volumes([(part.path, part.status) for part in parts[:count]])
            if promised_size(shorter) == shorter.size:
                return [part.name for part in parts[count:]]
        return []

    def _odd(self, sizes: Sequence[int], usual: int) -> str:
        return "; ".join(
            f"{self._name(number)} has {size} bytes and not {usual}: it is cut or of another set"
            for number, size in enumerate(sizes[:-1], 1)
            if size != usual
        )

    def _name(self, number: int) -> str:
        return part_name(self._base, number)

    def _refuse(self, why: str) -> NoReturn:
        base = os.path.join(self._folder, self._base)
        raise BundleError(f"the volumes of {base} are not whole: {why}; copy what is wrong again")


def _usual(sizes: Sequence[int]) -> int:
    """The size that most parts before the last have; the largest if there are several."""
    before = sizes[:-1] or sizes
    return max(before, key=lambda size: (before.count(size), size))


def promised_size(volumes: Volumes) -> int | None:
    """How large the whole says it is: by a ZIP file's end, by a 7z file's start; None if neither.

    Reads a few bytes only, and judges nothing else.
    """
    with volumes.open() as stream:
        start = stream.read(32)
        if start.startswith(_SEVEN_ZIP) and len(start) == 32:
            offset, size = struct.unpack_from("<2Q", start, 12)
            return 32 + int(offset) + int(size)
        tail_size = zipformat.END.size + zipformat.COMMENT_SIZE
        zip64_size = zipformat.ZIP64_END.size + zipformat.ZIP64_LOCATOR.size
        reach = min(volumes.size, tail_size + zip64_size)
        stream.seek(-reach, os.SEEK_END)
        tail = b""
        while len(tail) < reach and (more := stream.read(reach - len(tail))):
            tail += more
    end, comment = tail[-tail_size : -zipformat.COMMENT_SIZE], tail[-zipformat.COMMENT_SIZE :]
    if len(end) < zipformat.END.size or not zipformat.ANY_COMMENT.match(comment):
        return None
    signature, _, _, _, _, size, offset, _ = zipformat.END.unpack(end)
    if signature != zipformat.END_SIGNATURE:
        return None
    if offset == zipformat.MAX_32:
        record = tail[: zipformat.ZIP64_END.size]
        if len(tail) < tail_size + zip64_size or not record.startswith(
            zipformat.ZIP64_END_SIGNATURE
        ):
            return None
        offset = zipformat.ZIP64_END.unpack(record)[9] + zip64_size
    return int(offset) + int(size) + tail_size
