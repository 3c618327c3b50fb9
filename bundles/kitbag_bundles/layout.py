"""Where things are inside the tree of a build: the questions that are asked most, in short.

The answers are those of the adapters, :mod:`kitbag_bundles.implementations`. All paths are relative
to the build's top directory and use ``/``. The names are those that the distributions ship and that
uv looks for: ``bin/python3.13t`` for a free-threaded CPython, ``python.exe`` on Windows,
``bin/pypy3.11``, ``bin/graalpy``, a bare ``python`` for Pyodide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.implementations import implementation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitbag_bundles.keys import BuildKey

PREFIX = "/install"
"""The build-time prefix inside every archive, python-build-standalone's own."""


def executable(key: BuildKey) -> str:
    """The path of the interpreter itself."""
    return implementation_of(key).executable(key)


def standard_library(key: BuildKey) -> str:
    """The usual directory of the standard library; empty for Pyodide, which has a zip."""
    return next(iter(implementation_of(key).libraries(key)), "")


def find_library(key: BuildKey, is_there: Callable[[str], bool]) -> str:
    """The directory of the standard library in one tree; empty if ``is_there`` knows none."""
    return next(filter(is_there, implementation_of(key).libraries(key)), "")


def site_packages(key: BuildKey, library: str) -> str:
    """Where packages are installed in a tree with this ``library``; empty if there is none."""
    return implementation_of(key).site_packages(library)


def command_names(key: BuildKey, *, default: bool) -> tuple[str, ...]:
    """The names to link in a bin directory: ``python3.13``, with ``default`` the short ones too."""
    return implementation_of(key).names(key, default=default)
