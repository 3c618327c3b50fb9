"""``_sysconfig_vars__*.json`` (CPython 3.14+): the same variables for tools that don't run Python.

The file is the output of :func:`sysconfig.get_config_vars` on the build machine, written by
``json.dump`` with an indent of two and ASCII escapes. Only the values that change are written
anew, in the same manner; order, numbers and layout stay.
"""

from __future__ import annotations

import json
import re

from kitbag_installer.rewriting.sysconfig_values import ValueRewriter, build_directories

_STRING = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_PAIR = re.compile(rf"{_STRING}(\s*:\s*){_STRING}")
_DIRECTORY = re.compile(rf'"abs_(?:src|build)dir"\s*:\s*{_STRING}')

USER_BASE = "~/.local"
"""What ``userbase`` is everywhere: upstream's file has the home directory of the build's user."""


def rewrite(pristine: str, home: str) -> str:
    """The file for ``home``."""
    rewriter = ValueRewriter(home, build_directories(*_DIRECTORY.findall(pristine)))

    def pair(found: re.Match[str]) -> str:
        name, colon, raw = found.groups()
        value = json.loads(f'"{raw}"', strict=False) if "\\" in raw else raw
        new = USER_BASE if name == "userbase" else rewriter(name, value)
        return found[0] if new == value else f'"{name}"{colon}{json.dumps(new)}'

    return _PAIR.sub(pair, pristine)
