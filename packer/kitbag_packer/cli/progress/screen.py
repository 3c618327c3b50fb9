"""Progress on a terminal: a bar for each download that goes on, and one for the whole.

Threads that fetch only note what happened; one thread draws, a few times a second, and only what
changed.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kitbag_installer.cli.terminal import TerminalReporter, human_size
from kitbag_packer.cli.progress.board import Board, State, Status
from kitbag_packer.cli.progress.display import Display
from kitbag_packer.cli.progress.layout import lay_out
from kitbag_packer.cli.progress.measures import Countdown, Rate, show_rate, show_time, time_left
from kitbag_packer.cli.progress.output import Output
from kitbag_packer.cli.progress.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitbag_bundles.reporting import Progress
    from kitbag_packer.downloads.watching import Track

_PATIENCE = 0.8
_PERIOD = 0.2
_WORTH_A_LINE = 10.0


class ScreenReporter(TerminalReporter):
    """A :class:`kitbag_packer.reporting.PackerReporter` for a person at a terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._display = Display(Output())
        self._watcher: ScreenWatcher | None = None

    def info(self, message: str) -> None:
        """Show ``message`` above the bars."""
        super().close()
        self._display.line(message)

    def warn(self, message: str) -> None:
        """Show ``message`` as a warning above the bars."""
        super().close()
        self._display.line(message, "warning:")

    def progress(self, label: str, total: int) -> Progress:  # type: ignore[override]
        """A bar for ``total`` bytes of work, below those of downloads if there are any."""
        if self._watcher is not None and self._watcher.open:
            return self._watcher.work(label, total)
        return super().progress(label, total)

    def downloads(self, count: int) -> ScreenWatcher:
        """Bars for ``count`` downloads."""
        super().close()
        self._watcher = ScreenWatcher(count, self._display, self._clock)
        return self._watcher

    def close(self) -> None:
        """Take away whatever is drawn, and give the cursor back."""
        super().close()
        if self._watcher is not None:
            self._watcher.close()
        self._display.close()


class ScreenWatcher:
    """Bars for downloads; drawn by a thread of its own unless ``period`` is ``None``."""

    def __init__(
        self,
        count: int,
        display: Display,
        clock: Callable[[], float],
        period: float | None = _PERIOD,
    ) -> None:
        self._display = display
        self._clock = clock
        self._board = Board(count, self, clock, None)
        self._ticker = Ticker(period, self.tick) if period is not None else None
        self._clocks: dict[int, Countdown] = {}
        self._works: list[_Work] = []
        self._news: list[str] = []
        self._began = clock()
        self._seen = False
        self.open = False

    def __enter__(self) -> ScreenWatcher:
        self._began = self._clock()
        self.open = True
        if self._ticker is not None:
            self._ticker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        ended, self.open = not self.open, False
        try:
            if self._ticker is not None:
                self._ticker.stop()
        finally:
            self._display.close()
        if not ended:
            self._report()

    def close(self) -> None:
        """End, if that was not done in order."""
        if self.open:
            self.__exit__()

    def track(self, label: str, total: int | None) -> Track:
        """Announce a download."""
        return self._board.track(label, total)

    def work(self, label: str, total: int) -> _Work:
        """A bar below those of the downloads."""
        return _Work(self._works, label, total, self._clock)

    def told(self, event: str, status: Status) -> None:
        """Note what deserves a line of its own; the drawing thread writes it."""
        if event == "finished" and status.fetched and status.elapsed >= _WORTH_A_LINE:
            size, taken = human_size(status.done), show_time(status.elapsed)
            self._news.append(f"{status.label}: downloaded {size} in {taken}")
        elif event == "failed" and self._board.look().open:
            self._news.append(f"{status.label}: {status.reason}")

    def tick(self) -> None:
        """Draw what changed."""
        now = self._clock()
        view = self._board.look()
        works = [work.status(now) for work in list(self._works)]
        busy = view.open or works
        if not self._display.shown and (now - self._began < _PATIENCE or not busy):
            return
        self._seen = True
        space = self._display.space()
        self._display.draw(lay_out(view, works, space, self._clocks, now), space.width)
        self._tell_news()

    def _tell_news(self) -> None:
        while self._news:
            self._display.line(self._news.pop(0))

    def _report(self) -> None:
        self._tell_news()
        view = self._board.look()
        whole = view.whole
        if self._seen and view.count > 1 and view.finished and whole.elapsed >= _WORTH_A_LINE:
            size, taken = human_size(whole.fetched), show_time(whole.elapsed)
            rate = show_rate(whole.fetched / whole.elapsed)
            self._display.line(f"downloaded {size} in {taken} ({rate})")


class _Work:
    """Other work, of the main thread, that goes on beside downloads."""

    def __init__(
        self, works: list[_Work], label: str, total: int, clock: Callable[[], float]
    ) -> None:
        self._works = works
        self._label = label
        self._total = total
        self._clock = clock
        self._done = 0
        self._began = clock()
        self._rate = Rate()
        self._rate.start(self._began)
        self._lock = threading.Lock()

    def __enter__(self) -> _Work:
        self._works.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self._works.remove(self)

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._rate.add(count, self._clock())

    def status(self, now: float) -> Status:
        with self._lock:
            done, rate = self._done, self._rate.value(now)
        # A number that no download has: its time left is kept apart.
        return Status(
            -2,
            self._label,
            State.RUNNING,
            done,
            self._total,
            done,
            rate,
            time_left(done, self._total, rate),
            now - self._began,
        )
