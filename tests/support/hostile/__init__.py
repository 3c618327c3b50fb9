"""Archives that are broken, dangerous or merely odd: the tiny build plus one bad thing each.

Every case says what a careful reader does with it. `refuse`: no reader may accept it. `accept`: it
is legal, and the contents are exactly `contents`. `either`: it may be refused, but a reader that
accepts it must see exactly `contents` (None: not stated), must not write outside its folder and
must not need more memory than for a good archive. "Reader" means the whole way from the file to an
installed tree: some cases are only wrong once members are looked at together.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from support.members import gzip_bytes
from support.rawtar import END

from . import kinds, names, sizes, streams, zips
from .base import (
    ACCEPT,
    EITHER,
    NAME,
    REFUSE,
    Cases,
    Hostile,
    base_contents,
    base_members,
    base_tar,
)
from .streams import BOMB_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "ACCEPT",
    "BOMB_SIZE",
    "EITHER",
    "REFUSE",
    "Hostile",
    "base_contents",
    "base_members",
    "good_archive",
    "hostile_archives",
    "truncations",
]

_GROUPS = (
    names.names,
    names.long_names,
    kinds.links,
    kinds.kinds,
    sizes.sizes,
    streams.streams,
    zips.zips,
)


@functools.cache
def hostile_archives() -> Mapping[str, Hostile]:
    """Return all cases by name, for `pytest.mark.parametrize`."""
    cases = Cases()
    for group in _GROUPS:
        group(cases)
    return cases.found


def truncations(count: int = 40) -> Iterator[tuple[int, bytes]]:
    """Yield (length, bytes) of the good archive cut off at `count` places, each to be refused."""
    data = gzip_bytes(base_tar() + END)
    for index in range(count):
        length = len(data) * index // count
        yield length, data[:length]


def good_archive(folder: Path) -> Path:
    """Write the archive that all cases differ from, to show that a reader accepts that one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.tar.gz"
    path.write_bytes(gzip_bytes(base_tar() + END))
    return path
