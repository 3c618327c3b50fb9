"""Leaves kitbag itself behind: ``<root>/.kitbag/kitbag.pyz`` and a ``kitbag`` command.

So the verbs that look after installs work when the stick is gone. The command is a small script
that runs the file with whichever installed CPython is there.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING

from kitbag_installer.files import replace_file
from kitbag_installer.footprint import make_folders
from kitbag_installer.hosts import this_host
from kitbag_installer.platforms import MARK, this_system

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_installer.roots import Root

PYZ = "kitbag.pyz"
COMMAND = "kitbag" + this_system.COMMAND_SUFFIX
_VERSION_FILE = "kitbag_bundles/__init__.py"


def leave_kitbag(root: Root, pyz: bytes) -> bool:
    """Keep ``pyz`` in the root unless a newer one is there; returns whether it was written."""
    place = os.path.join(root.own, PYZ)
    try:
        with open(place, "rb") as file:
            present = file.read()
    except FileNotFoundError:
        present = b""
    if present == pyz or (present and _version(present) > _version(pyz)):
        return False
    os.makedirs(root.own, exist_ok=True)
    replace_file(root, place, pyz, 0o644)
    return True


def keeps_kitbag(root: Root) -> bool:
    """Whether a kitbag is in the root that can be read."""
    try:
        with open(os.path.join(root.own, PYZ), "rb") as file:
            return bool(_version(file.read()))
    except OSError:
        return False


def write_command(root: Root, bin_dir: str, *, force: bool) -> str:
    """Write the ``kitbag`` command; returns its path, or ``""`` if another file has the name."""
    path = os.path.join(bin_dir, COMMAND)
    text = _script(root)
    present = _content(path)
    if present == text:
        return path
    if not force and not may_write_command(path):
        return ""
    make_folders(root, bin_dir)
    replace_file(root, path, text, 0o755)
    return path


def keep_commands(root: Root, bin_dirs: Iterable[str], old_roots: Iterable[str] = ()) -> None:
    """Bring the ``kitbag`` commands in ``bin_dirs`` up to date, which may be one of ``old_roots``.

    The command of another root stays, and a directory that somebody removed is not made again.
    """
    homes = [root, *map(type(root), old_roots)]
    for bin_dir in bin_dirs:
        present = _content(os.path.join(bin_dir, COMMAND))
        if os.path.isdir(bin_dir) and (
            present is None or any(_is_of(home, present) for home in homes)
        ):
            write_command(root, bin_dir, force=False)


def may_write_command(path: str) -> bool:
    """Whether nothing is at ``path``, or a ``kitbag`` command of ours."""
    present = _content(path)
    return present is None or MARK.encode("ascii") in present


def remove_command(root: Root, bin_dir: str) -> bool:
    """Remove the ``kitbag`` command if it is this root's."""
    path = os.path.join(bin_dir, COMMAND)
    if not _is_of(root, _content(path)):
        return False
    os.unlink(path)
    return True


def is_command_of(root: Root, path: str) -> bool:
    """Whether the file at ``path`` is a ``kitbag`` command of this root."""
    return _is_of(root, _content(path))


def _script(root: Root) -> bytes:
    """Only what runs here counts: a root may hold builds for other machines too."""
    return this_system.kitbag_script(root.path, MARK, this_host().targets)


def _is_of(root: Root, content: bytes | None) -> bool:
    """Whether a command is this root's, whatever kitbag and whichever machine wrote it."""
    return content is not None and content.splitlines()[:4] == _script(root).splitlines()[:4]


def _content(path: str) -> bytes | None:
    """What is at ``path``; ``None`` for nothing, empty for what is no small plain file."""
    if not os.path.lexists(path):
        return None
    if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 65536:
        return b""
    with open(path, "rb") as file:
        return file.read()


def _version(pyz: bytes) -> tuple[int, ...]:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(pyz)) as archive:
            text = archive.read(_VERSION_FILE).decode("utf-8")
    except Exception:  # noqa: BLE001  # on a damaged file zipfile raises anything; any is newer
        return ()
    found = re.search(r'^__version__ = "([0-9.]+)', text, re.MULTILINE)
    return tuple(int(part) for part in found.group(1).split(".") if part) if found else ()
