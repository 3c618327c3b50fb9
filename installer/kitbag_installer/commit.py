"""Puts finished trees into place, and sweeps up what an interrupted run left.

Every step that changes what a person sees is one rename. Where an old tree has to give way, both
are exchanged in one system call (``renameat2`` with ``RENAME_EXCHANGE``, Linux 3.15, or macOS's
``renamex_np`` with ``RENAME_SWAP``); where the system or the file system can't, a journal says what
is going on, and the next run finishes it.

Names below ``<root>/.temp`` tell what they are: ``kitbag-stage-*`` a tree in the making,
``kitbag-trash-*`` a tree that is no longer wanted, ``kitbag-journal-*`` an exchange under way.
All of this happens under the root's lock. ``kitbag-boot-*`` belongs to a bundle's shell header,
which holds no lock; see :mod:`kitbag_installer.boot`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from kitbag_bundles.keys import BuildKey
from kitbag_installer.boot import BOOT_PREFIX, is_running
from kitbag_installer.platforms import this_system
from kitbag_installer.roots import SCRATCH_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_installer.roots import Root

_JOURNAL = f"{SCRATCH_PREFIX}journal-"
_NEXT = f"{SCRATCH_PREFIX}next-"


def put_in_place(root: Root, key: BuildKey, tree: str) -> None:
    """Make ``tree`` the install of ``key``; an older one goes to the trash and is removed."""
    place = root.install_path(key)
    if not os.path.lexists(place):
        os.rename(tree, place)
        return
    if exchange(tree, place):
        # The old tree is now where the new one was made, in the temporary directory.
        remove_tree(tree)
        return
    staged = root.scratch("next")
    os.rename(tree, staged)
    journal = write_journal(root, str(key), os.path.basename(staged))
    _finish_exchange(root, key, journal)


def retire(root: Root, key: BuildKey) -> str:
    """Take the install of ``key`` out of sight in one step; returns where it is now."""
    trash = root.scratch("trash")
    os.rename(root.install_path(key), trash)
    return trash


@contextlib.contextmanager
def swept(root: Root) -> Iterator[None]:
    """Sweep before the work, and after it if it ends early; raises :class:`OSError`."""
    sweep(root)
    try:
        yield
    except BaseException:
        # Whatever ended the work is what has to be told; the next run sweeps as well.
        with contextlib.suppress(OSError):
            sweep(root)
        raise


def sweep(root: Root) -> int:
    """Finish or remove what interrupted runs left; returns how many things there were.

    Nothing of uv's is touched.
    """
    count = 0
    try:
        names = sorted(os.listdir(root.temp))
    except FileNotFoundError:
        return 0
    for name in names:
        if name.startswith(_JOURNAL):
            _finish(root, name[len(_JOURNAL) :], os.path.join(root.temp, name))
            count += 1
    for name in names:
        if name.startswith(BOOT_PREFIX):
            count += _sweep_boot(root, os.path.join(root.temp, name))
        elif is_swept(name):
            count += remove_tree(os.path.join(root.temp, name))
    return count


def _finish(root: Root, what: str, journal: str) -> None:
    """Finish what ``journal`` is about: a build by its key, an environment by its name."""
    key = BuildKey.try_parse(what)
    if key is not None:
        _finish_exchange(root, key, journal)
        return
    from kitbag_installer.environments import commit as environments
    from kitbag_installer.environments import remaking

    if what.startswith(environments.JOURNAL):
        environments.finish(root, what[len(environments.JOURNAL) :], journal)
    elif what.startswith(remaking.JOURNAL):
        remaking.finish(root, what[len(remaking.JOURNAL) :], journal)
    else:
        os.unlink(journal)


def _sweep_boot(root: Root, scratch: str) -> bool:
    """Remove the folder of a shell header, which does not hold the lock, if that is dead."""
    if is_running(scratch):
        return False
    trash = root.scratch("trash")
    try:
        os.rename(scratch, trash)
    except FileNotFoundError:
        return False
    except PermissionError:
        if hasattr(os, "mkfifo"):
            raise
        return False
    if os.path.lexists(os.path.join(trash, "alive")) and is_running(trash):
        # It had made its FIFO and not yet opened it.
        os.rename(trash, scratch)
        return False
    return remove_tree(trash)


def is_swept(name: str) -> bool:
    """Whether something of this name in the temporary directory is removed by :func:`sweep`."""
    return name.startswith(SCRATCH_PREFIX) and not name.startswith((_JOURNAL, BOOT_PREFIX))


def remove_tree(path: str) -> bool:
    """Remove a directory with everything in it, or a file; links are not followed."""
    import shutil

    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except (IsADirectoryError, PermissionError):
        shutil.rmtree(path, onerror=_make_writable)
    return True


def _make_writable(function: object, path: str, _: object) -> None:
    """A read-only directory keeps its entries from being removed; mend that and try again."""
    parent = os.path.dirname(path)
    os.chmod(parent, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        remove_tree(path)
    elif os.path.lexists(path):
        if not this_system.MODES:
            os.chmod(path, 0o600)
        os.unlink(path)


def exchange(one: str, other: str) -> bool:
    """Swap two paths in one step; ``False`` where the system can't. Raises :class:`OSError`."""
    return this_system.exchange(one, other)


def flush(root: Root) -> None:
    """Bring everything written so far on the root's file system to the disk."""
    this_system.flush(root.path)


def write_journal(root: Root, what: str, name: str) -> str:
    """Note that ``name`` in the temporary directory is to become ``what``; returns the journal.

    In one step: a link, or a small file.
    """
    journal = os.path.join(root.temp, f"{_JOURNAL}{what}")
    with contextlib.suppress(OSError, NotImplementedError):
        os.symlink(name, journal)
        return journal
    scratch = root.scratch("file")
    with open(scratch, "x", encoding="ascii") as file:
        file.write(name)
    os.replace(scratch, journal)
    return journal


def read_journal(journal: str) -> str:
    """The name of the tree; empty for one that was lost with the power, or is not kitbag's."""
    if os.path.islink(journal):
        name = os.readlink(journal)
    else:
        with open(journal, encoding="ascii", errors="replace") as file:
            name = file.read()
    return name if name.startswith(_NEXT) and name[len(_NEXT) :].isalnum() else ""


def _finish_exchange(root: Root, key: BuildKey, journal: str) -> None:
    """Old tree to the trash, new tree into its place; each step may have been done already."""
    place = root.install_path(key)
    name = read_journal(journal)
    staged = os.path.join(root.temp, name)
    if name and os.path.lexists(staged):
        if os.path.lexists(place):
            os.rename(place, root.scratch("trash"))
        os.rename(staged, place)
    os.unlink(journal)
    for name in os.listdir(root.temp):
        if name.startswith(f"{SCRATCH_PREFIX}trash-"):
            remove_tree(os.path.join(root.temp, name))
