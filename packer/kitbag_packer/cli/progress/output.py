"""Writes whole lines to stderr from any thread; a reader that is gone stops nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import IO


class Output:
    """What stands for stderr. Nothing that it does raises an :class:`OSError`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @property
    def stream(self) -> IO[str]:
        """The stderr of this moment."""
        return sys.stderr

    @property
    def encoding(self) -> str:
        """The encoding of the stream."""
        return getattr(self.stream, "encoding", None) or "ascii"

    def line(self, text: str) -> None:
        """Write ``text`` and a line's end, at once."""
        self.write(printable(text) + "\n")

    def write(self, text: str) -> int:
        """Write ``text``; what the encoding lacks is escaped."""
        safe = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        with self._lock:
            try:
                self.stream.write(safe)
                self.stream.flush()
            except BrokenPipeError:
                self._give_up()
            except (OSError, ValueError):
                # A terminal that was hung up, a full disk, a closed stream: nobody can be told.
                pass
        return len(text)

    def flush(self) -> None:
        """Do nothing: everything was flushed when it was written."""

    def isatty(self) -> bool:
        """Whether a person sees it."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """The descriptor, for asking the terminal's size."""
        return self.stream.fileno()

    def _give_up(self) -> None:
        # What is still in the stream's buffer would fail again when the interpreter ends.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
            self.stream.flush()


def printable(text: str) -> str:
    """``text`` as one line without control characters: a server's words may hold some."""
    spaced = text.replace("\r\n", " ").replace("\n", " ")
    if spaced.isprintable():
        return spaced
    return "".join(each if each.isprintable() else _escaped(each) for each in spaced)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
