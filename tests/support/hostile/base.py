"""The shape of a hostile case, and the good archive that all of them start from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from support.members import Member, below, gzip_bytes, tar_bytes
from support.rawtar import END
from support.tiny import tiny_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

REFUSE, ACCEPT, EITHER = "refuse", "accept", "either"
NAME = "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only_stripped"
LIBRARY = b"python/lib/python3.13/"


class Hostile(NamedTuple):
    """One case. Call it with a folder: it writes the archive there and returns the path.

    `contents` maps the path of every file to its bytes, as a right reader sees them.
    """

    name: str
    verdict: str
    why: str
    suffix: str
    chunks: Callable[[], Iterable[bytes]]
    contents: Mapping[str, bytes] | None = None

    def __call__(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{NAME}{self.suffix}"
        with path.open("wb") as stream:
            for chunk in self.chunks():
                stream.write(chunk)
        return path


@functools.cache
def base_members() -> tuple[Member, ...]:
    """Return the members that every case starts from, sorted as upstream sorts them."""
    return tuple(sorted(below("python", tiny_members()), key=lambda m: m.path))


@functools.cache
def base_tar() -> bytes:
    """Return the blocks of those members, without the end of the archive."""
    data = b""
    for one in base_members():
        single = tar_bytes([one])
        data += single[: 512 + len(one.data) + -len(one.data) % 512]
    return data


@functools.cache
def base_contents() -> Mapping[str, bytes]:
    """Return path and bytes of each file (hard links included) of the base."""
    data = {one.path: one.data for one in base_members() if one.kind == "f"}
    links = [one for one in base_members() if one.kind == "h"]
    return data | {one.path: data[one.target] for one in links}


class Cases:
    """Collects cases by name."""

    def __init__(self) -> None:
        self.found: dict[str, Hostile] = {}

    def add(
        self,
        name: str,
        verdict: str,
        why: str,
        chunks: Callable[[], Iterable[bytes]],
        *,
        contents: Mapping[str, bytes] | None = None,
        suffix: str = ".tar.gz",
    ) -> None:
        """Add a case whose file consists of `chunks()`."""
        assert name not in self.found
        self.found[name] = Hostile(name, verdict, why, suffix, chunks, contents)


def tar(extra: bytes, *, end: bytes = END, front: bytes = b"") -> Callable[[], list[bytes]]:
    """Return a maker of the base tar.gz with `extra` behind its members, `front` before."""
    return lambda: [gzip_bytes(front + base_tar() + extra + end)]


def plus(**files: bytes) -> Mapping[str, bytes]:
    """Return the base contents and more files below the library."""
    library = LIBRARY.decode()
    more = {library + name: data for name, data in files.items()}
    return {**base_contents(), **more}
