r"""``_sysconfigdata_*.py``: the build-time variables that :mod:`sysconfig` imports.

Read are python-build-standalone's JSON-style dict and CPython's own forms (``pprint`` with
adjacent literals, one ``repr`` per line); only the dict is evaluated, as a literal. Written is the
form that uv writes and can read again: its exact first line, four blanks of indent, keys in
bytewise order, no escapes but ``\\`` and ``\"``, ``PYTHON_BUILD_STANDALONE`` set to 1, by which uv
knows such a build.

uv reads neither other escapes nor other types. So control characters (and the white space that
is brought to single blanks anyway) become a blank, half a surrogate pair becomes ``?``, ``None``
an empty text, and a number that is no signed 32-bit integer its decimal text.
"""

from __future__ import annotations

import json
import re

from kitbag_bundles.errors import ArchiveError
from kitbag_bundles.layout import PREFIX
from kitbag_installer.rewriting.sysconfig_values import ValueRewriter, build_directories

HEADER = "# system configuration generated and used by the sysconfig module\n"
_DICT = re.compile(r"^build_time_vars\s*=\s*(?=\{)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse(text: str) -> dict[str, object] | None:
    """The variables in ``text``; ``None`` where it holds no dict that is a mere literal."""
    found = _DICT.search(text)
    if found is None:
        return None
    body = text[found.end() :]
    try:
        value = json.loads(body)  # the usual form today, and far quicker than the compiler
    except (ValueError, RecursionError):
        import ast

        try:
            value = ast.literal_eval(body)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return None
    return value


def rewrite(pristine: str, home: str) -> str:
    """The module for ``home``.

    A module that computes its values is left as it is, unless it names the prefix: then
    :class:`ArchiveError` says so, because nobody could make it right.
    """
    values = parse(pristine)
    if values is None:
        if PREFIX not in pristine:
            return pristine
        raise ArchiveError(
            "_sysconfigdata names the build-time prefix /install in a form that kitbag cannot"
            " read: the archive is damaged or of an unknown kind, fetch it again"
        )
    directories = (values.get("abs_srcdir"), values.get("abs_builddir"))
    rewriter = ValueRewriter(home, build_directories(*map(str, directories)))
    values["PYTHON_BUILD_STANDALONE"] = 1
    lines = ",\n".join(
        f"    {_literal(name)}: {_value(rewriter, name, values[name])}" for name in sorted(values)
    )
    return f"{HEADER}build_time_vars = {{\n{lines}\n}}\n"


def _value(rewriter: ValueRewriter, name: str, value: object) -> str:
    if isinstance(value, int) and -(2**31) <= value < 2**31:
        return str(int(value))
    text = "" if value is None else str(value)
    if not text.isprintable():
        text = _CONTROL.sub(" ", text).encode("utf-8", "replace").decode()
    return _literal(rewriter(name, text))


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
