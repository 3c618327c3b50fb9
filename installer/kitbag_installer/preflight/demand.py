"""How much of a file system a build takes: its files in blocks, its paths in inodes."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.environments import Environment, Wheel
    from kitbag_bundles.manifest import Bytecode

RECEIPT_INODES = 4
"""The receipt's directory and its three files."""
ADDED_INODES = 3
"""``EXTERNALLY-MANAGED``, ``BUILD`` and ``bin/python``, where the archive lacks them."""
ORIGINALS = 3 << 15
"""Bytes of the receipt and its originals: 74 kB for a CPython 3.11 with pip and setuptools."""
_KIND, _SIZE = attrgetter("kind"), attrgetter("size")
_ENTRY = 32
"""Bytes of a name in its directory: ext4 takes 8 and the name."""
_SKELETON = 24
"""Files, links and directories of an environment without wheels, with its receipt."""
_ADDED = 4
"""What an install adds for each wheel: ``INSTALLER``, ``REQUESTED``, a script or two."""
_RECORD = 140
"""Bytes of a line in the receipt's list of bytecode: a digest and a path."""


class Demand(NamedTuple):
    """What has to be free while everything is installed."""

    least: int
    """Bytes of the files themselves: with less it can't work, unless the file system compresses."""
    size: int
    """Bytes in whole blocks, directories and kitbag's own files included: an estimate."""
    least_inodes: int
    """Files, directories and links of the builds."""
    inodes: int
    """The same and kitbag's own files."""

    def plus(self, other: Demand) -> Demand:
        """Both together: builds that are unpacked side by side are there at the same time."""
        return Demand(*map(sum, zip(self, other)))


def demand_of_build(entries: Sequence[Entry], contents_size: int, unit: int) -> Demand:
    """What a tree with ``entries`` takes where space is given in blocks of ``unit`` bytes.

    An old tree that is replaced stays until the new one is complete, so nothing is taken off for
    it. ``contents_size`` is that of the contents list, which is kept with the receipt.
    """
    kinds = list(map(_KIND, entries))
    sizes = list(map(_SIZE, entries))
    names = len(kinds)
    inodes = names - kinds.count("h") + 1
    directories = kinds.count("d") + 2
    added = RECEIPT_INODES + ADDED_INODES
    blocks = sum([-(-size // unit) for size in sizes]) + directories + names * _ENTRY // unit
    blocks += _blocks((contents_size, ORIGINALS, 1, 1, 1), unit)
    return Demand(sum(sizes), blocks * unit, inodes, inodes + added)


def demand_of_bytecode(bytecode: Bytecode, entries: Sequence[Entry], unit: int) -> Demand:
    """What the compiled files that a bundle brings along take besides, each in a folder more.

    Their sizes one by one are not known, so each is given a block for its end.
    """
    folders = len({entry.path.rpartition("/")[0] for entry in entries if _is_source(entry)})
    blocks = bytecode.unpacked_size // unit + bytecode.files + folders
    blocks += bytecode.files * 2 * _ENTRY // unit + _blocks((bytecode.files * _RECORD,), unit)
    inodes = bytecode.files + folders
    return Demand(bytecode.unpacked_size, blocks * unit, bytecode.files, inodes + 1)


def _is_source(entry: Entry) -> bool:
    return entry.kind == "f" and entry.path.endswith(".py")


def demand_of_wheels(wheels: Sequence[Wheel], unit: int) -> Demand:
    """What an environment of ``wheels`` takes: their files, its own, and scripts.

    The sizes of the files one by one are not known, nor how many directories there are: each file
    is given a block for its end, and every fourth a directory.
    """
    size = sum(wheel.unpacked_size for wheel in wheels)
    files = sum(wheel.files for wheel in wheels)
    folders = files // 4
    own = _SKELETON + _ADDED * len(wheels)
    blocks = size // unit + files + own + folders + (files + own) * _ENTRY // unit
    blocks += _blocks((files * _RECORD,), unit)
    return Demand(size, blocks * unit, files, files + own + folders)


def longest_in_environment(environment: Environment, wheels: Sequence[Wheel]) -> int:
    """Bytes of the longest path in it, as far as the manifest tells."""
    from kitbag_installer.environments.layout import layout_of

    if environment.python is None:
        return 0
    site = len(layout_of(environment.python).site)
    return site + 1 + max((wheel.longest_path for wheel in wheels), default=0)


def demand_of_root(missing_directories: int, installer_size: int, builds: int, unit: int) -> Demand:
    """What a root itself takes: its directories, ``kitbag.pyz``, links and small files."""
    inodes = missing_directories + 8 + builds
    blocks = missing_directories + 4 + _blocks((installer_size, 1, 1), unit)
    return Demand(0, blocks * unit, 0, inodes)


def _blocks(sizes: Iterable[int], unit: int) -> int:
    return sum(-(-size // unit) for size in sizes)
