"""Puts a tree that was made anew in the place of an environment, which it is still the same one as.

Unlike a newer one it does not become what a rollback goes back from: the old tree is removed. Where
both can't be exchanged in one step, a journal says which tree is on its way, as in
:mod:`kitbag_installer.environments.commit`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from kitbag_installer import commit
from kitbag_installer.environments.places import environment_path, previous_path
from kitbag_installer.remaking import NewTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_installer.roots import Root

JOURNAL = "remade-"
"""What comes before the rest in the name of a journal."""
_PLACES = {"env": environment_path, "previous": previous_path}


@contextlib.contextmanager
def remade(root: Root, name: str, place: str) -> Iterator[NewTree]:
    """A new tree, empty at first; if all goes well it is what is at ``place`` then.

    ``place`` is the path of the environment ``name``, or of the one before it.
    """
    tree = root.scratch("stage")
    try:
        yield NewTree(place, tree)
    except BaseException:
        commit.remove_tree(tree)
        raise
    put_back(root, name, place, tree)


def put_back(root: Root, name: str, place: str, tree: str) -> None:
    """Make ``tree`` what is at ``place``, which is as :func:`remade` has it.

    Under the root's lock. Raises :class:`OSError`.
    """
    if commit.exchange(tree, place):
        commit.remove_tree(tree)
        return
    kind = next(kind for kind, path in _PLACES.items() if path(root, name) == place)
    staged = root.scratch("next")
    journal = commit.write_journal(root, f"{JOURNAL}{kind}-{name}", os.path.basename(staged))
    os.rename(tree, staged)
    finish(root, f"{kind}-{name}", journal)


def finish(root: Root, what: str, journal: str) -> None:
    """Do what ``journal`` says, as far as that has not been done; each step may have been."""
    kind, _, name = what.partition("-")
    place = _PLACES[kind](root, name)
    noted = commit.read_journal(journal)
    staged = os.path.join(root.temp, noted)
    trash = root.scratch("trash")
    if noted and os.path.lexists(staged):
        if os.path.lexists(place):
            os.rename(place, trash)
        os.rename(staged, place)
    os.unlink(journal)
    commit.remove_tree(trash)
