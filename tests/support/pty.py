"""A terminal with a program in it: keys go in, what a person would see comes out.

The program has the terminal as its controlling one, so that Ctrl-C reaches it as in life. The
screen is kept by pyte, which also answers the questions that programs ask their terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, NamedTuple

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

UP, DOWN = "\x1b[A", "\x1b[B"
ENTER, SPACE, TAB, BACKSPACE = "\r", " ", "\t", "\x7f"
CTRL_C, CTRL_D, CTRL_U, ESCAPE = "\x03", "\x04", "\x15", "\x1b"

# A session leader takes a terminal as its own; done here, because a fork that runs Python code
# between fork and exec is no longer safe beside threads.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Settings(NamedTuple):
    """What a program may leave behind in disorder."""

    echo: bool
    by_line: bool
    signals: bool
    cursor: bool


SANE = Settings(echo=True, by_line=True, signals=True, cursor=True)


class _Screen(pyte.HistoryScreen):
    """Answers what a program asks: where the cursor is, for one."""

    def __init__(self, columns: int, lines: int, answer: Callable[[bytes], None]) -> None:
        super().__init__(columns, lines, history=2000, ratio=0.5)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())


class Terminal:
    """Runs ``command`` in a terminal of ``rows`` by ``columns``; a context manager.

    ``timeout`` in seconds is how long to wait for anything; whoever waits in vain gets an
    :class:`AssertionError` with the screen in it.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        env: Mapping[str, str],
        rows: int = 24,
        columns: int = 80,
        timeout: float = 30,
    ) -> None:
        self._timeout = timeout
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen = _Screen(columns, rows, self._put)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TAKE_TERMINAL, *map(os.fspath, command)],
            cwd=folder,
            env=dict(env),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close()

    @property
    def screen(self) -> str:
        """What is to be seen, without blank lines at the end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def everything(self) -> str:
        """The same with all that scrolled away above it."""
        above = [
            "".join(line[column].data for column in range(self._screen.columns)).rstrip()
            for line in self._screen.history.top
        ]
        return "\n".join([*above, self.screen])

    @property
    def settings(self) -> Settings:
        """How the terminal is set now."""
        flags = termios.tcgetattr(self._theirs)[3]
        return Settings(
            bool(flags & termios.ECHO),
            bool(flags & termios.ICANON),
            bool(flags & termios.ISIG),
            not self._screen.cursor.hidden,
        )

    def type(self, *keys: str) -> None:
        """Press ``keys``."""
        self._put("".join(keys).encode())

    def send_signal(self, number: int) -> None:
        """Send the program a signal, as another program would."""
        self._process.send_signal(number)

    def wait_for(self, *texts: str) -> str:
        """Wait until all of ``texts`` are on the screen; returns the screen."""
        return self.wait_until(lambda screen: all(text in screen for text in texts), texts)

    def wait_until(self, holds: Callable[[str], bool], what: object = "") -> str:
        """Wait until ``holds(screen)``; returns the screen."""
        deadline = time.monotonic() + self._timeout
        while not holds(self.screen):
            left = deadline - time.monotonic()
            assert left > 0, f"{what} did not come:\n{self.everything}"
            if not self._take(min(left, 1.0)) and self._process.poll() is not None:
                self._drain()
                assert holds(self.screen), f"ended before {what} came:\n{self.everything}"
        return self.screen

    def finish(self) -> int:
        """Wait for the end of the program; returns its exit status."""
        deadline = time.monotonic() + self._timeout
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on and on:\n{self.everything}"
            self._take(0.05)
        self._drain()
        return self._process.returncode

    def hang_up(self) -> int:
        """Take the terminal away, and wait for the end of the program; returns its status."""
        self._close()
        return self._process.wait(self._timeout)

    def _close(self) -> None:
        if self._ours >= 0:
            os.close(self._ours)
            os.close(self._theirs)
            self._ours = self._theirs = -1

    def _put(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._ours, data) :]

    def _drain(self) -> None:
        while self._take(0.0):
            pass

    def _take(self, patience: float) -> bool:
        if not select.select([self._ours], [], [], patience)[0]:
            return False
        data = os.read(self._ours, 65536)
        self.raw += data
        self._stream.feed(data)
        return bool(data)
