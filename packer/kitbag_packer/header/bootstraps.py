"""Which builds of a bundle can start kitbag on a host that has no Python.

Such a build is unpacked by the host's own ``tar -z`` into the root, runs ``kitbag.pyz``, and is
removed. So it must be a gzipped tar, and a Python that kitbag runs on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles.layout import executable, standard_library
from kitbag_packer.starting import starters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build

MOST = 3
"""How many builds for a target the header knows: the first, and what is tried if it won't start."""

_PLAIN = re.compile(r"[A-Za-z0-9._+/-]*")
"""What can stand in a shell script and in tar's arguments as it is."""

_UNUSED = frozenset(
    {
        *("__phello__", "antigravity.py", "asyncio", "curses", "dbm", "distutils", "ensurepip"),
        *("idlelib", "lib2to3", "msilib", "pydoc_data", "pydoc.py", "site-packages", "sqlite3"),
        *("test", "this.py", "tkinter", "turtle.py", "turtledemo", "unittest", "venv", "wsgiref"),
        *("xml", "xmlrpc"),
    }
)
"""What kitbag has no use for in a standard library; each file less is time saved on the target."""


def candidates(builds: Sequence[Build]) -> dict[str, tuple[Build, ...]]:
    """For each target that ``builds`` are for, those that can start kitbag there, best first.

    A target may have none. Targets are in bytewise order, so that a baseline goes before levels;
    :func:`kitbag_packer.starting.starters` says which build is best.
    """
    targets = sorted({build.key.target for build in builds}, key=str)
    return {
        str(target): tuple(each for each in starters(builds, target) if each.key.target == target)
        for target in targets
    }


def parts(key: BuildKey, entries: Sequence[Entry]) -> tuple[str, ...]:
    """What to unpack of a build, relative to its top folder: first the interpreter itself.

    Only the interpreter means: everything. A folder stands for all that is in it; folders have no
    entries of their own in upstream's archives.
    """
    program = _program(key, entries)
    library = standard_library(key)
    if key.implementation != "cpython" or key.target.os == "windows":
        return (program,)
    wanted = {program}
    for entry in entries:
        inside = entry.path.startswith("lib/")
        if not inside or entry.kind == "d" or not _PLAIN.fullmatch(entry.path):
            continue
        folder, _, name = entry.path.rpartition("/")
        if folder == "lib" and name.startswith("libpython") and ".so" in name:
            wanted.add(entry.path)
        if folder == "lib" and name.startswith("libpython") and name.endswith(".dylib"):
            wanted.add(entry.path)
        if entry.path.startswith(f"{library}/"):
            top = entry.path[len(library) + 1 :].partition("/")[0]
            if top not in _UNUSED and not top.startswith("config-"):
                wanted.add(f"{library}/{top}")
    return (program, *sorted(wanted - {program}))


def _program(key: BuildKey, entries: Sequence[Entry]) -> str:
    """The interpreter's own file: what its usual name leads to inside the tree."""
    by_path = {entry.path: entry for entry in entries}
    path = executable(key)
    for _ in range(len(by_path)):
        entry = by_path.get(path)
        if entry is None or entry.kind != "l" or "/" in entry.target:
            break
        path = f"{path.rpartition('/')[0]}/{entry.target}".lstrip("/")
    return path if path in by_path else executable(key)
