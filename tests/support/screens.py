"""A terminal to look at: a program that is told what to do, and the screen that it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable

# Executes what it is told, line by line.
_PROGRAM = """
import sys
names = {}
for line in sys.stdin:
    exec(line, names)
"""


class Screen:
    """A process whose stderr is a terminal; its stdout goes nowhere. A context manager."""

    def __init__(self, columns: int = 100, lines: int = 24, **environment: str) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        self.resize(columns, lines)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "PYTHONIOENCODING": "utf-8",
                "TERM": "xterm",
                **environment,
            },
        )
        os.close(slave)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal larger or smaller."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def tell(self, *lines: str) -> None:
        """Let the program do something."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without empty lines at its end."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def until(self, wanted: Callable[[list[str]], object], seconds: float = 20) -> list[str]:
        """Read until the screen is as it is wanted; returns its lines."""
        end = time.monotonic() + seconds
        while not wanted(self.lines):
            assert self._read(end - time.monotonic()), "\n".join(self.lines)
        return self.lines

    def end(self) -> int:
        """Close the program's input, read the rest and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while self._read(20):
            pass
        return self.process.wait(20)

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False  # the other end is closed
        self.raw += data
        self._stream.feed(data)
        return bool(data)
