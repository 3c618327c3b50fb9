"""Calls something again and again in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ticker:
    """Calls ``work`` every ``period`` seconds until it is stopped; the first fault ends it."""

    def __init__(self, period: float, work: Callable[[], None]) -> None:
        self._period = period
        self._work = work
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kitbag-progress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the last call has returned."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        # Whatever it shows is worth less than what goes on beside it.
        with contextlib.suppress(Exception):
            while not self._end.wait(self._period):
                self._work()
