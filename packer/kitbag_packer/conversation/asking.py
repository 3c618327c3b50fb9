"""How questions are put, as the conversation sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Option:
    """One line of a list to choose from."""

    value: str
    """What the answer is if this is chosen; unique in its list."""
    title: str
    """What a person sees and searches in."""
    chosen: bool = False
    """Whether it is chosen beforehand."""


class Asker(Protocol):
    """Puts questions. Every method raises :class:`Interrupted` when the person wants to stop.

    A ``check`` gets an answer and returns what is wrong with it, empty if nothing is; the person is
    asked until nothing is.
    """

    def several(
        self,
        question: str,
        options: Sequence[Option],
        check: Callable[[Sequence[str]], str],
    ) -> list[str]:
        """Any number of ``options``, in their order; the values are returned."""
        ...

    def one(self, question: str, options: Sequence[Option]) -> str:
        """Exactly one of ``options``; its value is returned. The first one is the default."""
        ...

    def path(self, question: str, default: str, check: Callable[[str], str]) -> str:
        """The path of a file or folder, as it was typed."""
        ...

    def confirm(self, question: str, *, default: bool) -> bool:
        """Yes or no."""
        ...

    def tell(self, text: str) -> None:
        """Show ``text``, which may have several lines."""
        ...

    def wait(self, label: str, until: Callable[[float], bool]) -> None:
        """Show that ``label`` goes on until ``until(seconds)``, which waits that long, is true."""
        ...
