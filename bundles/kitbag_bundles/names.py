"""Which names a member of a bundle may have.

A member must unpack to the same relative path with every tool on every system, so names are plain
ASCII and avoid what Windows cannot store. Names *inside* a build's archive are another matter: see
:mod:`kitbag_bundles.contents`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Printable ASCII without what Windows forbids in file names and without the backslash:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_PART = re.compile(r"[\x20-\x7e]+")
MAX_LENGTH = 255
_FORBIDDEN = re.compile(r'[<>:"|?*\\]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9]) *(?:\..*)?")


def check_member_names(names: Iterable[str]) -> None:
    """Raise :class:`BundleError` unless ``names`` can live side by side in one folder anywhere.

    Every name is relative and normal, and no two are the same once case is folded, nor is one a
    folder of another.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        check_member_name(name)
        folded = name.lower()
        if folded in files:
            raise BundleError(f"two members are named {_shown(name)}, once case is folded")
        files[folded] = name
        parts = name.split("/")
        for count in range(1, len(parts)):
            folder = "/".join(parts[:count])
            if folders.setdefault(folder.lower(), folder) != folder:
                raise BundleError(f"the folder of member {_shown(name)} is also spelt otherwise")
    for folded, name in files.items():
        if folded in folders:
            raise BundleError(f"member {_shown(name)} is also the folder of another member")


def check_member_name(name: str) -> None:
    """Raise :class:`BundleError` unless ``name`` alone is a fit name for a member."""
    if len(name) > MAX_LENGTH:
        raise BundleError(f"member name {_shown(name)} is longer than {MAX_LENGTH} characters")
    for part in name.split("/"):
        problem = _problem(part)
        if problem:
            raise BundleError(f"member name {_shown(name)} {problem}")


def _problem(part: str) -> str:
    if part in ("", ".", ".."):
        return "is not a relative, normal path"
    if not _PART.fullmatch(part):
        return "has a character that is not printable ASCII"
    if _FORBIDDEN.search(part):
        return "has a character that some systems cannot store"
    if part[0] == " " or part[-1] in " .":
        return "has a part that begins or ends with a space, or ends with a dot"
    if _RESERVED.fullmatch(part.lower()):
        return "is reserved on Windows"
    return ""


def _shown(name: str) -> str:
    """``name`` fit for a message: escaped, and short."""
    return ascii(name if len(name) <= 120 else name[:117] + "...")
