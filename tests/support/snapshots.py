"""The state of folders as data, so that "nothing was touched" can be asserted of every bit."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

# What a root has from the moment that somebody asked for its lock; see kitbag_installer.roots.
HOUSEKEEPING = frozenset({".lock", ".temp", ".gitignore", ".kitbag", ".kitbag/made.json"})


class Thing(NamedTuple):
    """One path: its kind, permission bits, and a link's text or a file's digest."""

    kind: str
    mode: int
    value: str


def snapshot(*places: Path) -> dict[str, Thing]:
    """Everything at and below ``places`` by its path; what is not there is simply not in it."""
    found: dict[str, Thing] = {}
    for place in places:
        _look(os.fspath(place), found)
    return found


def without_housekeeping(state: dict[str, Thing], root: Path) -> dict[str, Thing]:
    """``state`` without the empty root and its lock, which a failed first install may leave.

    Whatever is left in its temporary directory stays in.
    """
    kept = {os.path.join(root, name) for name in HOUSEKEEPING} | {os.fspath(root)}
    return {path: thing for path, thing in state.items() if path not in kept}


def temporary(root: Path) -> list[str]:
    """What lies in a root's temporary directory."""
    try:
        return sorted(os.listdir(root / ".temp"))
    except FileNotFoundError:
        return []


def dangling(*places: Path) -> list[str]:
    """The links below ``places`` that lead to nothing."""
    return [
        path
        for path, thing in snapshot(*places).items()
        if thing.kind == "link" and not os.path.exists(path)
    ]


def _look(path: str, found: dict[str, Thing]) -> None:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        found[path] = Thing("link", 0, os.readlink(path))
    elif stat.S_ISDIR(status.st_mode):
        found[path] = Thing("folder", mode, "")
        for name in sorted(os.listdir(path)):
            _look(os.path.join(path, name), found)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            found[path] = Thing("file", mode, hashlib.file_digest(file, "sha256").hexdigest())
    else:
        found[path] = Thing("special", mode, "")
