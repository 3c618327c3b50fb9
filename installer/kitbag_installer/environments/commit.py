"""Puts finished environments into place, keeps the last one, and brings it back.

The new tree and the old one change places in one step. Where the system can't, a journal in the
root's temporary directory, ``kitbag-journal-env-<name>``, says which tree is on its way, and the
next run finishes that; so a kill after any system call leaves one of both in its place.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from kitbag_installer import commit
from kitbag_installer.environments.modes import plain_modes
from kitbag_installer.environments.places import (
    environment_path,
    environments_folder,
    previous_folder,
    previous_path,
)

if TYPE_CHECKING:
    from kitbag_installer.roots import Root

JOURNAL = "env-"
"""What comes before the name in that of a journal."""


def put_in_place(root: Root, name: str, tree: str) -> bool:
    """Make ``tree`` the environment ``name``; returns whether another one gave way.

    That one is what :func:`roll_back` brings back; the one before it is removed. Under the root's
    lock. Raises :class:`OSError`.
    """
    place, previous = environment_path(root, name), previous_path(root, name)
    with plain_modes():
        # Who may read builds may read environments.
        os.makedirs(os.path.dirname(place), exist_ok=True)
    if not os.path.lexists(place):
        os.rename(tree, place)
        return False
    os.makedirs(os.path.dirname(previous), exist_ok=True)
    if not os.path.lexists(previous):
        os.rename(tree, previous)
        tree = previous
    elif commit.exchange(tree, previous):
        commit.remove_tree(tree)
        tree = previous
    _swap(root, name, tree)
    return True


def roll_back(root: Root, name: str) -> None:
    """Let the environment ``name`` and the one before it change places.

    Both must be there. Under the root's lock. Raises :class:`OSError`.
    """
    _swap(root, name, previous_path(root, name))


def _swap(root: Root, name: str, tree: str) -> None:
    """Make ``tree`` the environment, and the environment the previous one."""
    place, previous = environment_path(root, name), previous_path(root, name)
    if tree == previous and commit.exchange(tree, place):
        return
    staged = root.scratch("next")
    journal = commit.write_journal(root, f"{JOURNAL}{name}", os.path.basename(staged))
    os.rename(tree, staged)
    finish(root, name, journal)


def finish(root: Root, name: str, journal: str) -> None:
    """Do what ``journal`` says, as far as that has not been done; each step may have been."""
    place, previous = environment_path(root, name), previous_path(root, name)
    noted = commit.read_journal(journal)
    staged = os.path.join(root.temp, noted)
    if noted and os.path.lexists(staged):
        if os.path.lexists(place):
            os.makedirs(os.path.dirname(previous), exist_ok=True)
            if os.path.lexists(previous):
                trash = root.scratch("trash")
                os.rename(previous, trash)
                commit.remove_tree(trash)
            os.rename(place, previous)
        os.rename(staged, place)
    os.unlink(journal)


def retire(root: Root, name: str) -> list[str]:
    """Take the environment ``name`` and the one before it out of sight, each in one step.

    Returns where they are now, for :func:`kitbag_installer.commit.remove_tree`. Directories that
    are empty then go too. Under the root's lock. Raises :class:`OSError`.
    """
    found = []
    # The one before it goes first: cut short in between, the name is still there to be removed.
    for path in (previous_path(root, name), environment_path(root, name)):
        if os.path.lexists(path):
            trash = root.scratch("trash")
            os.rename(path, trash)
            found.append(trash)
    remove_folders(root)
    return found


def remove_folders(root: Root) -> None:
    """Remove the directories that environments are in, where they are empty."""
    for folder in (environments_folder(root), previous_folder(root)):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
