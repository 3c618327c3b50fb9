"""The bytecode of a build that is mended: from the bundle where it has some, or compiled anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_installer import commit
from kitbag_installer.bytecode.overlay import lay_over, why_not_taken
from kitbag_installer.bytecode.renewal import renew
from kitbag_installer.bytecode.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from kitbag_bundles.bundle import Bundle
    from kitbag_installer.intention import Intention
    from kitbag_installer.remaking import NewTree


def mend_bytecode(
    bundle: Bundle, meant: Intention, damaged: Collection[str], tree: NewTree
) -> dict[str, str]:
    """Put right what kitbag compiled or brought along; returns the digests, by path.

    In ``tree`` all else is mended, ``damaged`` are the paths that were. Compiled files that are
    among them, or whose sources are, are made again, and all that there are if nothing tells any
    more which kitbag made.
    """
    digests = dict(meant.bytecode)
    # Of a source that was edited, kitbag may have compiled the edit; no hash of it would tell.
    stale = {path for path in digests if path in damaged or source_of(path) in damaged}
    if not meant.bytecode_is_known:
        found = set(_compiled_of_the_build(meant, tree))
        stale |= found - digests.keys()
        digests.update(dict.fromkeys(found - digests.keys(), ""))
    if not stale:
        return digests
    if meant.build.bytecode is not None and not (
        meant.runs_here and why_not_taken(tree.path, meant.build)
    ):
        brought = _from_bundle(bundle, meant, stale, tree)
        digests.update(brought)
        stale -= brought.keys()
    if not meant.runs_here:
        for path in stale:
            tree.remove(path)
            del digests[path]
    elif stale:
        for path in stale:
            tree.note(path)
        sources = sorted(map(source_of, stale))
        digests = renew(meant.key, tree.path, meant.home, digests, sources)
    return digests


def _compiled_of_the_build(meant: Intention, tree: NewTree) -> list[str]:
    """All compiled files of the build's own sources that are in the new tree."""
    found = []
    folders = {entry.path for entry in meant.entries if entry.kind == "d"}
    sources = {entry.path for entry in meant.entries if entry.path.endswith(".py")}
    for folder in sorted(folders):
        cache = f"{folder}/__pycache__"
        full = tree.full(cache)
        if os.path.isdir(full) and not os.path.islink(full):
            paths = [f"{cache}/{name}" for name in os.listdir(full) if name.endswith(".pyc")]
            found += [path for path in paths if source_of(path) in sources]
    return found


def _from_bundle(
    bundle: Bundle, meant: Intention, stale: Collection[str], tree: NewTree
) -> dict[str, str]:
    """Those of ``stale`` that the bundle brings along, taken from there; returns their digests."""
    bytecode = meant.build.bytecode
    assert bytecode is not None
    sources = {
        entry.path
        for entry in meant.entries
        if entry.kind == "f" and entry.path.endswith(".py") and entry.path not in meant.rewritten
    }
    beside = f"{tree.path}-bytecode"
    try:
        os.mkdir(beside)
        for entry in meant.entries:
            if entry.kind == "d":
                os.mkdir(os.path.join(beside, entry.path))
        laid = lay_over(beside, meant.build, bundle.read(bytecode.member), sources)
        taken = {path: digest for path, digest in laid.items() if path in stale}
        for path in taken:
            tree.remove(path)
            os.makedirs(os.path.dirname(tree.full(path)), exist_ok=True)
            os.rename(os.path.join(beside, path), tree.full(path))
    finally:
        commit.remove_tree(beside)
    return taken
