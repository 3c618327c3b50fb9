"""The checks of one build from outside: its receipt, its texts, what belongs to it."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles import layout
from kitbag_bundles.contents import Entry
from kitbag_bundles.errors import IntegrityError
from kitbag_installer.doctor.findings import Finding, advice, fault, ok
from kitbag_installer.platforms import this_system
from kitbag_installer.receiptlists import read_bytecode
from kitbag_installer.receipts import has_receipt, read_contents, read_receipt
from kitbag_installer.rewriting import candidates, leftover_prefixes
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.receipts import Receipt
    from kitbag_installer.roots import Root

MANAGED = "EXTERNALLY-MANAGED"
_LARGEST_SCRIPT = 256 * 1024
_SHOWN = 3
_EXTENSION = re.compile(r"(?P<name>\w+)(?:\.[\w-]+)*\.(?:so|pyd)")
_INTERPRETER_LINE = re.compile(rb"#! ?(/\S+)")


class Tree(NamedTuple):
    """One installed build; ``receipt`` is ``None`` for another tool's, and for a damaged one."""

    root: Root
    key: BuildKey
    path: str
    receipt: Receipt | None
    entries: tuple[Entry, ...]
    """What the archive has, of which the receipt tells; otherwise what is there."""
    problem: str
    """Why the receipt can't be read; mostly empty."""

    @property
    def mend(self) -> str:
        """The cure for files that are not as they should be."""
        from kitbag_installer.rewriting.prefix import shell_quoted

        return f"kitbag repair BUNDLE {self.key} --root {shell_quoted(self.root.path)}"

    @property
    def renew(self) -> str:
        """The cure for compiled files that are stale or gone."""
        from kitbag_installer.rewriting.prefix import shell_quoted

        return f"kitbag compile {self.key} --root {shell_quoted(self.root.path)}"

    @property
    def shipped(self) -> frozenset[str]:
        """The names of CPython's extension modules among the entries."""
        folder = f"{layout.standard_library(self.key)}/lib-dynload/"
        if self.key.target.os == "windows":
            folder = "DLLs/"
        names = (
            _EXTENSION.fullmatch(entry.path[len(folder) :])
            for entry in self.entries
            if entry.path.startswith(folder)
        )
        # On Windows there are libraries of OpenSSL and Tcl among them, with another ending.
        return frozenset(found["name"] for found in names if found)

    @property
    def sources(self) -> frozenset[str]:
        """The names of modules in Python of the standard library: ``os``, ``json.decoder``."""
        folder = f"{layout.standard_library(self.key)}/"
        inside = (
            entry.path[len(folder) : -len(".py")]
            for entry in self.entries
            if entry.path.startswith(folder) and entry.path.endswith(".py")
        )
        suffix = "/__init__"
        return frozenset((path.removesuffix(suffix)).replace("/", ".") for path in inside)

    @property
    def parts(self) -> frozenset[str]:
        """What came with it of ``pip``, a ``wheel`` of it for environments, C ``headers``."""
        library = layout.standard_library(self.key)
        packages = layout.site_packages(self.key, library)
        paths = {entry.path for entry in self.entries}
        found = {"pip"} if f"{packages}/pip/__init__.py" in paths else set()
        wheel = f"{library}/ensurepip/_bundled/pip-"
        if any(path.startswith(wheel) and path.endswith(".whl") for path in paths):
            found.add("wheel")
        if any(path.rpartition("/")[2] == "Python.h" for path in paths):
            found.add("headers")
        return frozenset(found)

    @property
    def libraries(self) -> frozenset[str]:
        """The file names of shared libraries that belong to the build."""
        names = (entry.path.rpartition("/")[2] for entry in self.entries)
        return frozenset(name for name in names if ".so" in name or name.endswith(".dylib"))


def read_tree(root: Root, key: BuildKey) -> Tree:
    """Look at the build ``key`` of ``root``; nothing is raised but :class:`OSError`."""
    path = root.install_path(key)
    if not has_receipt(path):
        own = os.path.join(path, RECEIPT_DIR)
        lost = f"{own} has no receipt any more" if os.path.isdir(own) else ""
        return Tree(root, key, path, None, tuple(_entries_of(path)), lost)
    try:
        receipt = read_receipt(path)
        return Tree(root, key, path, receipt, read_contents(path, receipt), "")
    except IntegrityError as error:
        return Tree(root, key, path, None, tuple(_entries_of(path)), str(error))


def _entries_of(path: str) -> Iterator[Entry]:
    """The files of a tree as a contents list would have them, without digests."""
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".kitbag"))
        for name in sorted(names):
            full = os.path.join(folder, name)
            inside = os.path.relpath(full, path).replace(os.sep, "/")
            if os.path.islink(full):
                yield Entry(inside, "l", 0o777, 0, "", os.readlink(full))
            else:
                yield Entry(inside, "f", 0o644, os.path.getsize(full), "", "")


