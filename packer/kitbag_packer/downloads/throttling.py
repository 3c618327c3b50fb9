"""Keeps all downloads together below a rate, evenly, also at a few bytes per second."""

from __future__ import annotations

import threading
import time

_LARGEST = 64 * 1024


class Limiter:
    """Shared by the threads that fetch."""

    def __init__(self, rate: int | None) -> None:
        """``rate`` in bytes per second; ``None`` for no limit."""
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def piece(self) -> int | None:
        """How many bytes to take at a time so that progress shows several times a second."""
        return None if self._rate is None else max(1, min(_LARGEST, self._rate // 10))

    def take(self, count: int, stop: threading.Event) -> None:
        """Wait until ``count`` more bytes are due, or ``stop`` is set."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count / self._rate
            due = self._free_at
        stop.wait(due - now)
