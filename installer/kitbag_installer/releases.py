"""Releases of one version of Python: which of two is the newer, and which one is installed.

A release is python-build-standalone's date (``20260101``) or the version of the implementation
itself (PyPy's ``7.3.19``). An installed build has it in its receipt, or in uv's file ``BUILD``.
"""

from __future__ import annotations

import os
import re

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.receipts import has_receipt, read_receipt

_NUMBERS = re.compile(r"\d{1,40}(?:\.\d{1,40})*", re.ASCII)


def is_newer_release(one: str, other: str) -> bool:
    """Whether ``one`` is a newer release than ``other``.

    Numbers, also dotted ones, compare as numbers, everything else as text. None at all is older
    than any: uv too takes a build without a ``BUILD`` for an old one.
    """
    numbers = _numbers(one), _numbers(other)
    if numbers[0] and numbers[1]:
        return numbers[0] > numbers[1]
    return one > other


def _numbers(text: str) -> tuple[int, ...]:
    """``7.3.19`` as numbers, without the zeros at its end that mean nothing; empty for words."""
    if not _NUMBERS.fullmatch(text):
        return ()
    numbers = [int(part) for part in text.split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def installed_release(tree: str) -> str:
    """The release of the build in ``tree``; empty where nothing tells."""
    if has_receipt(tree):
        try:
            return read_receipt(tree).release
        except IntegrityError:
            pass
    return build_file(tree)


def build_file(tree: str) -> str:
    """What uv's file ``BUILD`` says in ``tree``; empty without one."""
    try:
        with open(os.path.join(tree, "BUILD"), encoding="ascii", errors="replace") as file:
            return file.read(100).strip()
    except OSError:
        return ""
