"""Looks for shared libraries where the system's loader would look (ld.so(8), ld-musl's manual).

That is ``LD_LIBRARY_PATH``, the cache that ``ldconfig`` made, and the built-in directories.
``ld.so.conf`` is ``ldconfig``'s alone: the loader never reads it. What is found has to be for the
same machine as the loader itself. No certainty comes of this: a loader may have other directories
built in.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CACHE = "/etc/ld.so.cache"
_BUILT_IN = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_OF_DEBIAN = ("/lib/*-linux-*", "/usr/lib/*-linux-*")
_OF_MUSL = ("/lib", "/usr/local/lib", "/usr/lib")


def missing_libraries(names: Sequence[str], loader: str, *, cache: str = _CACHE) -> tuple[str, ...]:
    """Those of ``names`` that are nowhere; ``loader`` is the path of the program interpreter."""
    musl = "ld-musl" in loader
    folders = list(_folders_of_musl(loader) if musl else _folders_of_glibc(loader))
    known = b"" if musl else _read(cache)
    machine = _machine(loader)
    missing = []
    for name in names:
        places = [os.path.join(folder, name) for folder in folders]
        found = any(_machine(path) == machine or not machine for path in places if _there(path))
        if not found and not any(
            _machine(path) == machine or not machine for path in _cached(known, name)
        ):
            missing.append(name)
    return tuple(missing)


def _folders_of_glibc(loader: str) -> Iterator[str]:
    yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    yield from _BUILT_IN
    for pattern in _OF_DEBIAN:
        yield from sorted(glob.glob(pattern))
    if loader:
        yield os.path.dirname(os.path.realpath(loader))


def _folders_of_musl(loader: str) -> Iterator[str]:
    yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    # ld-musl-x86_64.so.1 reads /etc/ld-musl-x86_64.path, and only without it the built-in ones.
    machine = os.path.basename(loader).partition(".")[0]
    said = os.fsdecode(_read(f"/etc/{machine}.path"))
    yield from said.replace(":", "\n").split() or _OF_MUSL


def _cached(cache: bytes, name: str) -> Iterator[str]:
    """The paths in ``ld.so.cache`` that end in ``name``: texts, each with a NUL after it."""
    wanted = b"/" + os.fsencode(name) + b"\0"
    position = cache.find(wanted)
    while position >= 0:
        start = cache.rfind(b"\0", 0, position) + 1
        path = os.fsdecode(cache[start : position + len(wanted) - 1])
        if path.startswith("/") and _there(path):
            yield path
        position = cache.find(wanted, position + 1)


def _there(path: str) -> bool:
    return os.path.exists(path)


def _machine(path: str) -> bytes:
    """Class, byte order and machine out of an ELF header; empty for anything else."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return b""
    return head[4:6] + head[18:20] if head[:4] == b"\x7fELF" else b""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
