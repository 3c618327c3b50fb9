"""Progress where no terminal is: few lines, ever more rarely, so that a log stays readable."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from kitbag_installer.cli.terminal import TerminalReporter, human_size, paint
from kitbag_packer.cli.progress.board import Board, Overview, State, Status
from kitbag_packer.cli.progress.measures import (
    Rate,
    show_again,
    show_amount,
    show_rate,
    show_share,
    show_time,
    time_left,
)
from kitbag_packer.cli.progress.output import Output
from kitbag_packer.cli.progress.ticker import Ticker
from kitbag_packer.downloads.watching import SilentWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitbag_packer.downloads.watching import Track, Watcher

_PATIENCE = 2.0
_PERIOD = 1.0
_SOONEST, _LATEST = 10.0, 300.0  # some CI systems end a job that is silent for ten minutes


class QuietLineReporter(TerminalReporter):
    """A :class:`kitbag_packer.reporting.PackerReporter` of warnings alone."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self._output = Output()

    def warn(self, message: str) -> None:
        """Show ``message`` as a warning."""
        warning = paint("warning:", "yellow", sys.stderr)
        self._output.write(f"kitbag: {warning} ")
        self._output.line(message)

    def downloads(self, count: int) -> Watcher:
        """Show nothing of ``count`` downloads."""
        return SilentWatcher()


class LineReporter(QuietLineReporter):
    """A :class:`kitbag_packer.reporting.PackerReporter` that writes plain lines."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, period: float | None = _PERIOD
    ) -> None:
        super().__init__()
        self._clock = clock
        self._period = period

    def info(self, message: str) -> None:
        """Show ``message``."""
        self._output.line(f"kitbag: {message}")

    def progress(self, label: str, total: int) -> Work:  # type: ignore[override]
        """Tell of ``total`` bytes of work if they take long."""
        return Work(self.info, label, total, self._clock)

    def downloads(self, count: int) -> LineWatcher:
        """Tell of ``count`` downloads."""
        return LineWatcher(self.info, count, self._clock, self._period)


class Schedule:
    """When the next line is due: after 10 s, then at intervals that grow up to 5 min."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._next = now + _SOONEST

    def due(self, now: float) -> bool:
        """Whether a line is due; asking so uses the chance up."""
        if now < self._next:
            return False
        self._next = now + min(max((now - self._began) / 3, _SOONEST), _LATEST)
        return True


class LineWatcher:
    """Lines about downloads; :meth:`tick` is called every ``period`` seconds."""

    def __init__(
        self,
        say: Callable[[str], None],
        count: int,
        clock: Callable[[], float],
        period: float | None,
    ) -> None:
        self._say = say
        self._clock = clock
        self._board = Board(count, self, clock, None)
        self._ticker = Ticker(period, self.tick) if period is not None else None
        self._schedule = Schedule(clock())
        self._announced: set[int] = set()
        self._pauses: dict[int, Schedule] = {}
        self._fetched = 0

    def __enter__(self) -> LineWatcher:
        if self._ticker is not None:
            self._ticker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._ticker is not None:
            self._ticker.stop()

    def track(self, label: str, total: int | None) -> Track:
        """Announce a download."""
        return self._board.track(label, total)

    def told(self, event: str, status: Status) -> None:
        """Tell what can't wait."""
        if event == "paused":
            self._paused(status)
        elif event == "finished" and status.fetched:
            size, taken = human_size(status.done), show_time(status.elapsed)
            self._say(f"{status.label}: downloaded {size} in {taken}")
        elif event == "failed" and self._board.look().open:
            # The last one to fail is told by the command itself, right away.
            self._say(f"{status.label}: {status.reason}")

    def tick(self) -> None:
        """Tell what is due."""
        view = self._board.look()
        for status in view.each:
            if status.state is State.RUNNING and status.elapsed >= _PATIENCE:
                self._announce(status)
        if self._schedule.due(self._clock()) and view.open:
            paused = any(status.state is State.PAUSED for status in view.each)
            if view.whole.fetched > self._fetched or not paused:
                self._fetched = view.whole.fetched
                self._say(_summary(view))

    def _announce(self, status: Status) -> None:
        with self._board.lock:
            if status.number in self._announced:
                return
            self._announced.add(status.number)
        size = f" {human_size(status.total)}" if status.total is not None else ""
        had = status.done - status.fetched
        there = f", {human_size(had)} are there already" if had > 0 else ""
        self._say(f"{status.label}: downloading{size}{there}")

    def _paused(self, status: Status) -> None:
        with self._board.lock:
            now = self._clock()
            schedule = self._pauses.get(status.number)
            if schedule is not None and not schedule.due(now):
                return
            if schedule is None:
                self._pauses[status.number] = Schedule(now)
        self._announce(status)
        again = show_again(status.resumes_in, status.attempt)
        self._say(f"{status.label}: {status.reason}; {again}")


class Work:
    """Lines about other work, told from the thread that does it."""

    def __init__(
        self, say: Callable[[str], None], label: str, total: int, clock: Callable[[], float]
    ) -> None:
        self._say = say
        self._label = label
        self._total = total
        self._clock = clock
        self._done = 0
        self._rate = Rate()
        self._rate.start(clock())
        self._schedule = Schedule(clock())

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, count: int) -> None:
        """``count`` more bytes are done."""
        now = self._clock()
        self._done += count
        self._rate.add(count, now)
        if self._schedule.due(now):
            rate = self._rate.value(now)
            left = time_left(self._done, self._total, rate)
            self._say(f"{self._label}: {_how_far(self._done, self._total, rate, left)}")


def _summary(view: Overview) -> str:
    whole = view.whole
    if view.count == 1 and view.each:
        one = view.each[0]
        return f"{one.label}: {_how_far(one.done, one.total, one.rate, one.left)}"
    far = _how_far(whole.done, whole.total, whole.rate, whole.left, at_least=not view.surely)
    failed = f", {view.failed} failed" if view.failed else ""
    return f"{view.finished} of {view.count} downloaded{failed}; {far}"


def _how_far(
    done: int,
    total: int | None,
    rate: float | None,
    left: float | None,
    *,
    at_least: bool = False,
) -> str:
    parts = [show_amount(done, total, at_least=at_least)]
    share = "" if at_least else show_share(done, total)
    if share:
        parts[0] += f" ({share})"
    if rate is not None:
        parts.append(show_rate(rate))
    if left is not None and done != total:
        parts.append(f"{show_time(left)} left")
    return ", ".join(parts)
