"""Rewrites installed builds after their root was moved, any number of times.

A new tree is made beside the old one, with the rewritten files made anew from their pristine
originals; then both are exchanged in one step. So a build is never half relocated, and what a
person added to it (packages, scripts) comes along.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError, file_system_error
from kitbag_bundles.layout import standard_library
from kitbag_installer import commit, launcher, links
from kitbag_installer.hosts import this_host
from kitbag_installer.locks import locked
from kitbag_installer.receiptlists import pack_bytecode, read_bytecode
from kitbag_installer.receipts import (
    CONTENTS,
    ORIGINALS,
    has_receipt,
    read_contents,
    read_originals,
    read_receipt,
    write_receipt,
)
from kitbag_installer.remaking import read_file, remade
from kitbag_installer.rewriting import check_home, rewrite_tree
from kitbag_installer.rewriting.moved_scripts import relocate_script
from kitbag_installer.rewriting.record import rewrite as rewrite_record
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.selection import matching_keys
from kitbag_installer.smoke import smoke_test

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.receipts import Receipt
    from kitbag_installer.remaking import NewTree
    from kitbag_installer.roots import Root


@dataclasses.dataclass(frozen=True)
class Relocated:
    """One build: where it was rewritten for, and how many files were rewritten (0: up to date)."""

    key: BuildKey
    old_home: str
    home: str
    rewritten: int


def relocate_builds(
    root: Root, requests: Sequence[Request], reporter: Reporter
) -> tuple[list[Relocated], list[BuildKey], tuple[str, ...]]:
    """Rewrite the builds in ``root`` for where they are now.

    Returns what was done, the keys of builds that kitbag can't relocate because another tool
    installed them, and the links that were turned. Raises :class:`NoMatch`,
    :class:`IntegrityError`, :class:`LockTimeout`, :class:`FileSystemError`.
    """
    check_home(root.path)
    if not os.path.isdir(root.path):
        return [], list(matching_keys((), requests)), ()
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                keys = matching_keys(tuple(root.builds()), requests)
                foreign = [key for key in keys if not has_receipt(root.install_path(key))]
                ours = [key for key in keys if key not in foreign]
                # Links first: only a receipt that is not yet rewritten knows the old place.
                old_roots = _old_roots(root, ours)
                turned = [path for old in old_roots for path in links.retarget_links(root, old)]
                launcher.keep_commands(root, links.remembered_bin_dirs(root), old_roots)
                done = [_relocate(root, key, named=bool(requests)) for key in ours]
                links.link_minor_versions(root)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return done, foreign, tuple(turned)


def _old_roots(root: Root, keys: Sequence[BuildKey]) -> list[str]:
    """The other places that the builds are rewritten for."""
    receipts = [read_receipt(root.install_path(key)) for key in keys]
    homes = [receipt.home for receipt in receipts if not receipt.foreign]
    return sorted({os.path.dirname(home) for home in homes} - {root.path})


def _relocate(root: Root, key: BuildKey, *, named: bool) -> Relocated:
    place = root.install_path(key)
    receipt = read_receipt(place)
    if receipt.home == place or (receipt.foreign and not named):
        # One for another machine has there the path that it was rewritten for.
        return Relocated(key, receipt.home, receipt.home, 0)
    with remade(root, key) as tree:
        rewritten = _remake(key, receipt, tree)
    return Relocated(key, receipt.home, place, rewritten)


def _remake(key: BuildKey, receipt: Receipt, tree: NewTree) -> int:
    """Fill ``tree`` from the old one: the same, but for the files that name the place."""
    place = tree.old
    contents = read_file(os.path.join(place, RECEIPT_DIR, CONTENTS))
    entries = read_contents(place, receipt)
    originals = read_originals(place, receipt)
    pristine = {entry.path: entry.digest for entry in entries if entry.kind == "f"}
    for path, data in originals.items():
        if pristine.get(path) != hashlib.sha256(data).hexdigest():
            raise IntegrityError(
                f"{place}: the original of {path} is damaged; install it again with --reinstall"
            )
    files = {file.path: file.content for file in rewrite_tree(key, originals, place)}
    edited = _edited_since(place, receipt)
    replaced = {path: files.get(path, originals[path]) for path in originals if path not in edited}
    for entry in entries:
        if entry.kind == "h" and entry.target in replaced and entry.path not in edited:
            replaced[entry.path] = replaced[entry.target]
    tree.clone(skip={RECEIPT_DIR})
    for path, content in replaced.items():
        tree.write(path, content)
    _move_other_scripts(key, tree, receipt.home, replaced)
    changed = dict(receipt.changed)
    changed.update({path: hashlib.sha256(data).hexdigest() for path, data in replaced.items()})
    unfit = bool(this_host().unfit(key))
    if not unfit:
        smoke_test(key, tree.path)
    bytecode = _renewed_bytecode(key, tree, receipt, () if unfit else replaced)
    new = dataclasses.replace(
        receipt,
        home=place,
        changed=changed,
        foreign=receipt.foreign and unfit,
        bytecode_sha256=hashlib.sha256(bytecode).hexdigest() if bytecode else "",
    )
    # Byte for byte: packed anew, by another compressor, they would not have the same digest.
    packed = read_file(os.path.join(place, RECEIPT_DIR, ORIGINALS))
    write_receipt(tree.path, new, contents, packed, bytecode)
    tree.settle()
    return len(replaced)


def _renewed_bytecode(
    key: BuildKey, tree: NewTree, receipt: Receipt, replaced: Iterable[str]
) -> bytes:
    """Compile anew what was compiled of the files that were written; the new ``bytecode.tsv``."""
    digests = read_bytecode(tree.old, receipt)
    sources = [path for path in replaced if path.endswith(".py")]
    if digests and sources:
        from kitbag_installer.bytecode.renewal import renew
        from kitbag_installer.bytecode.sources import source_of

        for path in digests:
            if source_of(path) in sources:
                tree.note(path)
        digests = renew(key, tree.path, tree.old, digests, sources)
    return pack_bytecode(digests)


def _edited_since(place: str, receipt: Receipt) -> set[str]:
    """Rewritten files that are no longer as kitbag wrote them; a person's edits are not undone."""
    edited = set()
    for path, digest in receipt.changed.items():
        try:
            data = read_file(os.path.join(place, path))
        except FileNotFoundError:
            edited.add(path)
            continue
        if hashlib.sha256(data).hexdigest() != digest:
            edited.add(path)
    return edited


