"""Progress for machines: one JSON object for each event, one event for each line of stderr."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

from kitbag_packer.cli.progress.board import Board, State, Status
from kitbag_packer.cli.progress.measures import Rate, time_left
from kitbag_packer.cli.progress.output import Output
from kitbag_packer.downloads.watching import SilentWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitbag_packer.downloads.watching import Track, Watcher

PERIOD = 1.0
"""Least seconds between two "progress" events of one piece of work."""


class EventReporter:
    """A :class:`kitbag_packer.reporting.PackerReporter` of JSON lines."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._quiet = quiet
        self._clock = clock
        self._today = today
        self._output = Output()

    def info(self, message: str) -> None:
        """Tell ``message``, unless quiet."""
        if not self._quiet:
            self.emit("info", message=message)

    def warn(self, message: str) -> None:
        """Tell ``message``."""
        self.emit("warning", message=message)

    def progress(self, label: str, total: int) -> _Work:
        """Tell of ``total`` bytes of work while they take their time."""
        return _Work(self, label, total, self._clock, shown=not self._quiet)

    def downloads(self, count: int) -> Watcher:
        """Tell of ``count`` downloads."""
        if self._quiet:
            return SilentWatcher()
        return _Downloads(self, count, self._clock)

    def close(self) -> None:
        """Nothing is left open."""

    def emit(self, event: str, **fields: Any) -> None:
        """Write one line."""
        stamp = self._today().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"event": event, "time": stamp, **fields})
        self._output.write(line + "\n")


class _Downloads:
    def __init__(self, reporter: EventReporter, count: int, clock: Callable[[], float]) -> None:
        self._reporter = reporter
        self._board = Board(count, self, clock, PERIOD)

    def __enter__(self) -> _Downloads:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def track(self, label: str, total: int | None) -> Track:
        return self._board.track(label, total)

    def told(self, event: str, status: Status) -> None:
        fields = {"label": status.label, "done": status.done, "total": status.total}
        if status.state is State.RUNNING and event == "progress":
            fields |= _pace(status.rate, status.left)
        elif status.state is State.PAUSED:
            fields |= {
                "reason": status.reason,
                "seconds": round(status.resumes_in, 1),
                "attempt": status.attempt,
            }
        elif status.state is State.FINISHED:
            fields |= {"fetched": status.fetched, "seconds": round(status.elapsed, 1)}
        elif status.state is State.FAILED:
            fields |= {"reason": status.reason}
        self._reporter.emit(f"download-{event}", **fields)


class _Work:
    def __init__(
        self,
        reporter: EventReporter,
        label: str,
        total: int,
        clock: Callable[[], float],
        *,
        shown: bool,
    ) -> None:
        self._reporter = reporter
        self._label = label
        self._total = total
        self._clock = clock
        self._shown = shown
        self._done = 0
        self._told: int | None = None
        self._rate = Rate()
        self._rate.start(clock())
        self._due = clock() + PERIOD

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._told is not None and self._told != self._done:
            self._tell(self._clock())
        self._shown = False

    def advance(self, count: int) -> None:
        self._done += count
        if not self._shown:
            return
        now = self._clock()
        self._rate.add(count, now)
        if now >= self._due:
            self._due = now + PERIOD
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._told = self._done
        rate = self._rate.value(now)
        self._reporter.emit(
            "progress",
            label=self._label,
            done=self._done,
            total=self._total,
            **_pace(rate, time_left(self._done, self._total, rate)),
        )


def _pace(rate: float | None, left: float | None) -> dict[str, Any]:
    return {
        "rate": None if rate is None else round(rate),
        "seconds-left": None if left is None else round(left),
    }
