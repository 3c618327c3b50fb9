"""Runs independent pieces of work side by side in forked processes, a bounded number at a time.

Processes, since unpacking spends much of its time in the interpreter; forked, since a fork of a
program that has just started costs a millisecond or two and needs no import. One piece of work,
or a system without ``fork``, runs in this process.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import KitbagError, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_bundles.reporting import Progress


def run_side_by_side(
    tasks: Sequence[Callable[[Progress], int]], jobs: int, progress: Progress
) -> list[int | KitbagError]:
    """Run every task; returns, in their order, what each returned or the error that ended it.

    Anything but a :class:`KitbagError`, an interrupt above all, ends all tasks and is raised.
    """
    if len(tasks) == 1 or jobs == 1 or not hasattr(os, "fork"):
        return [_run_here(task, progress) for task in tasks]
    return _Pool(tasks, jobs, progress).run()


def _run_here(task: Callable[[Progress], int], progress: Progress) -> int | KitbagError:
    try:
        return task(progress)
    except KitbagError as error:
        if error.code == "interrupted":
            raise
        return error


class _Pool:
    def __init__(
        self, tasks: Sequence[Callable[[Progress], int]], jobs: int, progress: Progress
    ) -> None:
        self._tasks = tasks
        self._jobs = jobs
        self._progress = progress
        self._running: dict[int, tuple[int, int, bytes]] = {}  # pipe: task, process, partial line
        self._outcomes: dict[int, int | KitbagError] = {}

    def run(self) -> list[int | KitbagError]:
        waiting = list(range(len(self._tasks)))
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._jobs:
                    self._start(waiting.pop(0))
                ready, _, _ = select.select(list(self._running), [], [])
                for pipe in ready:
                    self._listen(pipe)
        except BaseException:
            self._kill()
            raise
        return [self._outcomes[number] for number in range(len(self._tasks))]

    def _start(self, number: int) -> None:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _child(self._tasks[number], writing)
        os.close(writing)
        self._running[reading] = (number, process, b"")

    def _listen(self, pipe: int) -> None:
        number, process, partial = self._running[pipe]
        data = os.read(pipe, 65536)
        if not data:
            del self._running[pipe]
            os.close(pipe)
            _, status = os.waitpid(process, 0)
            if number not in self._outcomes:
                how = os.waitstatus_to_exitcode(status)
                self._outcomes[number] = KitbagError(
                    f"a worker process ended early ({how}); the system may be short of memory"
                )
            return
        lines = (partial + data).split(b"\n")
        self._running[pipe] = (number, process, lines.pop())
        for line in lines:
            self._understand(number, line)

    def _understand(self, number: int, line: bytes) -> None:
        word, _, rest = line.decode("utf-8", "surrogateescape").partition(" ")
        if word == "+":
            self._progress.advance(int(rest))
        elif word == "=":
            self._outcomes[number] = int(rest)
        else:
            self._outcomes[number] = error_of(word, rest)

    def _kill(self) -> None:
        for _, process, _ in self._running.values():
            os.kill(process, signal.SIGKILL)
        for pipe, (_, process, _) in self._running.items():
            os.waitpid(process, 0)
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


def _child(task: Callable[[Progress], int], pipe: int) -> Any:
    """Run ``task``, tell how it went, and end without the parent's clean-ups."""
    status = 1
    try:
        # The parent decides about interrupts; a terminal sends them to everyone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            line = f"= {task(_PipeProgress(pipe))}"
        except KitbagError as error:
            line = f"{error.code} {error}"
        except Exception as error:  # noqa: BLE001  # told to the parent, which shows one line
            line = f"failed internal error: {error!r}"
        os.write(pipe, line.replace("\n", " ").encode("utf-8", "surrogateescape") + b"\n")
        status = 0
    finally:
        os._exit(status)
