"""What one member of an archive is, and which names and links are acceptable for one."""

from __future__ import annotations

from typing import NamedTuple

from kitbag_bundles.errors import ArchiveError

BOMB_RATIO = 200
"""No archive of a Python swells so much: the best of them shrink to a twelfth."""
BOMB_FLOOR = 256 * 1024 * 1024
_LONGEST_PART = 255
_LONGEST_PATH = 4095
"""Bytes; NAME_MAX and PATH_MAX of Linux, and nobody allows more."""


class Member(NamedTuple):
    """One member: ``path`` is relative, normal and ``/``-separated.

    ``kind`` is ``d``, ``f``, ``l`` (symbolic link) or ``h`` (hard link). ``mode`` holds permission
    bits as the archive has them, ``size`` is in bytes and 0 for all but files. ``target`` is the
    text of a symbolic link, or for a hard link the path of the member that it shares. Bytes that
    are not UTF-8 are kept as surrogates.
    """

    path: str
    kind: str
    mode: int
    size: int
    target: str


def normal_path(path: str, filename: str) -> str:
    """``path`` without ``./`` in front and ``/`` behind; raises :class:`ArchiveError`.

    Refused: absolute names, ``..`` and empty components, NUL, and the empty name. The name of the
    archive's own top (``./``) comes back as ``""``.
    """
    while path.startswith("./"):
        path = path[2:]
    if path in (".", ""):
        return ""
    path = path.removesuffix("/")
    slashed = f"/{path}/"
    if "//" in slashed or "/../" in slashed or "/./" in slashed or "\0" in path:
        raise ArchiveError(
            f"{filename}: member {path!r} has a forbidden name; do not use this archive"
        )
    # A character takes four bytes at most, so most names need no second look.
    if len(path) > _LONGEST_PART // 4 and _is_too_long(path):
        raise ArchiveError(
            f"{filename}: the name of member {path[:60]!r}... is longer than file systems take; "
            "do not use this archive"
        )
    return path


def _is_too_long(path: str) -> bool:
    raw = path.encode("utf-8", "surrogateescape")
    return len(raw) > _LONGEST_PATH or max(map(len, raw.split(b"/"))) > _LONGEST_PART


def check_link(path: str, target: str, filename: str) -> None:
    """Refuse a symbolic link at ``path`` that could lead out of the tree.

    ``..`` may only stand at the front of a target, and not more often than the link is deep. As
    the link's own parents are real directories, and as every link that the rest of the target
    passes is held to the same rule, no chain of such links leaves the tree.
    """
    parts = target.split("/")
    ups = 0
    while ups < len(parts) and parts[ups] == "..":
        ups += 1
    absurd = not path or not target or target.startswith("/") or "\0" in target
    if absurd or ".." in parts[ups:] or ups > path.count("/"):
        raise ArchiveError(
            f"{filename}: the link {path!r} points to {target!r}, out of its tree; "
            "do not use this archive"
        )


def check_growth(unpacked: int, packed: int, filename: str) -> None:
    """Stop a bomb: ``packed`` bytes that have become, or would become, ``unpacked``."""
    if unpacked > BOMB_FLOOR and unpacked > packed * BOMB_RATIO:
        raise ArchiveError(
            f"{filename}: unpacks to more than {BOMB_RATIO} times its size; "
            "this is no archive of a Python"
        )