def _move_other_scripts(key: BuildKey, tree: NewTree, old_home: str, known: Container[str]) -> None:
    """Mend the scripts of packages that were installed since, and the RECORDs that list them."""
    place = tree.old
    moved = {}
    for path, content in _other_scripts(place, known):
        new = relocate_script(content, old_home, place)
        if new != content:
            moved[path] = new
            tree.write(path, new)
    if not moved:
        return
    site_packages = f"{standard_library(key)}/site-packages"
    for path, content in _other_records(place, site_packages, known):
        text = content.decode("utf-8", "surrogateescape")
        new_text = rewrite_record(text, site_packages, moved)
        if new_text != text:
            tree.write(path, new_text.encode("utf-8", "surrogateescape"))


def _other_records(
    place: str, site_packages: str, known: Container[str]
) -> Iterator[tuple[str, bytes]]:
    """The RECORD files of packages that are not part of the build."""
    try:
        names = sorted(os.listdir(os.path.join(place, site_packages)))
    except FileNotFoundError:
        return
    for name in names:
        path = f"{site_packages}/{name}/RECORD"
        full = os.path.join(place, path)
        if name.endswith(".dist-info") and path not in known and os.path.isfile(full):
            yield path, read_file(full)


def _other_scripts(place: str, known: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Scripts in ``bin`` that kitbag did not write: those of packages installed later."""
    folder = os.path.join(place, "bin")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        path = os.path.join(folder, name)
        if f"bin/{name}" in known or os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            start = file.read(2)
            if start == b"#!":
                yield f"bin/{name}", start + file.read()
