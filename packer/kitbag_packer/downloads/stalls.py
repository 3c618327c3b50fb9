"""Notices a connection that still lives but gets nowhere.

Only the time spent waiting for the other side counts, so neither a limit of our own nor a slow
disk makes a connection look stalled.
"""

from __future__ import annotations

from collections import deque

_STEPS = 20


class Meter:
    """The rate of one connection over the last ``window`` seconds of waiting for it."""

    def __init__(self, minimum: int, window: float) -> None:
        """``minimum`` in bytes per second; 0 switches the check off."""
        self._minimum = minimum
        self._window = window
        self._waited = 0.0
        self._count = 0
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    def add(self, waited: float, count: int) -> bool:
        """Note that ``count`` bytes came after ``waited`` seconds; whether it is too slow now."""
        self._waited += waited
        self._count += count
        if self._waited - self._marks[-1][0] >= self._window / _STEPS:
            self._marks.append((self._waited, self._count))
        while len(self._marks) > 1 and self._waited - self._marks[1][0] >= self._window:
            self._marks.popleft()
        began, before = self._marks[0]
        span = self._waited - began
        return span >= self._window and (self._count - before) < self._minimum * span
