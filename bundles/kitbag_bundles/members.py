"""The members that a bundle of format 1 has: which there may be, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.sums import MEMBER as SUMS
from kitbag_bundles.sums import is_signature

if TYPE_CHECKING:
    from collections.abc import Iterable

MAIN = "__main__.py"
INSTALLER = "kitbag.pyz"
INSTALL_SH = "install.sh"
INSTALL_CMD = "install.cmd"
MANIFEST = "manifest.toml"
CONTENTS = "contents/"
ARCHIVES = "archives/"
WHEELS = "wheels/"
RESERVED = ("licenses/", "meta/")
"""Folders whose members are listed in ``SHA256SUMS`` and otherwise ignored."""

REQUIRED = (MAIN, INSTALLER, INSTALL_SH, INSTALL_CMD, MANIFEST, SUMS)
FOLDERS = tuple(folder.rstrip("/") for folder in (CONTENTS, ARCHIVES, WHEELS, *RESERVED))

_FIRST = (MAIN, INSTALLER, INSTALL_SH, INSTALL_CMD, MANIFEST)
_THEN = (CONTENTS, ARCHIVES, WHEELS, *RESERVED)


def in_order(names: Iterable[str]) -> list[str]:
    """``names`` in the order of the file: by kind, and in bytewise order within a kind."""
    return sorted(names, key=_rank)


def is_reserved(name: str) -> bool:
    """Whether a reader of format 1 accepts this member and ignores it."""
    return name.startswith(RESERVED) or is_signature(name)


def is_aligned(name: str) -> bool:
    """Whether the member's data begins on a multiple of 4096: what the shell header must find."""
    return name == INSTALLER or name.startswith(ARCHIVES)


def is_executable(name: str) -> bool:
    """Whether the member unpacks with the mode 0755 and not 0644."""
    return name == INSTALL_SH


def _rank(name: str) -> tuple[int, str]:
    if name in _FIRST:
        return _FIRST.index(name), ""
    for rank, folder in enumerate(_THEN, len(_FIRST)):
        if name.startswith(folder):
            return rank, name
    last = len(_FIRST) + len(_THEN)
    if name == SUMS:
        return last, ""
    return (last + 1 if is_signature(name) else last + 2), name
