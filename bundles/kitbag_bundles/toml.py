"""TOML by the standard library, or by the ``tomli`` that the bundle carries for older Pythons."""

from __future__ import annotations

import sys
from typing import Any


def loads(text: str) -> dict[str, Any]:
    """Read a TOML document; raises :class:`ValueError` for anything that is not TOML.

    The parser is imported here, because most of what kitbag does never reads TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib as parser
    else:
        import tomli as parser
    try:
        return parser.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
