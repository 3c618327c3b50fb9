"""Tells the magic number of a build's bytecode from its own files, where these say it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles import layout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kitbag_bundles.keys import BuildKey

_LARGEST = 1024 * 1024
# Up to 3.13 the import system's own source has the number, afterwards a header.
_IN_SOURCE = re.compile(rb"^MAGIC_NUMBER = \((\d{1,5})\)\.to_bytes\(2, ", re.MULTILINE)
_IN_HEADER = re.compile(rb"^#define PYC_MAGIC_NUMBER (\d{1,5})\s*$", re.MULTILINE)


def witnesses(key: BuildKey, paths: Iterable[str]) -> list[str]:
    """Those of a tree's ``paths`` that may tell the number.

    ``importlib/_bootstrap_external.py`` (CPython ≤ 3.13, PEP 3147) and
    ``internal/pycore_magic_number.h`` (CPython ≥ 3.14).
    """
    if key.implementation != "cpython":
        return []
    source = f"{layout.standard_library(key)}/importlib/_bootstrap_external.py"
    return [
        path for path in paths if path == source or path.endswith("/internal/pycore_magic_number.h")
    ]


def magic_of(tree: Path, paths: Iterable[str]) -> int | None:
    """The number that the files ``paths`` of ``tree`` tell; ``None`` if none does."""
    for path in paths:
        with open(tree / path, "rb") as file:
            text = file.read(_LARGEST)
        found = _IN_SOURCE.search(text) or _IN_HEADER.search(text)
        if found:
            return int(found[1])
    return None
