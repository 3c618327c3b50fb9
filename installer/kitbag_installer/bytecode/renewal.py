"""Bytecode of builds that are already there: renewed with its sources, kept in the receipt."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_bundles.layout import executable
from kitbag_installer.bytecode.compiling import compile_files
from kitbag_installer.bytecode.modes import CHECKED_HASH, TIMESTAMP
from kitbag_installer.bytecode.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from kitbag_bundles.keys import BuildKey


def renew(
    key: BuildKey, tree: str, home: str, digests: dict[str, str], changed: Collection[str]
) -> dict[str, str]:
    """After the sources ``changed`` of ``tree`` got other bytes: make their bytecode anew.

    ``digests`` is what the receipt has (:func:`kitbag_installer.receiptlists.read_bytecode`); only
    files that are in it are made again, in the mode that the old one had, but never unchecked for
    a file that was rewritten. In ``tree`` compiled files may be hard links to another tree's:
    they are replaced, never written into. Returns the new digests. What can't be compiled any
    more is removed from both.
    """
    wanted = frozenset(changed)
    by_mode: dict[str, list[str]] = {}
    kept = dict(digests)
    for path in digests:
        source = source_of(path)
        if source not in wanted:
            continue
        full = os.path.join(tree, path)
        by_mode.setdefault(mode_of(full), []).append(source)
        # Made within a second of the old one and as long, it would look valid.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(full)
        del kept[path]
    for mode, sources in sorted(by_mode.items()):
        # It may be that nothing can be compiled here: a build for another machine.
        with contextlib.suppress(KitbagError):
            interpreter = os.path.join(tree, executable(key))
            done = compile_files(interpreter, tree, sorted(sources), home=home, mode=mode)
            kept.update(done.files)
    return kept


def mode_of(path: str) -> str:
    """In which mode a compiled file is to be made again; the usual one if it can't be told."""
    try:
        with open(path, "rb") as file:
            flags = file.read(8)[4:]
    except OSError:
        return TIMESTAMP
    return TIMESTAMP if flags == bytes(4) else CHECKED_HASH
