"""Rewrites installed builds after their root was moved, any number of times.

A new tree is made beside the old one from hard links, with the rewritten files made anew from
their pristine originals; then both are exchanged in one step. So a build is never half relocated,
and what a person added to it (packages, scripts) comes along.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError, file_system_error
from kitbag_bundles.layout import standard_library
from kitbag_installer import commit, launcher, links
from kitbag_installer.locks import locked
from kitbag_installer.receipts import (
    CONTENTS,
    ORIGINALS,
    has_receipt,
    read_contents,
    read_originals,
    read_receipt,
    write_receipt,
)
from kitbag_installer.rewriting import check_home, rewrite_tree
from kitbag_installer.rewriting.moved_scripts import relocate_script
from kitbag_installer.rewriting.record import rewrite as rewrite_record
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.selection import matching_keys
from kitbag_installer.smoke import smoke_test

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.receipts import Receipt
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
                turned = _turn_links(root, ours)
                done = [_relocate(root, key) for key in ours]
                links.link_minor_versions(root)
                for bin_dir in links.remembered_bin_dirs(root):
                    launcher.write_command(root, bin_dir, force=False)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return done, foreign, tuple(turned)


def _turn_links(root: Root, keys: Sequence[BuildKey]) -> list[str]:
    """Let the links that lead to where the builds were lead to where they are."""
    homes = [read_receipt(root.install_path(key)).home for key in keys]
    turned: list[str] = []
    for old_root in sorted({os.path.dirname(home) for home in homes} - {root.path}):
        turned += links.retarget_links(root, old_root)
    return turned


def _relocate(root: Root, key: BuildKey) -> Relocated:
    place = root.install_path(key)
    receipt = read_receipt(place)
    if receipt.home == place:
        return Relocated(key, place, place, 0)
    tree = root.scratch("stage")
    try:
        rewritten = _remake(root, key, receipt, place, tree)
        smoke_test(key, tree)
    except BaseException:
        commit.remove_tree(tree)
        raise
    commit.put_in_place(root, key, tree)
    return Relocated(key, receipt.home, place, rewritten)


def _remake(root: Root, key: BuildKey, receipt: Receipt, place: str, tree: str) -> int:
    """Make ``tree`` from ``place``: the same, but for the files that name the place."""
    contents = _read(os.path.join(place, RECEIPT_DIR, CONTENTS))
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
    _clone(place, tree, skip={os.path.join(place, RECEIPT_DIR)})
    for path, content in replaced.items():
        _write_anew(place, tree, path, content)
    _move_other_scripts(key, place, tree, receipt.home, replaced)
    changed = dict(receipt.changed)
    changed.update({path: hashlib.sha256(data).hexdigest() for path, data in replaced.items()})
    new = dataclasses.replace(receipt, home=place, changed=changed)
    # Byte for byte: packed anew, by another compressor, they would not have the same digest.
    packed = _read(os.path.join(place, RECEIPT_DIR, ORIGINALS))
    write_receipt(tree, new, contents, packed)
    return len(replaced)


def _edited_since(place: str, receipt: Receipt) -> set[str]:
    """Rewritten files that are no longer as kitbag wrote them; a person's edits are not undone."""
    edited = set()
    for path, digest in receipt.changed.items():
        try:
            data = _read(os.path.join(place, path))
        except FileNotFoundError:
            edited.add(path)
            continue
        if hashlib.sha256(data).hexdigest() != digest:
            edited.add(path)
    return edited


def _move_other_scripts(
    key: BuildKey, place: str, tree: str, old_home: str, known: Container[str]
) -> None:
    """Mend the scripts of packages that were installed since, and the RECORDs that list them."""
    moved = {}
    for path, content in _other_scripts(place, known):
        new = relocate_script(content, old_home, place)
        if new != content:
            moved[path] = new
            _write_anew(place, tree, path, new)
    if not moved:
        return
    site_packages = f"{standard_library(key)}/site-packages"
    for path, content in _other_records(place, site_packages, known):
        text = content.decode("utf-8", "surrogateescape")
        new_text = rewrite_record(text, site_packages, moved)
        if new_text != text:
            _write_anew(place, tree, path, new_text.encode("utf-8", "surrogateescape"))


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
            yield path, _read(full)


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


def _clone(source: str, destination: str, skip: set[str]) -> None:
    """Make ``destination`` like ``source``: hard links to the same files, links as they are."""
    os.mkdir(destination)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.path in skip:
                continue
            new = os.path.join(destination, entry.name)
            if entry.is_dir(follow_symlinks=False):
                _clone(entry.path, new, skip)
                continue
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), new)
                continue
            try:
                os.link(entry.path, new, follow_symlinks=False)
            except (OSError, NotImplementedError):
                shutil.copy2(entry.path, new, follow_symlinks=False)
    shutil.copymode(source, destination)


def _write_anew(place: str, tree: str, path: str, content: bytes) -> None:
    """A new file, since the one in the clone is still the old tree's as well."""
    full = os.path.join(tree, path)
    os.unlink(full)
    with open(full, "xb") as file:
        file.write(content)
    shutil.copymode(os.path.join(place, path), full)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
