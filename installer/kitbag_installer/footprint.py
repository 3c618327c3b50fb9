"""What kitbag makes around its builds, noted before it is used, so that it can go again.

``<root>/.kitbag/made.json`` names the directories that kitbag made (the root, those above it, bin
directories) and which of ``.gitignore``, ``.temp`` and ``.lock`` were not there before it. A root
that has to be made appears by one rename with the note in it, and goes by one rename, so that no
kill leaves a directory of which nobody knows whose it is: what is left then is called
``.kitbag-<digest of the root's path>-…``, beside the outermost directory, and the next run in that
root removes it.

When the last build of kitbag's is gone all of that goes, as far as nobody else has put something
there. ``.lock`` is the very last, so that nothing is done without it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_installer.boot import BOOT_PREFIX
from kitbag_installer.files import is_absolute, replace_file
from kitbag_installer.locks import is_awaited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_installer.roots import Root

RECORD = "made.json"
FORMAT = 1
_SHARED = (".gitignore", ".temp", ".lock")
_ATTEMPTS = 20
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)


class Made(NamedTuple):
    """``folders`` are absolute; ``names`` are those in the root that uv makes too."""

    folders: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def make_root(root: Root) -> None:
    """Make the root's directory, and note which of the names in it are still to be made.

    Raises :class:`OSError`.
    """
    for _ in range(_ATTEMPTS):
        if os.path.isdir(root.path):
            break
        _make_chain(root)
    missing = [name for name in _SHARED if not os.path.lexists(os.path.join(root.path, name))]
    if missing and not os.path.lexists(_record(root)):
        if ".temp" in missing and _is_empty_file(root.lock_file):
            # The last thing of a root that was on its way out; uv makes the other before it.
            missing.append(".lock")
        _write_first(root, Made((), tuple(missing)))


def _make_chain(root: Root) -> None:
    """Make the root and what is missing above it, with the note, by one rename."""
    folders = missing_folders(root.path)
    if os.path.lexists(folders[0]):
        # A file: the system says best what is wrong with that.
        os.makedirs(root.path, exist_ok=True)
        return
    remove_leftovers(root)
    new = _beside(root, folders[0])
    inside = new + root.path[len(folders[0]) :]
    try:
        os.mkdir(new)
        os.makedirs(os.path.join(inside, os.path.basename(root.own)))
        note = _text(root, Made(tuple(folders), _SHARED))
        with open(os.path.join(inside, os.path.basename(root.own), RECORD), "xb") as file:
            file.write(note)
        os.rename(new, folders[0])
    except OSError as error:
        _dissolve(new)
        # Somebody else was quicker.
        if error.errno not in _IN_THE_WAY or not os.path.isdir(os.path.dirname(folders[0])):
            raise


def make_folders(root: Root, path: str) -> None:
    """Make the directory ``path`` and what is missing above it, noted in the root first.

    Under the root's lock. Raises :class:`OSError`.
    """
    missing = missing_folders(path)
    if missing:
        made = read(root)
        made = Made((*made.folders, *missing), made.names)
        os.makedirs(root.own, exist_ok=True)
        replace_file(root, _record(root), _text(root, made), 0o644)
        os.makedirs(path, exist_ok=True)


def note_header(root: Root, base: str) -> bool:
    """Note what a bundle's shell header made to unpack an interpreter in: all below ``base``.

    Returns whether there is anything that was not noted already.
    """
    made = [root.temp, root.path]
    while len(made[-1]) > len(base) and os.path.dirname(made[-1]) != made[-1]:
        made.append(os.path.dirname(made[-1]))
    folders = tuple(path for path in reversed(made) if len(path) > len(base))
    if not folders or os.path.lexists(_record(root)):
        return False
    missing = [name for name in _SHARED if not os.path.lexists(os.path.join(root.path, name))]
    with contextlib.suppress(OSError):
        return _write_first(root, Made(folders[:-1], (*missing, ".temp")))
    return False


def forget_header(root: Root) -> None:
    """Take back :func:`note_header`, where nothing came of it."""
    _remove_own(root)


def is_on_its_way_out(root: Root) -> bool:
    """Whether something of kitbag's is around, and nothing that it installed."""
    return os.path.isdir(root.own) and not has_own_builds(root)


def has_own_builds(root: Root) -> bool:
    """Whether a build or an environment is in the root that kitbag installed."""
    from kitbag_installer.environments.places import installed_environments
    from kitbag_installer.receipts import has_receipt

    if any(has_receipt(root.install_path(key)) for key in root.builds()):
        return True
    return bool(installed_environments(root))


