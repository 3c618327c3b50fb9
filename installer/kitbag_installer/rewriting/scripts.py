"""Scripts that start with a Python interpreter: pip, idle, pydoc and the like.

A kernel takes the first line literally up to its first blank, and Linux before 5.1 reads 127
bytes of it. Where ``#!`` and the interpreter's path fit into that, they are all a script needs:
nothing else runs before Python. Otherwise ``/bin/sh`` reads the first lines and hands over, and
Python takes the same lines for a string.
"""

from __future__ import annotations

import re

from kitbag_installer.rewriting.prefix import BUILD_ROOTS, PREFIX_PATH, double_quoted, path_pattern

LONGEST_SHEBANG = 127
"""Bytes of the first line, without its newline, that every kernel reads."""

_SHEBANG = re.compile(r"#![ \t]*(/\S*/python[\d.]*[a-z]*)[ \t]*(.*)\n")
_TRAMPOLINE = re.compile(
    r"#![ \t]*/bin/sh\n"
    r"(?:\"exec\"[ \t].*python.*\"\$0\".*\n"
    r"|'''exec'[ \t].*python[\s\S]{1,200}?'''.*\n)"
)
_BUILD = path_pattern(*BUILD_ROOTS)


def script_header(interpreter: str, arguments: str = "") -> str:
    r"""The first lines of a Python script for the interpreter at this absolute path.

    Either ``#!<interpreter>`` or a text that ``/bin/sh`` and Python both accept; no other program
    is needed. Within it the path is a double-quoted shell word, with ``$`` and backquotes set
    between single quotes and ``'`` outside of any: so Python's string sees no escape that it does
    not know, and no three quotes in a row. Ends with a newline.
    """
    tail = f" {arguments}" if arguments else ""
    line = f"#!{interpreter}{tail}\n"
    if not re.search(r"\s", interpreter) and len(line.encode()) <= LONGEST_SHEBANG + 1:
        return line
    path = '"\\\'"'.join(map(double_quoted, interpreter.split("'")))
    return f"#!/bin/sh\n'''exec' \"{path}\"{tail} \"$0\" \"$@\"\n' '''\n"


def rewrite(pristine: str, interpreter: str, *, any_place: bool = False) -> str:
    """The script with a header for ``interpreter``; every other text is returned as it is.

    Recognised are a shebang with a Python below the build-time prefix or on the build machine
    (with ``any_place``: anywhere but through ``env``), and the ``/bin/sh`` trampolines of
    python-build-standalone, quoted (since December 2024) or not, and of pip.
    """
    found = _TRAMPOLINE.match(pristine)
    if found:
        return script_header(interpreter) + pristine[found.end() :]
    found = _SHEBANG.match(pristine)
    if found and (any_place or PREFIX_PATH.match(found[1]) or _BUILD.match(found[1])):
        return script_header(interpreter, found[2].strip()) + pristine[found.end() :]
    return pristine
