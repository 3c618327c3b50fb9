"""Programs of an environment: those that entry points name, and those that wheels bring as files.

The first line leads to the environment's own interpreter. Where a system would not understand it,
since the path is long or has a blank in it, a shell does that; what follows is Python in any case.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 127
"""Bytes that Linux reads of a first line; others read more."""
_GROUPS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?", re.ASCII)
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")
_SHELL = b"#!/bin/sh\n'''exec' "
_MARK = b"#!python"


class EntryPoint(NamedTuple):
    """A program that is a function of a module."""

    name: str
    module: str
    attribute: str
    """Maybe with dots."""
    gui: bool


def entry_points(data: bytes, wheel: str) -> list[EntryPoint]:
    """The programs in ``entry_points.txt``; raises :class:`ArchiveError` for what can't be one.

    Where a name is there twice the last one counts, as with other installers.
    """
    found: dict[str, EntryPoint] = {}
    for group, name, value in _settings(data.decode("utf-8", "replace")):
        if group not in _GROUPS:
            continue
        reference = _REFERENCE.fullmatch(value)
        if not _NAME.fullmatch(name) or name in (".", "..") or reference is None:
            raise ArchiveError(
                f"{wheel}: the entry point {name!r} is no program ({value!r}); "
                "the wheel is broken, take another one"
            )
        module, attribute = reference.groups()
        found[name] = EntryPoint(name, module, attribute, group == "gui_scripts")
    return list(found.values())


def _settings(text: str) -> Iterator[tuple[str, str, str]]:
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield group, name.strip(), value.strip()


def first_lines(python: str) -> bytes:
    """What a script begins with so that ``python``, an absolute path, runs it."""
    line = b"#!" + python.encode("utf-8", "surrogateescape") + b"\n"
    if len(line) <= _LONGEST and not re.search(rb"[ \t\r]", line[:-1]):
        return line
    quoted = shlex.quote(python).encode("utf-8", "surrogateescape")
    # A shell runs 'exec'; for Python all of it is a text in three quotes that nobody uses.
    return _SHELL + quoted + b' "$0" "$@"\n' + b"' '''\n"


def without_first_lines(data: bytes) -> bytes | None:
    """The rest of a script that begins as :func:`first_lines` has it; ``None`` for others."""
    if data.startswith(_SHELL):
        _, found, rest = data.partition(b"\n' '''\n")
        return rest if found else None
    first, _, rest = data.partition(b"\n")
    name = first.rpartition(b"/")[2]
    return rest if first.startswith(b"#!") and name.startswith(b"python") else None


def entry_script(point: EntryPoint, python: str, *, windows: bool) -> tuple[str, bytes]:
    """File name and content of the program for ``point``.

    On Windows it is a batch file that goes on in Python, and finds the interpreter beside it.
    """
    first = point.attribute.partition(".")[0]
    body = (
        "import sys\n"
        f"from {point.module} import {first}\n"
        'if __name__ == "__main__":\n'
        "{}"
        f"    sys.exit({point.attribute}())\n"
    )
    if not windows:
        return point.name, first_lines(python) + body.format("").encode("utf-8")
    program = "pythonw.exe" if point.gui else "python.exe"
    start = 'start "" ' if point.gui else ""
    strip = '    sys.argv[0] = sys.argv[0].rpartition(".cmd")[0] or sys.argv[0]\n'
    head = f'@{start}"%~dp0{program}" -x "%~f0" %* & exit /b\r\n'
    return f"{point.name}.cmd", (head + body.format(strip)).encode("utf-8")


def placed_script(data: bytes, python: str, *, windows: bool) -> bytes:
    """A script of a wheel's ``.data/scripts``, where ``#!python`` stands for the interpreter."""
    if windows or not data.startswith(_MARK):
        return data
    return first_lines(python) + data.partition(b"\n")[2]
