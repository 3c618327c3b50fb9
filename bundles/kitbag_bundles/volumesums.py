"""``NAME.sha256``, the small file beside a set of volumes: what the parts are, and the whole.

``sha256sum -c`` checks the parts with it; what that has no room for stands in comments::

    # kitbag volumes 1
    # whole 1690010291 <sha256> tools.kitbag
    # part 734003200 tools.kitbag.001
    …
    <sha256>  tools.kitbag.001
    …
    # end <sha256 of all lines above>

A renamed set keeps its file: names are for people and for ``sha256sum``, numbers count.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from kitbag_bundles.errors import BundleError, UnsupportedFormat

MOST = 999
"""Volumes have three digits."""

_START = "# kitbag volumes "
_FIRST = f"{_START}1"
_ANY_FIRST = re.compile(re.escape(_START) + "[0-9]+")
_WHOLE = re.compile(r"# whole ([0-9]{1,18}) ([0-9a-f]{64}) (.+)")
_PART = re.compile(r"# part ([0-9]{1,18}) (.+)")
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")
_END = re.compile(r"# end ([0-9a-f]{64})")
_UNSUITABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


class PartSum(NamedTuple):
    """One part, as the file tells of it."""

    size: int
    sha256: str


class VolumeSums(NamedTuple):
    """All that the file says."""

    size: int
    """Bytes of the whole."""
    sha256: str
    """Of the whole, in hex."""
    parts: tuple[PartSum, ...]
    """In the order of their numbers, beginning with 001."""


def part_name(base: str, number: int) -> str:
    """The name of a part: ``tools.kitbag`` and 1 make ``tools.kitbag.001``."""
    return f"{base}.{number:03}"


def is_suitable(name: str) -> bool:
    """Whether a file's name can stand in the file: no control characters, no backslash."""
    return not _UNSUITABLE.search(name)


def render(base: str, sums: VolumeSums) -> bytes:
    """The file for a set that is called ``base``, a name without a folder."""
    names = [part_name(base, number) for number in range(1, len(sums.parts) + 1)]
    lines = [_FIRST, f"# whole {sums.size} {sums.sha256} {base}"]
    lines += [f"# part {each.size} {name}" for each, name in zip(sums.parts, names)]
    lines += [f"{each.sha256}  {name}" for each, name in zip(sums.parts, names)]
    above = "".join(f"{line}\n" for line in lines).encode()
    return above + f"# end {hashlib.sha256(above).hexdigest()}\n".encode()


def is_ours(data: bytes) -> bool:
    """Whether this is such a file, sound or not, and not one that only ``sha256sum`` wrote."""
    return data.startswith(_START.encode())


def parse(data: bytes, name: str) -> VolumeSums:
    """Read the file; ``name`` is what messages call it.

    Raises :class:`BundleError` for everything that :func:`render` would not have written, and
    :class:`UnsupportedFormat` if a newer kitbag wrote it.
    """
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if lines[0] != _FIRST and _ANY_FIRST.fullmatch(lines[0]):
        raise UnsupportedFormat(f"{name} was made by a newer kitbag; use a newer kitbag")
    above = "".join(f"{line}\n" for line in lines[:-2]).encode()
    end = _END.fullmatch(lines[-2]) if len(lines) > 2 and not lines[-1] else None
    if not end or hashlib.sha256(above).hexdigest() != end[1]:
        raise _damaged(name)
    whole = _WHOLE.fullmatch(lines[1])
    rest = lines[2:-2]
    count = len(rest) // 2
    sizes = [_PART.fullmatch(line) for line in rest[:count]]
    digests = [_SUM.fullmatch(line) for line in rest[count:]]
    if not whole or not 1 <= count <= MOST or len(digests) != count:
        raise _damaged(name)
    parts = []
    for number, (size, digest) in enumerate(zip(sizes, digests), 1):
        ending = f".{number:03}"
        if not size or not digest or size[2] != digest[2] or not size[2].endswith(ending):
            raise _damaged(name)
        parts.append(PartSum(int(size[1]), digest[1]))
    if sum(part.size for part in parts) != int(whole[1]):
        raise _damaged(name)
    return VolumeSums(int(whole[1]), whole[2], tuple(parts))


def _damaged(name: str) -> BundleError:
    return BundleError(f"{name} is damaged: copy it again, or remove it to go on without it")
