"""Which files of a build get bytecode in a bundle, told from its contents list alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles import layout
from kitbag_installer.bytecode.sources import compiled_path, is_broken_on_purpose
from kitbag_installer.rewriting import candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey


def compilable(key: BuildKey, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The ``*.py`` of the standard library and of site-packages, in bytewise order of their paths.

    Not among them: what an install may rewrite (its bytecode would be stale at once), and what the
    distribution ships broken on purpose. Empty for a Pyodide, whose library is a zip.
    """
    library = layout.standard_library(key)
    if not library:
        return ()
    rewritten = frozenset(candidates(key, entries))
    return tuple(
        entry
        for entry in entries
        if entry.kind == "f"
        and entry.path.startswith(f"{library}/")
        and entry.path.endswith(".py")
        and "/__pycache__/" not in entry.path
        and entry.path not in rewritten
        and not is_broken_on_purpose(entry.path)
    )


def without_shipped(
    sources: Sequence[Entry], entries: Sequence[Entry], tag: str
) -> tuple[Entry, ...]:
    """``sources`` without those whose bytecode is in the archive already, under this cache tag."""
    shipped = {entry.path for entry in entries if entry.path.endswith(".pyc")}
    return tuple(each for each in sources if compiled_path(each.path, tag) not in shipped)
