"""What this process owes before it becomes another program: nothing of it runs after that."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")

duties: list[Callable[[], None]] = []
"""What is done first; none of it may need anything that another one has removed."""


def prepare() -> None:
    """Do what is owed, and leave every signal as whoever started this process had it."""
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    while duties:
        duties.pop()()
    for number, handler in handlers.items():
        # One that calls Python becomes the usual one; what is ignored would stay ignored.
        signal.signal(number, handler)
    for name in _IGNORED_BY_PYTHON:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
