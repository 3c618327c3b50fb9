"""How an interpreter finds out that a compiled file is stale: PEP 552's three ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMESTAMP = "timestamp"
CHECKED_HASH = "checked-hash"
UNCHECKED_HASH = "unchecked-hash"
MODES = (TIMESTAMP, CHECKED_HASH, UNCHECKED_HASH)
FLAGS = {TIMESTAMP: 0, UNCHECKED_HASH: 1, CHECKED_HASH: 3}
"""The second word of a compiled file's header."""


@dataclass(frozen=True)
class BytecodeOptions:
    """What an install does about bytecode.

    ``compile`` is ``None`` where nobody said anything: what the bundle brings along is laid over
    the tree and nothing is compiled. ``True`` compiles the rest too, ``False`` does neither.
    ``insist``: the mode was asked for, so a file that is valid in another mode counts as stale.
    """

    compile: bool | None = None
    mode: str = TIMESTAMP
    insist: bool = False


UNASKED = BytecodeOptions()
"""Where nobody said anything."""


def chosen_mode(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The mode that ``PYC_INVALIDATION_MODE`` names, and whether it names one.

    Spelled as ``py_compile`` does, ``CHECKED_HASH``, or with hyphens, in any case. Otherwise
    Python's own choice: timestamps, or hashes where ``SOURCE_DATE_EPOCH`` is set. Raises
    :class:`UsageError` for another.
    """
    text = environ.get("PYC_INVALIDATION_MODE", "")
    if not text:
        return (CHECKED_HASH if environ.get("SOURCE_DATE_EPOCH") else TIMESTAMP), False
    mode = text.lower().replace("_", "-")
    if mode not in MODES:
        raise UsageError(
            f"PYC_INVALIDATION_MODE is {text!r}; "
            "set it to TIMESTAMP, CHECKED_HASH or UNCHECKED_HASH"
        )
    return mode, True
