"""The console sessions of the documentation, read from its pages and run as a reader would.

A page is Markdown. Its blocks marked ``console`` are one session, in the order of the page: lines
that begin with ``$`` are commands, the others what they print. A ``…`` stands for any text, a line
of nothing else for any number of lines. A command that shows no output may print what it likes.
Directives are comments, which no reader sees:

    <!-- test: slow -->                     the whole page is slow
    <!-- test: skip why -->                 the next block can't run here
    <!-- test: status 3 -->                 the last command of the next block ends like this
    <!-- test: needs slim FILE -->          an archive of a real interpreter is there
    <!-- test: needs whole FILE -->         the same, with everything that upstream has
    <!-- test: needs foreign FILE -->       an archive that can be packed and does not run
    <!-- test: needs bundle FILE 3.13.5 --> a bundle of stand-ins of these versions
    <!-- test: needs project NAME -->       a project with a console script and a lock is there
    <!-- test: needs command python3.12 --> a real interpreter of that name is on PATH
    <!-- test: needs index -->              the package index of this machine is reached
    <!-- test: file PATH -->                the next block is what the reader writes there
    <!-- test: setup                        commands that a reader does not see
    mkdir somewhere
    -->
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ELLIPSIS = "…"
_DIRECTIVE = re.compile(r"<!--\s*test:\s*(\w+)\s*(.*?)\s*-->", re.DOTALL)
_BEGIN, _END = "\x01", "\x02"
_PROGRESS = re.compile(r"\r(?!\n)[^\r\n\x1b]*\x1b\[K")


class Command(NamedTuple):
    """A command as the page shows it, and the lines it should print; ``None`` if none are shown."""

    text: str
    expected: tuple[str, ...] | None
    status: int | None  # None: whatever it is, since the next command asks for it
    line: int


class Page(NamedTuple):
    """What a page asks for: ``needs`` are pairs of kind and name."""

    commands: tuple[Command, ...]
    needs: tuple[tuple[str, str], ...]
    slow: bool


class Outcome(NamedTuple):
    """What a command printed, and the status it ended with."""

    lines: tuple[str, ...]
    status: int


def read_page(text: str) -> Page:
    """Read a page; raises :class:`ValueError` for a directive that does not exist."""
    reader = _Reader(text.splitlines())
    reader.run()
    return Page(tuple(reader.commands), tuple(reader.needs), reader.slow)


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._number = 0
        self.commands: list[Command] = []
        self.needs: list[tuple[str, str]] = []
        self.slow = False
        self._skip = False
        self._status = 0
        self._file = ""

    def run(self) -> None:
        while self._number < len(self._lines):
            line = self._lines[self._number].strip()
            if line.startswith("```"):
                self._block(line)
            elif line.startswith("<!-- test:"):
                self._directive()
            self._number += 1

    def _directive(self) -> None:
        start = self._number
        while "-->" not in self._lines[self._number]:
            self._number += 1
        text = "\n".join(self._lines[start : self._number + 1]).strip()
        found = _DIRECTIVE.fullmatch(text)
        name, rest = found.groups() if found else ("", "")
        if name == "slow":
            self.slow = True
        elif name == "skip" and rest:
            self._skip = True
        elif name == "status":
            self._status = int(rest)
        elif name == "file" and rest:
            self._file = rest
        elif name == "needs":
            kind, _, what = rest.partition(" ")
            self.needs.append((kind, what))
        elif name == "setup":
            self.commands += [
                Command(line, None, 0, start + 1) for line in rest.splitlines() if line
            ]
        else:
            raise ValueError(f"line {start + 1}: no such directive: {text}")

    def _block(self, fence: str) -> None:
        start = self._number + 1
        self._number = start
        while self._lines[self._number].strip() != "```":
            self._number += 1
            if self._number == len(self._lines):
                raise ValueError(f"line {start}: the block has no end")
        if self._file:
            text = "\n".join(self._lines[start : self._number])
            write = f"cat > {self._file} <<'=end='\n{text}\n=end="
            self.commands.append(Command(write, None, 0, start))
            self._file = ""
        elif fence == "```console" and not self._skip:
            self.commands += _commands(self._lines[start : self._number], start + 1, self._status)
        if fence == "```console":
            self._skip, self._status = False, 0


def _commands(lines: list[str], first: int, last_status: int) -> list[Command]:
    found: list[tuple[int, list[str], list[str]]] = []
    for number, raw in enumerate(lines, first):
        line = raw.strip() if raw.lstrip().startswith("$ ") else raw
        if line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif not found:
            raise ValueError(f"line {number}: a session begins with a command")
        elif not found[-1][2] and found[-1][1][-1].endswith("\\"):
            found[-1][1].append(line)
        elif not found[-1][2] and line.startswith("> "):
            found[-1][1].append(line[2:])
        else:
            found[-1][2].append(line)
    commands = []
    for place, (number, text, shown) in enumerate(found):
        status: int | None = last_status if place == len(found) - 1 else 0
        if place + 1 < len(found) and "$?" in found[place + 1][1][0]:
            status = None
        while shown and not shown[-1]:
            shown.pop()
        commands.append(Command("\n".join(text), tuple(shown) or None, status, number))
    return commands


def fits(expected: tuple[str, ...], lines: tuple[str, ...]) -> bool:
    """Whether ``lines`` are what a page shows."""
    pattern = ""
    for line in expected:
        if line.strip() == ELLIPSIS:
            pattern += r"(?:[^\n]*\n)*"
        else:
            parts = line.rstrip().split(ELLIPSIS)
            pattern += r"[^\n]*".join(map(re.escape, parts)) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def run_session(
    commands: tuple[str, ...], folder: Path, environment: Mapping[str, str], timeout: float
) -> list[Outcome]:
    """Run ``commands`` in one shell on a terminal of its own; stops where the shell stops.

    On a terminal, because results and remarks come in the order in which a person sees them.
    """
    script = ["__s=0"]
    for command in commands:
        script += [
            f"printf '{_BEGIN}'; (exit $__s)",
            command,
            f"__s=$?; printf '{_END}%d\\n' $__s",
        ]
    path = folder / ".session.sh"
    path.write_text("\n".join(script) + "\n", encoding="utf-8")
    text = _on_terminal(["bash", "--norc", str(path)], folder, environment, timeout)
    path.unlink(missing_ok=True)
    outcomes = []
    for piece in text.split(_BEGIN)[1:]:
        output, ended, status = piece.partition(_END)
        lines = tuple(line.rstrip() for line in output.splitlines())
        outcomes.append(Outcome(lines, int(status.split()[0]) if ended else -1))
    return outcomes


def _on_terminal(
    command: list[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    deadline = time.monotonic() + timeout
    pieces = []
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux: nobody holds the other end any more
                data = b""
            if not data:
                break
            pieces.append(data)
        else:
            pieces.append(f"\n(stopped after {timeout:.0f} s)\n".encode())
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    finally:
        os.close(ours)
        process.wait()
    text = b"".join(pieces).decode("utf-8", "replace")
    return _PROGRESS.sub("", text).replace("\r\n", "\n")
