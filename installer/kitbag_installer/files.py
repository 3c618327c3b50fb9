"""Single files and links, replaced in one step.

The new one is made in the root's temporary directory, so that a run that is cut short leaves it
where the next run sweeps; where the place is on another file system it is made beside it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING

from kitbag_installer.platforms import this_system

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitbag_installer.roots import Root


_BESIDE = re.compile(r".\.kitbag-file-[0-9a-f]{12}$")


def replace_file(root: Root, path: str, data: bytes, mode: int) -> None:
    """Write ``data`` to ``path`` with ``mode``, whatever the umask; raises :class:`OSError`."""

    def make(scratch: str) -> None:
        with open(scratch, "xb") as file:
            file.write(data)
        os.chmod(scratch, mode)

    _replace(root, path, make)


def replace_link(root: Root, target: str, path: str) -> None:
    """Make ``path`` a symbolic link to ``target``; raises :class:`OSError`."""
    _replace(root, path, lambda scratch: os.symlink(target, scratch))


def replace_directory_link(root: Root, target: str, path: str) -> None:
    """Make ``path`` a link to the directory ``target``; raises :class:`OSError`.

    In one step where the system can; else the old one goes before the new one comes, as uv has it.
    """
    if this_system.REPLACES_LINKS:
        _replace(root, path, lambda scratch: this_system.make_directory_link(target, scratch))
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    this_system.make_directory_link(target, path)


def is_absolute(path: object) -> bool:
    """Whether ``path``, read from a file that anybody may have changed, is an absolute path."""
    try:
        return isinstance(path, str) and os.path.isabs(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def remove_leftovers(folder: str) -> None:
    """Remove what runs that were cut short left beside the places in ``folder``."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if _BESIDE.search(name):
            os.unlink(os.path.join(folder, name))


def _replace(root: Root, path: str, make: Callable[[str], None]) -> None:
    scratch = root.scratch("file")
    make(scratch)
    try:
        os.replace(scratch, path)
        return
    except OSError as error:
        os.unlink(scratch)
        if error.errno != errno.EXDEV:
            raise
    beside = f"{path}.{os.path.basename(scratch)}"
    make(beside)
    try:
        os.replace(beside, path)
    except OSError:
        os.unlink(beside)
        raise
