"""Lets an interpreter try things, one after the other, and survives whatever becomes of it.

The interpreter runs :mod:`kitbag_installer.doctor.probes`, which tells what it is about to try. If
it crashes or does not answer in time, that one thing is to blame, and a new process tries the rest.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_installer.doctor.processes import Children

PROGRAM = "probes.py"


class Answer(NamedTuple):
    """What came of trying one thing: ``facts``, or why there are none.

    ``error`` is a line; ``absent`` says that the module ``module`` is not there at all. ``crashed``
    and ``hung`` are the interpreter's own end.
    """

    facts: Mapping[str, Any] | None = None
    error: str = ""
    module: str = ""
    absent: bool = False
    crashed: bool = False
    hung: bool = False


def write_program(scratch: str) -> str:
    """Write the program into ``scratch``, also out of a zip file; returns its path."""
    import pkgutil

    data = pkgutil.get_data("kitbag_installer.doctor", PROGRAM)
    assert data is not None
    path = os.path.join(scratch, PROGRAM)
    with open(path, "wb") as file:
        file.write(data)
    return path


class Mute(Exception):
    """The interpreter does not get as far as to try the first thing; the text says why."""


class Interview:
    """One interpreter that is asked: the command that starts it, and where it may write."""

    def __init__(
        self,
        children: Children,
        interpreter: str,
        scratch: str,
        environ: Mapping[str, str],
        limit: float,
    ) -> None:
        self._children = children
        self._interpreter = interpreter
        self._scratch = scratch
        self._environ = environ
        self._limit = limit

    def ask(self, names: Sequence[str]) -> dict[str, Answer]:
        """Try all of ``names``; each gets an answer. Raises :class:`Mute`, :class:`OSError`."""
        program = write_program(self._scratch)
        answers: dict[str, Answer] = {}
        while waiting := [name for name in names if name not in answers]:
            command = [self._interpreter, "-I", "-B", program, self._scratch, *waiting]
            self._one_process(command, answers)
        return {name: answers[name] for name in names}

    def _one_process(self, command: Sequence[str], answers: dict[str, Answer]) -> None:
        """Take answers until the process ends; at least one is there afterwards."""
        complaints = os.path.join(self._scratch, "complaints")
        with open(complaints, "wb") as file:
            process = self._children.start(command, self._scratch, self._environ, file)
        lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_read_lines, args=(process, lines), daemon=True).start()
        current, done = "", False
        try:
            while (table := _parse(lines.get(timeout=self._limit))) is not None:
                if "begin" in table:
                    current, done = table["begin"], False
                elif "end" in table:
                    answers[current], done = _answer(table), True
            process.wait(timeout=self._limit)
            if done:
                return
            answer = Answer(error=_ended(process, complaints), crashed=True)
        except (queue.Empty, subprocess.TimeoutExpired):
            answer = Answer(error=f"no answer within {self._limit:g} seconds", hung=True)
        finally:
            self._children.end(process)
        if not current:
            raise Mute(answer.error)
        answers[current] = answer


def _read_lines(process: subprocess.Popen[bytes], lines: queue.Queue[bytes]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(b"")


def _parse(line: bytes) -> dict[str, Any] | None:
    """What a line says; ``None`` for the end, empty for what is not ours."""
    if not line:
        return None
    try:
        table = json.loads(line)
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def _answer(table: Mapping[str, Any]) -> Answer:
    if "facts" in table:
        return Answer(facts=table["facts"])
    return Answer(error=table["error"], module=table["module"], absent=table["absent"])


def _ended(process: subprocess.Popen[bytes], complaints: str) -> str:
    from kitbag_installer.doctor.processes import Done

    status = process.returncode
    how = f"signal {-status}" if status < 0 else f"status {status}"
    with open(complaints, encoding="utf-8", errors="replace") as file:
        last = Done(status, "", file.read(65536)).last_line
    return f"the interpreter ended with {how}" + (f": {last}" if last else "")
