"""What the files of a wheel may be called, and how it says what it is.

A wheel is held against this when it is packed and again when it is installed, so that nothing
travels that would be refused where it arrives. The format is that of
https://packaging.python.org/en/latest/specifications/binary-distribution-format/.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
"""The directories that ``.data`` may have."""

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")
_FORBIDDEN_ON_WINDOWS = re.compile(r'[\x00-\x1f\x7f\\<>:"|?*]')


def check_path(path: str, wheel: str, *, windows: bool = False) -> None:
    """Raise :class:`ArchiveError` for the name of a member that leads out of an environment.

    ``windows``: where more characters than elsewhere mean something.
    """
    forbidden = _FORBIDDEN_ON_WINDOWS if windows else _FORBIDDEN
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts or forbidden.search(path):
        raise broken(wheel, f"has a member that leads out of the environment, {path!a}")


def check_tree(paths: Sequence[str], wheel: str) -> None:
    """Raise :class:`ArchiveError` if a file is there twice, or is the directory of another."""
    folders: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise broken(wheel, f"has {path!a} twice")
        if path in folders:
            raise broken(wheel, f"has {path!a}, a file and a directory")
        seen.add(path)


def metadata_folder(paths: Iterable[str], project: str, wheel: str) -> str:
    """The ``.dist-info`` directory, of which there is one; ``project`` is the normalized name.

    Raises :class:`ArchiveError`.
    """
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    found = [top for top in tops if top.endswith(".dist-info")]
    if len(found) != 1:
        raise broken(wheel, f"has {len(found)} .dist-info directories, not one")
    (info,) = found
    said = info[: -len(".dist-info")].rpartition("-")[0]
    if re.sub(r"[-_.]+", "-", said).lower() != project:
        raise broken(wheel, f"has the metadata of another project, {info}")
    return info


def data_place(path: str, wheel: str) -> tuple[str, str]:
    """The scheme of a file in ``.data``, and its path there; raises :class:`ArchiveError`."""
    scheme, _, rest = path.partition("/")
    if scheme not in SCHEMES or not rest:
        raise broken(wheel, f"has {path!a} in its .data, which is no place that wheels know")
    if scheme == "data" and rest.partition("/")[0].casefold() == ".kitbag":
        raise broken(wheel, f"has {path!a}, where kitbag's own files are")
    return scheme, rest


def check_version(data: bytes, wheel: str) -> None:
    """Raise :class:`ArchiveError` for a WHEEL of a format that is not version 1."""
    found = re.search(rb"(?mi)^wheel-version:[ \t]*(\d{1,4})\.\d", data)
    if not found:
        raise broken(wheel, "does not tell the version of the wheel format that it has")
    if int(found.group(1)) != 1:
        raise ArchiveError(
            f"{wheel}: is of version {int(found.group(1))} of the wheel format, and kitbag knows "
            "version 1; take another release of the package, or a newer kitbag"
        )


def broken(wheel: str, what: str) -> ArchiveError:
    """The error for a wheel of which ``what`` is true."""
    return ArchiveError(f"{wheel}: {what}; the wheel is broken, take another one")
