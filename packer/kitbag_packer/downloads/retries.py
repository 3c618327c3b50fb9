"""What may pass and what won't, how long to wait, and at which address to try next.

Pure: nothing here waits or talks to anybody.
"""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_packer.downloads.settings import DownloadSettings

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_PATIENCE = 10
"""How many times the longest pause a server may ask for."""
_ROTATE_AFTER = 2
"""Fruitless tries at one address before the next one gets its turn."""


class Failure(Exception):
    """One try that did not get everything."""

    def __init__(
        self,
        reason: str,
        *,
        passing: bool,
        wait: float | None = None,
        at_once: bool = False,
        wrong: bool = False,
    ) -> None:
        """``reason`` goes after the name of the host.

        ``wait`` is what the server asked for, in seconds. ``at_once``: the next try differs from
        this one, so there is nothing to wait for. ``wrong``: the bytes have the wrong digest.
        """
        super().__init__(reason)
        self.reason = reason
        self.passing = passing
        self.wait = wait
        self.at_once = at_once
        self.wrong = wrong


class Stopped(Exception):
    """The whole command ends; what arrived is kept."""


class GaveUp(Exception):
    """No address is left, or patience has ended."""


def status_failure(status: int, retry_after: str, now: float | None = None) -> Failure:
    """What an answer with an unwelcome ``status`` means (RFC 9110, 15; RFC 6585, 4)."""
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    passing = status in _PASSING
    wants = ", it wants a user name and a password (see ~/.netrc)" if status == 401 else ""
    return Failure(
        f"answered {status}{phrase}{wants}",
        passing=passing,
        wait=seconds_of(retry_after, now) if passing else None,
    )


def seconds_of(retry_after: str, now: float | None = None) -> float | None:
    """Seconds that a ``Retry-After`` asks for, a number or a date (RFC 9110, 10.2.3)."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:10]), 10**9))
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, until - (time.time() if now is None else now))


class Attempts:
    """The tries of one download at its addresses."""

    def __init__(
        self,
        urls: Sequence[str],
        settings: DownloadSettings,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._live = list(urls)
        self._untried = set(urls)
        self._settings = settings
        self._jitter = jitter
        self._here = 0
        self.fruitless = 0
        """Tries since the last new byte."""
        self.reasons: dict[str, Failure] = {}
        """The last failure at each address, in the order in which they first failed."""

    @property
    def url(self) -> str:
        """Where to try next."""
        return self._live[0]

    def failed(self, failure: Failure, *, progressed: bool) -> float:
        """Take note of a failure at :attr:`url`; seconds to wait before the next try.

        ``progressed``: the try brought new bytes; then patience starts anew. Raises
        :class:`GaveUp`.
        """
        url = self.url
        self._untried.discard(url)
        self.reasons[url] = failure
        if progressed:
            self.fruitless = self._here = 0
        if not failure.passing:
            self._live.pop(0)
            self._here = 0
            if not self._live:
                raise GaveUp
            return 0.0 if self.url in self._untried else self._pause(None)
        if failure.at_once:
            return 0.0
        if not progressed:
            self.fruitless += 1
            self._here += 1
        if self.fruitless >= max(1, self._settings.retries) and not self._untried:
            raise GaveUp
        if len(self._live) > 1 and self._here >= _ROTATE_AFTER:
            self._live.append(self._live.pop(0))
            self._here = 0
            if self.url in self._untried:
                return 0.0
        return self._pause(failure.wait)

    def _pause(self, wait: float | None) -> float:
        doubled = self._settings.first_pause * 2.0 ** min(max(0, self.fruitless - 1), 30)
        longest = self._settings.longest_pause
        pause = min(doubled, longest) * (0.5 + self._jitter() / 2)
        return max(pause, min(wait or 0.0, longest * _PATIENCE))