def check_tree(tree: Tree) -> list[Finding]:
    """Everything that can be found out without starting anything."""
    found = [_receipt(tree), *_home(tree), *_stale_paths(tree), _links(tree), *_managed(tree)]
    return [*found, *_bytecode(tree)]


def _receipt(tree: Tree) -> Finding:
    if tree.problem:
        return fault("receipt", tree.problem.partition("; ")[0], tree.mend)
    if tree.receipt is None:
        return ok("receipt", "another tool installed it; what it should be is not known")
    return ok("receipt", f"installed by kitbag {tree.receipt.kitbag}")


def _home(tree: Tree) -> list[Finding]:
    receipt = tree.receipt
    if receipt is None:
        return []
    if receipt.home == tree.path:
        return [ok("home", "is where it was installed")]
    if receipt.foreign:
        return [ok("home", f"for use as {receipt.home}")]
    from kitbag_installer.rewriting.prefix import shell_quoted

    cure = f"kitbag relocate --root {shell_quoted(tree.root.path)}"
    return [fault("home", f"it was moved here from {receipt.home}", cure)]


def _stale_paths(tree: Tree) -> list[Finding]:
    check = "stale-paths"
    texts = dict(_texts(tree, candidates(tree.key, tree.entries)))
    home = tree.receipt.home if tree.receipt else tree.path
    left = leftover_prefixes(tree.key, texts, home)
    found = []
    if left:
        shown = ", ".join(f"{path}:{number}" for path, number in left[:_SHOWN])
        more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        message = f"{shown}{more}: names {layout.PREFIX}, where it was built"
        # uv rewrites one file only; that is no damage, and its users live with it.
        found.append((fault if tree.receipt else advice)(check, message, tree.mend))
    found += _scripts(tree)
    return found or [ok(check, f"none in {len(texts)} files")]


def _scripts(tree: Tree) -> list[Finding]:
    """Programs in ``bin`` whose first line names an interpreter that is not there."""
    if tree.receipt is not None and tree.receipt.foreign:
        return []
    own = {entry.path for entry in tree.entries}
    found = []
    for path, data in _texts(tree, _files_in(tree.path, "bin")):
        line = _INTERPRETER_LINE.match(data)
        program = os.fsdecode(line.group(1)) if line else ""
        if program and not os.path.exists(program):
            message = f"{path} starts {program}, which is not there"
            if path in own:
                found.append(fault("stale-paths", message, tree.mend))
            else:
                cure = "install the package that it belongs to again"
                found.append(advice("stale-paths", message, cure))
    return found


def _links(tree: Tree) -> Finding:
    check = "links"
    links = {entry.path: entry.target for entry in tree.entries if entry.kind == "l"}
    if tree.receipt is not None:
        links.update(tree.receipt.added_links)
    known = {entry.path for entry in tree.entries} | links.keys()
    wrong = []
    for path, target in sorted(links.items()):
        full = os.path.join(tree.path, path)
        text = this_system.link_text(full)
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not os.path.lexists(full):
            wrong.append(f"{path} is missing")
        elif text != target:
            wrong.append(f"{path} leads to {text}" if text else f"{path} is no link any more")
        elif not os.path.exists(full) and (inside in known or tree.receipt is None):
            wrong.append(f"{path} leads to {target}, which is not there")
    if not wrong:
        return ok(check, f"{len(links)} lead where they should")
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return (fault if tree.receipt else advice)(check, f"{wrong[0]}{more}", tree.mend)


def _files_in(path: str, folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(os.path.join(path, folder)))
    except OSError:
        return []
    return [f"{folder}/{name}" for name in names]


def _texts(tree: Tree, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The files ``paths`` that can be read and are no links; large ones are no scripts."""
    for path in paths:
        full = os.path.join(tree.path, path)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        if path.startswith("bin/") and os.path.getsize(full) >= _LARGEST_SCRIPT:
            continue
        try:
            with open(full, "rb") as file:
                yield path, file.read()
        except OSError:
            continue


def _managed(tree: Tree) -> list[Finding]:
    check = "externally-managed"
    library = layout.standard_library(tree.key)
    if not library:
        return []
    if os.path.exists(os.path.join(tree.path, library, MANAGED)):
        return [ok(check, "pip leaves it alone")]
    if tree.receipt is not None and not any(MANAGED in path for path in tree.receipt.added):
        return [ok(check, "not wanted: it was installed without the file")]
    message = f"{library}/{MANAGED} is not there: pip installs straight into the build"
    return [advice(check, message, tree.mend)]


def _bytecode(tree: Tree) -> list[Finding]:
    """What kitbag compiled and is gone; whether the rest is right the interpreter has to tell."""
    if tree.receipt is None:
        return []
    try:
        compiled = read_bytecode(tree.path, tree.receipt)
    except IntegrityError as error:
        return [fault("bytecode", str(error).partition("; ")[0], tree.mend)]
    missing = [path for path in compiled if not os.path.exists(os.path.join(tree.path, path))]
    if not missing:
        return []
    message = f"{len(missing)} of {len(compiled)} compiled files are gone: programs start slower"
    return [advice("bytecode", message, tree.renew)]
