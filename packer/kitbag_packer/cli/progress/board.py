"""What is known about all downloads of a command, kept by their threads, read by a rendering."""

from __future__ import annotations

import contextlib
import enum
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kitbag_packer.cli.progress.measures import RATE_WINDOW, Rate, time_left

if TYPE_CHECKING:
    from collections.abc import Callable


class State(enum.Enum):
    """What a download does."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """One download, or all of them, at one moment. Sizes are bytes, times are seconds."""

    number: int
    """Which one, from 0 in the order in which they were announced; -1 for all together."""
    label: str
    state: State
    done: int
    total: int | None
    fetched: int
    """What arrived in this run; the rest of ``done`` was there before."""
    rate: float | None
    left: float | None
    elapsed: float
    """Since it began for the first time."""
    reason: str = ""
    resumes_in: float = 0.0
    """Until the next try; 0 when that is under way."""
    attempt: int = 0


@dataclass(frozen=True)
class Overview:
    """All downloads at one moment."""

    each: tuple[Status, ...]
    whole: Status
    count: int
    finished: int
    failed: int
    surely: bool
    """Whether every size that counts is known."""

    @property
    def open(self) -> int:
        """How many are neither finished nor failed."""
        return max(self.count - self.finished - self.failed, 0)


class Listener(Protocol):
    """Who wants to hear at once what happens. Called from the threads that fetch."""

    def told(self, event: str, status: Status) -> None:
        """``event`` is started, progress, paused, finished or failed."""
        ...


class Board:
    """Knows all downloads; every method may be called from any thread.

    ``clock`` gives seconds; ``period`` is the least time between two "progress" events of one
    download, ``None`` for no such events.
    """

    def __init__(
        self, count: int, listener: Listener, clock: Callable[[], float], period: float | None
    ) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.rate = Rate(2 * RATE_WINDOW)
        self.period = period
        self._count = count
        self._listener = listener
        self._items: list[Item] = []
        self._began = clock()

    def track(self, label: str, total: int | None) -> Item:
        """A new download."""
        with self.lock:
            item = Item(self, len(self._items), label, total)
            self._items.append(item)
        return item

    def tell(self, event: str, status: Status) -> None:
        """Pass an event on. A fault in showing it must not end a download."""
        with contextlib.suppress(Exception):
            self._listener.told(event, status)

    def look(self) -> Overview:
        """Everything at this moment."""
        with self.lock:
            now = self.clock()
            each = tuple(item.status(now) for item in self._items)
            return self._overview(each, now)

    def _overview(self, each: tuple[Status, ...], now: float) -> Overview:
        counted = [status for status in each if status.state is not State.FAILED]
        count = max(self._count, len(each))
        surely = len(each) == count and all(
            status.total is not None and status.done <= status.total for status in counted
        )
        done = sum(status.done for status in counted)
        total = sum(max(status.total or 0, status.done) for status in counted)
        rate = self.rate.value(now)
        running = any(status.state is State.RUNNING for status in each)
        whole = Status(
            -1,
            "",
            State.RUNNING if running else State.PAUSED,
            done,
            total,
            sum(status.fetched for status in each),
            rate,
            time_left(done, total, rate) if surely else None,
            now - self._began,
        )
        finished = sum(status.state is State.FINISHED for status in each)
        return Overview(each, whole, count, finished, len(each) - len(counted), surely)


class Item:
    """A :class:`kitbag_packer.downloads.watching.Track` that remembers."""

    def __init__(self, board: Board, number: int, label: str, total: int | None) -> None:
        self._board = board
        self._number = number
        self._label = label
        self._total = total
        self._state = State.WAITING
        self._done = 0
        self._fetched = 0
        self._rate = Rate()
        self._began: float | None = None
        self._ended: float | None = None
        self._due = 0.0
        self._reason = ""
        self._resumes = 0.0
        self._attempt = 0

    def begin(self, total: int | None, done: int) -> None:
        """Bytes flow from now on."""
        with self._board.lock:
            now = self._run()
            self._done = done
            if total is not None:
                self._total = total
            status = self.status(now)
        self._board.tell("started", status)

    def advance(self, count: int) -> None:
        """``count`` more bytes arrived."""
        board = self._board
        with board.lock:
            now = self._run()
            self._done += count
            self._fetched += count
            self._rate.add(count, now)
            board.rate.add(count, now)
            if board.period is None or now < self._due:
                return
            self._due = now + board.period
            status = self.status(now)
        board.tell("progress", status)

    def pause(self, reason: str, seconds: float, attempt: int) -> None:
        """The link failed; the next try comes in ``seconds``."""
        with self._board.lock:
            now = self._stop(State.PAUSED, reason)
            self._resumes = now + seconds
            self._attempt = attempt
            status = self.status(now)
        self._board.tell("paused", status)

    def finish(self) -> None:
        """It is there and it is right."""
        with self._board.lock:
            now = self._stop(State.FINISHED)
            if self._began is None and self._total is not None:
                self._done = self._total
            self._total = self._done
            status = self.status(now)
        self._board.tell("finished", status)

    def fail(self, reason: str) -> None:
        """It was given up."""
        with self._board.lock:
            now = self._stop(State.FAILED, reason)
            status = self.status(now)
        self._board.tell("failed", status)

    def status(self, now: float) -> Status:
        """What is known of it; the board is locked."""
        rate = self._rate.value(now)
        began = now if self._began is None else self._began
        return Status(
            self._number,
            self._label,
            self._state,
            self._done,
            self._total,
            self._fetched,
            rate,
            time_left(self._done, self._total, rate),
            (now if self._ended is None else self._ended) - began,
            self._reason,
            max(self._resumes - now, 0.0),
            self._attempt,
        )

    def _run(self) -> float:
        now = self._board.clock()
        if self._state is not State.RUNNING:
            if self._began is None:
                self._began = now
                self._due = now + (self._board.period or 0)
            self._state = State.RUNNING
            self._reason = ""
            self._rate.start(now)
            self._board.rate.start(now)
        return now

    def _stop(self, state: State, reason: str = "") -> float:
        now = self._board.clock()
        if state is not State.PAUSED:
            self._ended = now
        self._rate.stop(now)
        self._state = state
        self._reason = reason
        return now