def leave(root: Root) -> None:
    """Take away what kitbag made around its builds; under the root's lock, after the last one.

    What is not empty stays, and with builds of another tool also what that tool needs. A scratch
    directory of a bundle's header keeps the root in place; whoever owns it calls this again. So
    does a uv that waits for the lock: it has found all it needs, and would not look again.
    Raises :class:`OSError`.
    """
    from kitbag_installer.commit import remove_tree

    made = read(root)
    around = [path for path in made.folders if not _is_at_or_above(path, root.path)]
    for path in sorted(around, key=len, reverse=True):
        _remove_folder(path)
    if any(True for _ in root.builds()):
        trash = root.scratch("trash")
        with contextlib.suppress(FileNotFoundError):
            os.rename(root.own, trash)
            remove_tree(trash)
        return
    for name in _names_in(root.own):
        if name != RECORD:
            remove_tree(os.path.join(root.own, name))
    if any(name.startswith(BOOT_PREFIX) for name in _names_in(root.temp)) or is_awaited(root):
        return
    ignore = os.path.join(root.path, ".gitignore")
    if ".gitignore" in made.names and _has_content(ignore, b"*"):
        os.unlink(ignore)
    if ".temp" in made.names:
        _remove_folder(root.temp)
    if root.path in made.folders and set(_names_in(root.path)) <= {".kitbag", ".lock"}:
        _vanish(root, made)
        return
    if os.path.lexists(root.temp) and ".temp" in made.names and not _names_in(root.temp):
        # Somebody who waits for the lock has just made it anew, and will need all of it.
        return
    _remove_own(root)
    if ".lock" in made.names and _is_empty_file(root.lock_file):
        with contextlib.suppress(OSError):
            os.unlink(root.lock_file)


def remove_leftovers(root: Root) -> bool:
    """Remove what a run left that was killed while it made or took away this root."""
    folder = os.path.dirname(missing_folders(root.path)[0])
    prefix = os.path.basename(_beside(root, os.path.join(folder, "x"), ""))
    found = [name for name in _names_in(folder) if name.startswith(prefix)]
    for name in found:
        _dissolve(os.path.join(folder, name))
    return bool(found)


def read(root: Root) -> Made:
    """The note, by where things are now if the root was moved; empty if there is none."""
    old, folders, names = _read(root)
    moved = [
        root.path + path[len(old) :] if _is_at_or_above(old, path) else path for path in folders
    ]
    return Made(tuple(filter(is_absolute, moved)), names)


def noted_root(root: Root) -> str:
    """Where the root was when the note was made; empty if there is none."""
    return _read(root)[0]


def _read(root: Root) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Where the root was, the folders, the names; all empty if there is no note."""
    try:
        with open(_record(root), encoding="ascii") as file:
            table = json.load(file)
        old, folders, names = table["root"], tuple(table["folders"]), tuple(table["names"])
        if all(isinstance(each, str) for each in (old, *folders, *names)):
            return old, folders, names
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return "", (), ()


def missing_folders(path: str) -> list[str]:
    """``path`` and those above it that are no directories, the outermost first."""
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.insert(0, path)
        above = os.path.dirname(path)
        if above == path:
            break
        path = above
    return missing


def _vanish(root: Root, made: Made) -> None:
    """Let the root, and what was made for it above, go by one rename; then remove it."""
    top = root.path
    while os.path.dirname(top) in made.folders and len(_names_in(os.path.dirname(top))) == 1:
        top = os.path.dirname(top)
    gone = _beside(root, top)
    try:
        os.rename(top, gone)
    except OSError:
        # A mount point, or a directory above that may not be written: it stays, empty.
        _remove_own(root)
        with contextlib.suppress(OSError):
            os.unlink(root.lock_file)
        return
    if not _dissolve(gone):
        # Something came into it at the last moment.
        with contextlib.suppress(OSError):
            os.rename(gone, top)


def _dissolve(folder: str) -> bool:
    """Remove a directory in which only kitbag's own things are; whether that was so."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            if name in (RECORD, ".lock", ".gitignore"):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(parent, name))
        _remove_folder(parent)
    return not os.path.lexists(folder)


def _beside(root: Root, path: str, end: str | None = None) -> str:
    digest = hashlib.sha256(os.fsencode(root.path)).hexdigest()[:12]
    end = os.urandom(6).hex() if end is None else end
    return os.path.join(os.path.dirname(path), f".kitbag-{digest}-{end}")


def _remove_own(root: Root) -> None:
    with contextlib.suppress(OSError):
        os.unlink(_record(root))
    _remove_folder(root.own)


def _write_first(root: Root, made: Made) -> bool:
    """Write the note unless there is one; before the temporary directory is there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(root.own)
    path = _record(root)
    scratch = f"{path}.{os.urandom(6).hex()}"
    try:
        with open(scratch, "xb") as file:
            file.write(_text(root, made))
        os.link(scratch, path)
    except OSError as error:
        # Whoever was quicker has also cleared up.
        if error.errno in (errno.EEXIST, errno.ENOENT):
            return False
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # No hard links here.
        os.replace(scratch, path)
    finally:
        for name in _names_in(root.own):
            if name.startswith(f"{RECORD}."):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(root.own, name))
    return True


def _text(root: Root, made: Made) -> bytes:
    table = {
        "format": FORMAT,
        "root": root.path,
        "folders": list(dict.fromkeys(made.folders)),
        "names": sorted(set(made.names)),
    }
    return (json.dumps(table, indent=1, sort_keys=True) + "\n").encode("ascii")


def _record(root: Root) -> str:
    return os.path.join(root.own, RECORD)


def _is_at_or_above(path: str, other: str) -> bool:
    return other == path or other.startswith(path.rstrip(os.sep) + os.sep)


def _names_in(path: str) -> Sequence[str]:
    try:
        return os.listdir(path)
    except OSError:
        return ()


def _remove_folder(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _is_empty_file(path: str) -> bool:
    return _has_content(path, b"")


def _has_content(path: str, content: bytes) -> bool:
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(content) + 1) == content
