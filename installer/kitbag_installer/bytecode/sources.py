"""Which files of a build are compiled, and where the compiled ones lie."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.layout import find_library, site_packages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.hosts import Host

_BROKEN = re.compile(r"/(bad_coding|badsyntax)[^/]*|/lib2to3/tests/data/|/test/test_lib2to3/data/")
"""What CPython's own installation leaves out (Makefile.pre.in, libinstall, ``compileall -x``)."""


def python_sources(key: BuildKey, tree: str) -> list[str]:
    """Every ``*.py`` of the standard library and of site-packages in ``tree``, in bytewise order.

    Paths are relative to ``tree``. Links are not followed. Those that the distribution ships
    broken on purpose are left out.
    """
    library = find_library(key, lambda path: os.path.isdir(os.path.join(tree, path)))
    packages = site_packages(key, library)
    # A set, since packages may be below the library or beside it.
    found = {
        path
        for folder in (library, packages)
        if folder
        for path in walk_sources(tree, folder)
        if not is_broken_on_purpose(path)
    }
    return sorted(found, key=os.fsencode)


def walk_sources(tree: str, folder: str) -> Iterator[str]:
    """Every ``*.py`` below ``folder`` of ``tree``; links are not followed.

    ``folder`` need not be there. Raises :class:`OSError`.
    """
    try:
        entries = os.scandir(os.path.join(tree, folder))
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from walk_sources(tree, path)
            elif entry.name.endswith(".py") and entry.is_file(follow_symlinks=False):
                yield path


def is_broken_on_purpose(path: str) -> bool:
    """Whether this file of the standard library is not meant to compile (test data)."""
    return "/site-packages/" not in path and _BROKEN.search(path) is not None


def compiled_path(source: str, tag: str) -> str:
    """``a/__pycache__/b.cpython-313.pyc`` for ``a/b.py`` and ``cpython-313`` (PEP 3147)."""
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name[:-3]}.{tag}.pyc".lstrip("/")


def source_of(compiled: str, tag: str = "") -> str:
    """The source that :func:`compiled_path` has this path for; empty if there is none.

    Without a ``tag`` it may be any.
    """
    folder, _, name = compiled.rpartition("/")
    parent, _, cache = f"/{folder}".rpartition("/")
    stem, dot, found = name[: -len(".pyc")].rpartition(".")
    if cache != "__pycache__" or not name.endswith(".pyc") or not dot or found != (tag or found):
        return ""
    return f"{parent}/{stem}.py".lstrip("/")


def balanced(tree: str, sources: Sequence[str], count: int) -> list[list[str]]:
    """``sources`` in at most ``count`` lists that take about as long to compile, each in order."""
    sizes = {path: _size(os.path.join(tree, path)) for path in sources}
    lists: list[list[str]] = [[] for _ in range(max(1, min(count, len(sources))))]
    loads = [0] * len(lists)
    for path in sorted(sources, key=lambda path: -sizes[path]):
        lightest = loads.index(min(loads))
        lists[lightest].append(path)
        # Opening and writing a file costs about as much as compiling this many bytes.
        loads[lightest] += sizes[path] + 2000
    return [sorted(each, key=os.fsencode) for each in lists if each]


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def why_not_compiled(key: BuildKey, host: Host) -> str:
    """Why nothing can be compiled for this build here, as a clause; empty if it can."""
    if not implementation_of(key).compiles:
        return "its standard library is one file, compiled already"
    return host.unfit(key)
