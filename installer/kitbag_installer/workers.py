"""Runs pieces of work side by side in forked processes, a bounded number at a time.

Processes, since unpacking spends much of its time in the interpreter; forked, since a fork of a
program that has just started costs a millisecond or two and needs no import. One piece of work,
or a system without ``fork``, runs in this process.
"""

from __future__ import annotations

import os
import select
import signal
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Union

from kitbag_bundles.errors import Interrupted, KitbagError, error_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Progress

    Task = Callable[[Progress], Any]
    """Returns what ``marshal`` can write: plain texts, numbers, lists, tuples, tables."""

Outcome = Union[Any, KitbagError]
"""What a task returned, or the error that ended it."""


class Followed(NamedTuple):
    """How a task ended, and how those that followed it did, in their order."""

    outcome: Outcome
    later: list[Outcome]


def run_side_by_side(tasks: Sequence[Task], jobs: int, progress: Progress) -> list[Outcome]:
    """Run every task; returns, in their order, what each returned or the error that ended it.

    Anything but a :class:`KitbagError`, an interrupt above all, ends all tasks and is raised.
    """
    return [each.outcome for each in run_with_followers(tasks, _nothing, jobs, progress)]


def run_with_followers(
    tasks: Sequence[Task],
    follow: Callable[[int, Any], Sequence[Task]],
    jobs: int,
    progress: Progress,
) -> list[Followed]:
    """Run every task, and for each that went well the tasks that ``follow`` has after it.

    ``follow`` gets the number of the task and what it returned, in this process. What follows
    waits until no task of the first kind does, so it never keeps one from beginning; together
    they are never more than ``jobs``. A follower is asked to end (SIGTERM, which raises
    :class:`Interrupted` in it) where others are just ended.
    """
    if jobs == 1 or not hasattr(os, "fork"):
        return [_run_both_here(number, task, follow, progress) for number, task in enumerate(tasks)]
    if len(tasks) == 1:
        outcome = _run_here(tasks[0], progress)
        later = [] if isinstance(outcome, KitbagError) else list(follow(0, outcome))
        if len(later) > 1:
            return [Followed(outcome, run_side_by_side(later, jobs, progress))]
        return [Followed(outcome, [_run_here(task, progress) for task in later])]
    return _Pool(tasks, follow, jobs, progress).run()


def _nothing(number: int, value: Any) -> Sequence[Task]:
    return ()


def _run_both_here(
    number: int, task: Task, follow: Callable[[int, Any], Sequence[Task]], progress: Progress
) -> Followed:
    outcome = _run_here(task, progress)
    later = () if isinstance(outcome, KitbagError) else follow(number, outcome)
    return Followed(outcome, [_run_here(each, progress) for each in later])


def _run_here(task: Task, progress: Progress) -> Outcome:
    try:
        return task(progress)
    except KitbagError as error:
        if error.code == "interrupted":
            raise
        return error


class _Running(NamedTuple):
    name: tuple[int, int]
    """The number of the task, and 0, or from 1 that of the one that follows it."""
    process: int
    partial: bytes
    """The beginning of a line."""


class _Pool:
    def __init__(
        self,
        tasks: Sequence[Task],
        follow: Callable[[int, Any], Sequence[Task]],
        jobs: int,
        progress: Progress,
    ) -> None:
        self._count = len(tasks)
        self._follow = follow
        self._jobs = jobs
        self._progress = progress
        self._waiting = deque(((number, 0), task) for number, task in enumerate(tasks))
        self._later: deque[tuple[tuple[int, int], Task]] = deque()
        self._running: dict[int, _Running] = {}  # by its pipe
        self._outcomes: dict[tuple[int, int], Outcome] = {}

    def run(self) -> list[Followed]:
        try:
            while self._waiting or self._later or self._running:
                while (self._waiting or self._later) and len(self._running) < self._jobs:
                    self._start(*(self._waiting or self._later).popleft())
                ready, _, _ = select.select(list(self._running), [], [])
                for pipe in ready:
                    self._listen(pipe)
        except BaseException:
            self._kill()
            raise
        followed: list[Followed] = [
            Followed(self._outcomes[number, 0], []) for number in range(self._count)
        ]
        for (number, part), outcome in sorted(self._outcomes.items(), key=lambda item: item[0]):
            if part:
                followed[number].later.append(outcome)
        return followed

    def _start(self, name: tuple[int, int], task: Task) -> None:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _child(task, writing, follower=name[1] > 0)
        os.close(writing)
        self._running[reading] = _Running(name, process, b"")

    def _listen(self, pipe: int) -> None:
        name, process, partial = self._running[pipe]
        data = os.read(pipe, 65536)
        if not data:
            del self._running[pipe]
            os.close(pipe)
            _, status = os.waitpid(process, 0)
            if name not in self._outcomes:
                how = os.waitstatus_to_exitcode(status)
                self._outcomes[name] = KitbagError(
                    f"a worker process ended early ({how}); the system may be short of memory"
                )
            return
        lines = (partial + data).split(b"\n")
        self._running[pipe] = _Running(name, process, lines.pop())
        for line in lines:
            self._understand(name, line)

    def _understand(self, name: tuple[int, int], line: bytes) -> None:
        import marshal

        word, _, rest = line.partition(b" ")
        if word == b"+":
            self._progress.advance(int(rest))
        elif word == b"=":
            value = marshal.loads(bytes.fromhex(rest.decode("ascii")))
            self._outcomes[name] = value
            if name[1] == 0:
                for part, task in enumerate(self._follow(name[0], value), 1):
                    self._later.append(((name[0], part), task))
        else:
            message = rest.decode("utf-8", "surrogateescape")
            self._outcomes[name] = error_of(word.decode("ascii"), message)

    def _kill(self) -> None:
        for running in self._running.values():
            os.kill(running.process, signal.SIGTERM if running.name[1] else signal.SIGKILL)
        for pipe, running in self._running.items():
            os.waitpid(running.process, 0)
            os.close(pipe)


class _PipeProgress:
    """The progress of a child, told to its parent."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def __enter__(self) -> _PipeProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, count: int) -> None:
        os.write(self._pipe, b"+ %d\n" % count)


def _child(task: Task, pipe: int, *, follower: bool) -> Any:
    """Run ``task``, tell how it went, and end without the parent's clean-ups."""
    import marshal

    status = 1
    try:
        # The parent decides about interrupts; a terminal sends them to everyone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop if follower else signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            line = b"= " + marshal.dumps(task(_PipeProgress(pipe))).hex().encode("ascii")
        except KitbagError as error:
            line = _told(error.code, str(error))
        except Exception as error:  # noqa: BLE001  # told to the parent, which shows one line
            line = _told("failed", f"internal error: {error!r}")
        rest = memoryview(line + b"\n")
        while rest:
            rest = rest[os.write(pipe, rest) :]
        status = 0
    finally:
        os._exit(status)


def _stop(number: int, frame: object) -> None:
    raise Interrupted("stopped")


def _told(code: str, message: str) -> bytes:
    return f"{code} {message}".replace("\n", " ").encode("utf-8", "surrogateescape")
