"""Who may fetch now: so many downloads in all, and so many from one host."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kitbag_packer.downloads.retries import Stopped

if TYPE_CHECKING:
    from kitbag_packer.downloads.settings import DownloadSettings

_LOOK_UP = 0.5
"""Seconds after which a waiting thread looks whether it shall stop."""


class Turns:
    """Gives turns in the order of the downloads, past those whose host is busy."""

    def __init__(self, settings: DownloadSettings, stop: threading.Event) -> None:
        self._jobs = max(1, settings.jobs)
        self._per_host = max(1, settings.per_host)
        self._stop = stop
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._waiting: dict[int, str] = {}

    def take(self, number: int, host: str) -> None:
        """Wait for a turn of download ``number`` at ``host``; raises :class:`Stopped`."""
        with self._changed:
            self._waiting[number] = host
            try:
                while not self._is_next(number):
                    if self._stop.is_set():
                        raise Stopped
                    self._changed.wait(_LOOK_UP)
                self._running[host] += 1
            finally:
                del self._waiting[number]
                self._changed.notify_all()

    def give_back(self, host: str) -> None:
        """End a turn."""
        with self._changed:
            self._running[host] -= 1
            self._changed.notify_all()

    def _is_next(self, number: int) -> bool:
        if self._running.total() >= self._jobs:
            return False
        ready = (each for each, host in self._waiting.items() if self._is_free(host))
        return number == min(ready, default=None)

    def _is_free(self, host: str) -> bool:
        return not host or self._running[host] < self._per_host


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


class Turn:
    """The turn of one download, which it has or has not; safe for two threads."""

    def __init__(self, turns: Turns, number: int, lane: str = "") -> None:
        """``number``: its place in the order; hosts count for each ``lane`` by itself."""
        self._turns = turns
        self._number = number
        self._lane = lane
        self._lock = threading.Lock()
        self._host: str | None = None

    def take(self, url: str) -> None:
        """Have a turn at the host of ``url``, after waiting for it if need be."""
        host = _host(url)
        if host:
            host += f" {self._lane}"
        if self._host == host:
            return
        self.give_back()
        self._turns.take(self._number, host)
        self._host = host

    def give_back(self) -> None:
        """Let others have it."""
        with self._lock:
            host, self._host = self._host, None
        if host is not None:
            self._turns.give_back(host)
