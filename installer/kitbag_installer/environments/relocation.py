"""Rewrites environments after their root was moved, any number of times.

As with builds a new tree is made beside the old one and takes its place in one step, so what a
person added comes along. It is the same as one that is installed there: scripts get the first lines
that they would have, and what ``venv`` makes is made anew. What a person has edited keeps the edit;
in it the old path is replaced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import KitbagError, file_system_error
from kitbag_installer import commit, links
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.modes import plain_modes
from kitbag_installer.environments.places import environment_path, previous_path
from kitbag_installer.environments.receipts import (
    has_receipt,
    read_contents,
    read_receipt,
    receipt_or_none,
    write_receipt,
)
from kitbag_installer.environments.remaking import remade
from kitbag_installer.environments.scripts import first_lines, without_first_lines
from kitbag_installer.environments.skeleton import is_planted, plant
from kitbag_installer.locks import locked
from kitbag_installer.receiptlists import BYTECODE, read_bytecode
from kitbag_installer.remaking import read_file
from kitbag_installer.rewriting import check_home
from kitbag_installer.rewriting.moved_scripts import relocate_script
from kitbag_installer.rewriting.record import rewrite as rewrite_record
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.remaking import NewTree
    from kitbag_installer.roots import Root


class RelocatedEnvironment(NamedTuple):
    """One environment: where it was, where it is, how many paths were rewritten (0: up to date).

    Where it could not be done, ``error`` says why, and nothing of it has changed.
    """

    name: str
    old_home: str
    home: str
    rewritten: int
    error: KitbagError | None = None


def relocate_environments(
    root: Root, names: Sequence[str], reporter: Reporter, *, named: bool = False
) -> tuple[list[RelocatedEnvironment], tuple[str, ...]]:
    """Rewrite the environments ``names``, and those before them, for where the root is now.

    One that was made for another place is left alone unless it is ``named``, and one that can't be
    rewritten does not stop the others. Returns what was done and the links that were turned. Raises
    :class:`LockTimeout`, :class:`FileSystemError`.
    """
    if not names:
        return [], ()
    check_home(root.path)
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root), plain_modes():
                turned = _turn_links(root, names)
                done = [_attempt(root, name, named=named) for name in names]
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return done, turned


def _turn_links(root: Root, names: Sequence[str]) -> tuple[str, ...]:
    """Let what leads to where the root was lead to where it is; the receipts still know that."""
    receipts = [receipt_or_none(environment_path(root, name)) for name in names]
    old_roots = {_root_of(receipt) for receipt in receipts if receipt and not receipt.foreign}
    turned: list[str] = []
    for old_root in sorted(old_roots - {root.path}):
        turned += links.retarget_links(root, old_root)
    links.link_minor_versions(root)
    return tuple(turned)


def _root_of(receipt: EnvironmentReceipt) -> str:
    """The root that an environment was made for."""
    return os.path.dirname(os.path.dirname(receipt.home))


def _attempt(root: Root, name: str, *, named: bool) -> RelocatedEnvironment:
    try:
        return _relocate_both(root, name, named=named)
    except KitbagError as error:
        if error.code == "interrupted":
            raise
        receipt, place = receipt_or_none(environment_path(root, name)), environment_path(root, name)
        return RelocatedEnvironment(name, receipt.home if receipt else "", place, 0, error)


def _relocate_both(root: Root, name: str, *, named: bool) -> RelocatedEnvironment:
    previous = previous_path(root, name)
    if has_receipt(previous):
        # What it was made with may be gone; a rollback tells that, if there ever is one.
        with contextlib.suppress(KitbagError):
            _relocate(root, name, previous, named=named)
    return _relocate(root, name, environment_path(root, name), named=named)


def _relocate(root: Root, name: str, place: str, *, named: bool) -> RelocatedEnvironment:
    receipt, home = read_receipt(place), environment_path(root, name)
    if receipt.home == home or (receipt.foreign and not named):
        return RelocatedEnvironment(name, receipt.home, receipt.home, 0)
    with remade(root, name, place) as tree:
        rewritten = _Move(root, receipt, tree).run()
    return RelocatedEnvironment(name, receipt.home, home, rewritten)


class _Move:
    """One environment on its way to another path."""

    def __init__(self, root: Root, receipt: EnvironmentReceipt, tree: NewTree) -> None:
        self._root = root
        self._receipt = receipt
        self._tree = tree
        self._layout = layout_of(receipt.python)
        self._old_root = _root_of(receipt)
        self._home = environment_path(root, receipt.name)
        self._base = self._moved(receipt.base)
        self._entries = {entry.path: entry for entry in read_contents(tree.old, receipt)}
        self._written: dict[str, bytes] = {}
        self._links = 0

    def run(self) -> int:
        """Fill the new tree; returns how many paths are not what they were."""
        receipt, tree = self._receipt, self._tree
        bytecode = read_bytecode(tree.old, receipt)
        self._check_base()
        tree.clone(skip={RECEIPT_DIR})
        self._move_placed()
        self._move_others()
        self._move_links()
        self._move_records()
        self._test()
        from kitbag_bundles.contents import render

        contents = render(self._entries.values())
        new = dataclasses.replace(
            receipt,
            home=self._home,
            base=self._base,
            contents_sha256=hashlib.sha256(contents).hexdigest(),
            foreign=False,
        )
        write_receipt(tree.path, new, contents)
        if bytecode:
            data = read_file(os.path.join(tree.old, RECEIPT_DIR, BYTECODE))
            with open(tree.full(f"{RECEIPT_DIR}/{BYTECODE}"), "xb") as file:
                file.write(data)
        tree.settle()
        return len(self._written) + self._links

    def _moved(self, path: str) -> str:
        inside = path.startswith(self._old_root + os.sep)
        return self._root.path + path[len(self._old_root) :] if inside else path

    def _check_base(self) -> None:
        from kitbag_installer.environments.verification import missing_interpreter

        missing = missing_interpreter(
            dataclasses.replace(self._receipt, base=self._base, foreign=False)
        )
        if missing:
            raise KitbagError(f"{self._receipt.name}: {missing}, then run kitbag relocate")

    def _move_placed(self) -> None:
        """The files in which the place stands: as they would be had they been made here."""
        skeleton = self._skeleton()
        python = os.path.join(self._home, self._layout.python)
        for path in self._receipt.placed:
            try:
                data = read_file(os.path.join(self._tree.old, path))
            except FileNotFoundError:
                continue
            rest = None
            if self._is_untouched(path, data) and path in skeleton:
                new = skeleton[path]
            elif path.startswith(f"{self._layout.programs}/") and path not in skeleton:
                rest = without_first_lines(data)
                new = first_lines(python) + rest if rest is not None else self._replaced(data)
            else:
                new = self._replaced(data)
            self._write(path, data, new)

    def _skeleton(self) -> dict[str, bytes]:
        """What an empty environment has at the new place, by path."""
        receipt, beside = self._receipt, self._root.scratch("stage")
        key = receipt.python
        try:
            if is_planted(key):
                laid = plant(key, self._base, beside, self._home, receipt.name, self._layout)
                paths = laid.placed
            else:
                from kitbag_installer.environments.venvs import make_by_venv

                make_by_venv(key, self._base, beside, self._home, receipt.name)
                paths = [
                    path for path in receipt.placed if os.path.isfile(os.path.join(beside, path))
                ]
            return {path: read_file(os.path.join(beside, path)) for path in paths}
        finally:
            commit.remove_tree(beside)

    def _is_untouched(self, path: str, data: bytes) -> bool:
        entry = self._entries.get(path)
        return entry is not None and entry.digest == hashlib.sha256(data).hexdigest()

    def _replaced(self, data: bytes) -> bytes:
        """A text with the old path in it, which is followed by a part of a path or by nothing."""
        import re

        old, new = os.fsencode(self._old_root), os.fsencode(self._root.path)
        return re.sub(re.escape(old) + rb"(?=/)", lambda _: new, data)

    def _write(self, path: str, data: bytes, new: bytes) -> None:
        """A file that is another one now; where it was as installed, so is the new one."""
        if new == data:
            return
        untouched = self._is_untouched(path, data)
        self._tree.write(path, new)
        self._written[path] = new
        if untouched:
            digest = hashlib.sha256(new).hexdigest()
            entry = self._entries[path]
            self._entries[path] = entry._replace(size=len(new), digest=digest)

    def _move_others(self) -> None:
        """Scripts of packages that were installed since."""
        for path, full in self._programs():
            if path in self._receipt.placed or os.path.islink(full) or not os.path.isfile(full):
                continue
            with open(full, "rb") as file:
                if file.read(2) != b"#!":
                    continue
                data = b"#!" + file.read()
            self._write(path, data, relocate_script(data, self._receipt.home, self._home))

    def _programs(self) -> Iterator[tuple[str, str]]:
        folder = os.path.join(self._tree.old, self._layout.programs)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            yield f"{self._layout.programs}/{name}", os.path.join(folder, name)

    def _move_links(self) -> None:
        listed = [path for path, entry in self._entries.items() if entry.kind == "l"]
        for path in dict.fromkeys([*listed, *(path for path, _ in self._programs())]):
            full = os.path.join(self._tree.old, path)
            if not os.path.islink(full):
                continue
            text = os.readlink(full)
            if self._moved(text) != text:
                self._tree.link(path, self._moved(text))
                self._links += 1
                entry: Entry | None = self._entries.get(path)
                if entry is not None and entry.target == text:
                    self._entries[path] = entry._replace(target=self._moved(text))

    def _move_records(self) -> None:
        """What is told of the scripts; also by packages that were installed since."""
        site = self._layout.site
        scripts = dict(self._written)
        folder = os.path.join(self._tree.old, site)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = f"{site}/{name}/RECORD"
            full = os.path.join(self._tree.old, path)
            if name.endswith(".dist-info") and os.path.isfile(full):
                data = read_file(full)
                text = data.decode("utf-8", "surrogateescape")
                new = rewrite_record(text, site, scripts)
                self._write(path, data, new.encode("utf-8", "surrogateescape"))

    def _test(self) -> None:
        from kitbag_installer.environments.smoke import Started
        from kitbag_installer.hosts import this_host

        if not this_host().unfit(self._receipt.python):
            program = self._tree.full(self._layout.python)
            with Started(self._receipt.name, program) as started:
                started.check(self._tree.path, self._base)
