"""Makes a new tree beside an installed one: shared by hard links, but for what is to change.

A file that changes is a new file, so that the old tree, and whatever else shares its files, keeps
what it has until both trees are exchanged in one step.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

from kitbag_installer import commit
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.roots import Root


@contextlib.contextmanager
def remade(root: Root, key: BuildKey) -> Iterator[NewTree]:
    """A new tree for the build ``key``, empty at first; if all goes well it takes its place."""
    tree = root.scratch("stage")
    try:
        new = NewTree(root.install_path(key), tree)
        yield new
    except BaseException:
        commit.remove_tree(tree)
        raise
    commit.put_in_place(root, key, tree)


class NewTree:
    """A tree in the making. Paths are relative to it, and to the old one at ``old``."""

    def __init__(self, old: str, path: str) -> None:
        """Nothing is made yet."""
        self.old = old
        self.path = path
        self._folders: list[str] = []
        self._touched: set[str] = set()
        self._new: set[str] = set()

    def full(self, path: str) -> str:
        """Where ``path`` is in the new tree."""
        return os.path.join(self.path, path)

    def clone(self, skip: Collection[str] = ()) -> None:
        """Take everything over from the old tree but the paths in ``skip`` and what is below."""
        self._clone("", frozenset(skip))

    def _clone(self, folder: str, skip: frozenset[str]) -> None:
        os.mkdir(self.full(folder))
        self._folders.append(folder)
        with os.scandir(os.path.join(self.old, folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if path in skip:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    self._clone(path, skip)
                else:
                    _share(entry.path, self.full(path))

    def settle(self) -> None:
        """At last, give the folders the modes, and where nothing is new the times, of the old.

        What root made anew goes to the owner of the old.
        """
        top = os.stat(self.old)
        if hasattr(os, "geteuid") and os.geteuid() == 0 and top.st_uid != 0:
            self._give_to(top.st_uid, top.st_gid)
        for path in reversed(self._folders):
            old, new = os.path.join(self.old, path), self.full(path)
            if path in self._touched:
                shutil.copymode(old, new)
            else:
                shutil.copystat(old, new)

    def _give_to(self, user: int, group: int) -> None:
        paths = [*self._folders, *self._new, RECEIPT_DIR]
        paths += [f"{RECEIPT_DIR}/{name}" for name in os.listdir(self.full(RECEIPT_DIR))]
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.chown(self.full(path), user, group, follow_symlinks=False)

    def write(self, path: str, content: bytes, mode: int | None = None) -> None:
        """A new file, in the place of the old one if that came along; without ``mode`` its mode."""
        if mode is None:
            mode = stat.S_IMODE(os.stat(os.path.join(self.old, path)).st_mode)
        self.remove(path)
        full = self.full(path)
        with open(full, "xb") as file:
            file.write(content)
        os.chmod(full, mode)

    def link(self, path: str, target: str) -> None:
        """A new symbolic link, and its folder if that is not there."""
        self.remove(path)
        os.makedirs(os.path.dirname(self.full(path)), exist_ok=True)
        os.symlink(target, self.full(path))

    def hard_link(self, path: str, target: str) -> None:
        """Another name for the file ``target`` of the new tree."""
        self.remove(path)
        _share(self.full(target), self.full(path))

    def make_folder(self, path: str, mode: int) -> None:
        """A new folder, where none came along."""
        self.note(path)
        os.mkdir(self.full(path))
        os.chmod(self.full(path), mode)

    def remove(self, path: str) -> None:
        """Let a file not come along."""
        self.note(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.full(path))

    def note(self, path: str) -> None:
        """Note that ``path`` is new, so that its folder will not be as it was."""
        self._touched.add(os.path.dirname(path))
        self._new.add(path)


def _share(source: str, destination: str) -> None:
    """Another name for the same file or link; a copy where that can't be."""
    try:
        os.link(source, destination, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, destination, follow_symlinks=False)


def read_file(path: str) -> bytes:
    """All bytes of a file."""
    with open(path, "rb") as file:
        return file.read()
