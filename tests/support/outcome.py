"""Calls that may end well or with an error of ours, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kitbag_bundles.errors import KitbagError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def outcome(call: Callable[[], _T], kind: type[KitbagError] = KitbagError) -> tuple[_T | None, str]:
    """What ``call`` returns and no text, or nothing and the text of the error that it raises."""
    try:
        return call(), ""
    except kind as error:
        return None, str(error)
