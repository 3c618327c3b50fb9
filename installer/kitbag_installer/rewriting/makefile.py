r"""``config-*/Makefile``: right for :mod:`sysconfig`'s own parser, and for ``make``.

Definitions follow the rules of the sysconfig values; lines that need nothing stay byte for byte.
In every other line (recipes, rules, comments) only the prefix is replaced.

A ``$`` of the home is doubled, which both readers undo. Two limits are theirs: ``make`` takes
blanks and ``# ; : %`` in a path for its own syntax, so its users want a home without them, and the
parser takes ``$(name)`` in a home for a variable. :mod:`sysconfig` itself reads the module beside
it, not the Makefile.
"""

from __future__ import annotations

import re

from kitbag_bundles.layout import PREFIX
from kitbag_installer.rewriting.sysconfig_values import (
    TOOLCHAIN,
    ValueRewriter,
    build_directories,
)

_DEFINITION = re.compile(r"([A-Za-z_]\w*)[ \t]*[:?+]*=[ \t]*", re.ASCII)
# A newline in front, not ``^``: the search is five times as quick.
_TOOL_LINE = re.compile(rf"\n(?:{'|'.join(sorted(TOOLCHAIN))})[ \t]*[:?+]*=")
_DIRECTORY = re.compile(r"^abs_(?:src|build)dir[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def rewrite(pristine: str, home: str) -> str:
    """The Makefile for ``home``."""
    rewriter = ValueRewriter(home, build_directories(*_DIRECTORY.findall(pristine)), make=True)
    lines = pristine.split("\n")
    for number in _lines_with(pristine, _TOOL_LINE) | _lines_with(pristine, rewriter.hints):
        line = lines[number]
        definition = _DEFINITION.match(line)
        if definition or _continues_definition(lines, number):
            name, start = (definition[1], definition.end()) if definition else ("", _indent(line))
            new = rewriter(name, line[start:])
            if new != " ".join(line[start:].split()):
                lines[number] = line[:start] + new
        elif PREFIX in line:
            lines[number] = rewriter.insert_home(line)
    return "\n".join(lines)


def _lines_with(text: str, pattern: re.Pattern[str]) -> set[int]:
    """The numbers, from 0, of the lines in which a match ends."""
    numbers, number, seen = set(), 0, 0
    for found in pattern.finditer(text):
        number += text.count("\n", seen, found.end())
        seen = found.end()
        numbers.add(number)
    return numbers


def _continues_definition(lines: list[str], number: int) -> bool:
    while number and lines[number - 1].endswith("\\"):
        number -= 1
        if _DEFINITION.match(lines[number]):
            return True
    return False


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
