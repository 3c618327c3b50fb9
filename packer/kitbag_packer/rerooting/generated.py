"""Rewrite the files that CPython's build generates, each as what it is.

Pure functions, text in and text out. Everything that is not generated (the standard library, the
headers) travels untouched.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

from kitbag_bundles.layout import PREFIX
from kitbag_packer.rerooting.relocation import Relocation

Rewrite = Callable[[str, Relocation], str]

_HEADER = "# system configuration generated and used by the sysconfig module\n"
_MAKE_VARIABLE = re.compile(r"^([A-Za-z_]\w*)(\s*=[ \t]*)(.*)$", re.ASCII)
_PC_VARIABLE = re.compile(r"^([a-z_]+)(=)(.*)$", re.ASCII)
# prefix="/usr"   libdir=$(echo "/usr/lib" | sed "s#$prefix#$prefix_real#")
_SHELL_VARIABLE = re.compile(
    r'^(prefix|exec_prefix|includedir|libdir|LIBPL)(=(?:\$\(echo )?")([^"]*)(.*)$', re.ASCII
)
# The launchers that stand in for a shebang: python-build-standalone's and pip's own for long
# paths (three lines since 2021), and the two-line form before it.
_LAUNCHER = re.compile(rb"#![ ]?/bin/sh\n(?:'''exec' [^\n]*\n' '''|\"exec\" [^\n]*/python[^\n]*)\n")
_PYTHON_SHEBANG = re.compile(rb"#![ ]?[^\n]*/python[\d.]*[td]*(?:[ ]-[^\n]*)?\n")


def sysconfigdata(text: str, relocation: Relocation) -> str:
    """`_sysconfigdata_*.py`: the dictionary is read, its values moved, and written one per line.

    The form is python-build-standalone's since December 2024: JSON's, which is Python's too.
    """
    variables = _literal(text)
    if variables is None:
        return relocation.flags(text)
    body = json.dumps(_moved(variables, relocation), indent=4, sort_keys=True, ensure_ascii=False)
    return f"{_HEADER}build_time_vars = {body}\n"


def sysconfig_json(text: str, relocation: Relocation) -> str:
    """`_sysconfig_vars__*.json` of 3.14 and later."""
    return json.dumps(_moved(json.loads(text), relocation), indent=2) + "\n"


def build_details(text: str, relocation: Relocation) -> str:
    """`build-details.json` of 3.14 and later (PEP 739); relative paths in it stay."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [moved(item) for item in value]
        if isinstance(value, str):
            return relocation.flags(relocation.path(value))
        return value

    return json.dumps(moved(json.loads(text)), indent=2) + "\n"


def makefile(text: str, relocation: Relocation) -> str:
    """`config-*/Makefile`, line by line; variables by their name, recipes as flags."""
    return _lines(text, _MAKE_VARIABLE, relocation)


def pkg_config(text: str, relocation: Relocation) -> str:
    """A `.pc` file."""
    return _lines(text, _PC_VARIABLE, relocation)


def config_script(text: str, relocation: Relocation) -> str:
    """The shell script `pythonX.Y-config`; it finds its real prefix when it runs."""

    def line(found: re.Match[str]) -> str:
        name, between, value, rest = found.groups()
        return name + between + relocation.path(value) + rest

    return "\n".join(
        relocation.flags(_SHELL_VARIABLE.sub(line, text_line)) for text_line in text.split("\n")
    )


def script(data: bytes, interpreter_name: str) -> bytes:
    """A Python script of the tree, with a plain shebang instead of whatever starts it now."""
    start = _LAUNCHER.match(data) or _PYTHON_SHEBANG.match(data)
    if not start:
        return data
    return f"#!{PREFIX}/bin/{interpreter_name}\n".encode() + data[start.end() :]


def module(data: bytes, interpreter_name: str) -> bytes:
    """A module of the standard library whose first line names the system's own interpreter.

    Debian writes `#! /usr/bin/python3.11` where upstream has `#! /usr/bin/env python3`; nobody
    would find the moved interpreter there, so upstream's line comes back.
    """
    pattern = rb"#![ ]?(/[^\s]*)?/bin/" + re.escape(interpreter_name.encode()) + rb"[ ]*\n"
    start = re.match(pattern, data)
    return b"#! /usr/bin/env python3\n" + data[start.end() :] if start else data


def _literal(text: str) -> dict[str, Any] | None:
    try:
        statements = ast.parse(text).body
        for statement in statements:
            if (
                isinstance(statement, ast.Assign)
                and isinstance(statement.targets[0], ast.Name)
                and statement.targets[0].id == "build_time_vars"
            ):
                value = ast.literal_eval(statement.value)
                return value if isinstance(value, dict) else None
    except (SyntaxError, ValueError):
        return None
    return None


def _moved(variables: dict[str, Any], relocation: Relocation) -> dict[str, Any]:
    return {
        name: relocation.variable(name, value) if isinstance(value, str) else value
        for name, value in variables.items()
    }


def _lines(text: str, pattern: re.Pattern[str], relocation: Relocation) -> str:
    move: Callable[[str, str], str] = relocation.variable
    lines = []
    for line in text.split("\n"):
        found = pattern.match(line)
        if found:
            name, equals, value = found.groups()
            lines.append(name + equals + move(name, value))
        else:
            lines.append(relocation.flags(line))
    return "\n".join(lines)
