"""Rates, times and sizes: measured from a given clock, and put into words."""

from __future__ import annotations

from collections import deque

from kitbag_installer.cli.terminal import human_size

RATE_WINDOW = 30.0
"""Seconds over which a download's rate is averaged: at 1 KB/s bytes come in bursts."""
_GRAIN = 0.5
_YOUNG = 1.0
_LONGEST = 99 * 86400


class Rate:
    """Bytes per second over the last ``window`` seconds; waits between two tries do not count."""

    def __init__(self, window: float = RATE_WINDOW) -> None:
        self._window = window
        self._samples: deque[tuple[float, int]] = deque()
        self._count = 0
        self._running = False
        self._shift = 0.0  # what the waits took together
        self._stopped = 0.0

    def start(self, now: float) -> None:
        """Bytes flow from now on."""
        if self._running:
            return
        self._running = True
        if self._samples:
            self._shift += now - self._stopped
        else:
            self._samples.append((now - self._shift, 0))

    def stop(self, now: float) -> None:
        """No bytes flow, and that is nothing to count."""
        if self._running:
            self._running = False
            self._stopped = now

    def add(self, count: int, now: float) -> None:
        """``count`` bytes arrived."""
        self.start(now)
        self._count += count
        at = now - self._shift
        # The first sample is where counting began: it is never moved.
        if len(self._samples) > 1 and at - self._samples[-2][0] < _GRAIN:
            self._samples[-1] = (at, self._count)
        else:
            self._samples.append((at, self._count))
        while len(self._samples) > 2 and self._samples[1][0] <= at - self._window:
            self._samples.popleft()

    def value(self, now: float) -> float | None:
        """Bytes per second; ``None`` while it is too early to tell."""
        if not self._samples:
            return None
        at = (now if self._running else self._stopped) - self._shift
        earliest = at - self._window
        if self._samples[-1][0] <= earliest:
            return 0.0
        base, before = self._samples[0]
        for moment, count in self._samples:
            if moment > earliest:
                break
            base, before = moment, count
        if at - base < _YOUNG or not self._count:
            return None
        return (self._count - before) / (at - base)


class Countdown:
    """The time left, kept from jumping: a new estimate counts when it differs clearly."""

    def __init__(self) -> None:
        self._end: float | None = None

    def left(self, estimate: float | None, now: float) -> float | None:
        """Seconds left according to what was said before and ``estimate``."""
        if estimate is None:
            self._end = None
            return None
        end = now + estimate
        if self._end is None or abs(end - self._end) > max(2.0, 0.1 * estimate):
            self._end = end
        return max(self._end - now, 0.0)


def time_left(done: int, total: int | None, rate: float | None) -> float | None:
    """Seconds; ``None`` where nobody can tell, or nothing moves."""
    if total is None or not rate or done > total:
        return None
    return (total - done) / rate


def show_rate(rate: float) -> str:
    """Bytes per second in words."""
    return f"{human_size(round(rate))}/s"


def show_time(seconds: float) -> str:
    """Seconds in words, as finely as they matter: ``12 s``, ``4 min 30 s``, ``6 h 50 min``."""
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        minutes, rest = divmod(whole // 10 * 10, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        hours, minutes = divmod(whole // 300 * 5, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if whole <= _LONGEST:
        days, hours = divmod(whole // 3600, 24)
        word = "day" if days == 1 else "days"
        return f"{days} {word} {hours} h" if hours and days < 10 else f"{days} {word}"
    return "more than 99 days"


def show_again(seconds: float, attempt: int) -> str:
    """When the next try comes after ``attempt`` that failed."""
    when = f"in {show_time(seconds)}" if seconds >= 0.5 else "now"
    return f"again {when} (try {attempt + 1})"


def show_amount(done: int, total: int | None, *, at_least: bool = False) -> str:
    """``12.3 of 27.7 MB``, or how much there is when nobody knows the total.

    ``at_least`` marks a total that leaves something out: ``12.3 of 27.7+ MB``.
    """
    have = human_size(done)
    if total is None or done > total or (at_least and done == total):
        return have
    want = human_size(total)
    number, unit = have.split(" ")
    short = f"{number} of {want}" if want.endswith(f" {unit}") else f"{have} of {want}"
    return "+ ".join(short.rsplit(" ", 1)) if at_least else short


def show_share(done: int, total: int | None) -> str:
    """``44%``, never 100% before everything is there; empty without a total."""
    if total is None or done > total:
        return ""
    return f"{done * 100 // total}%" if total else "100%"
