"""How the command line shows messages, progress and errors.

Results go to stdout, everything else to stderr. A progress bar appears for work that has taken a
second, on a terminal only; colour follows ``NO_COLOR`` and ``FORCE_COLOR``.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import Interrupted

if TYPE_CHECKING:
    from kitbag_bundles.errors import KitbagError

_PATIENCE = 1.0
_REFRESH = 0.1
_CODES = {"red": "31", "yellow": "33", "green": "32", "bold": "1"}
_PAINT = re.compile(r"(\033\[(?:31|33|32|1|0)m)")


def wants_color(stream: Any) -> bool:
    """Whether to colour what goes to ``stream``; https://no-color.org and https://force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def paint(text: str, color: str, stream: Any) -> str:
    """``text`` in ``color`` where ``stream`` takes colours."""
    return f"\033[{_CODES[color]}m{text}\033[0m" if wants_color(stream) else text


def show_error(error: KitbagError, *, as_json: bool) -> int:
    """Write one line to stderr, and an object to stdout if asked; returns the exit status."""
    label = paint("error:", "red", sys.stderr)
    _write_stderr(f"kitbag: {label} {_printable(str(error))}\n")
    if as_json:
        write_json({"error": error.table()})
    return error.exit_status


def write_json(value: object) -> None:
    """Write ``value`` to stdout as one JSON document."""
    import json

    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def write_line(text: str) -> None:
    """Write a result to stdout; control characters and what the encoding lacks are escaped."""
    sys.stdout.write(_visible(text, sys.stdout) + "\n")


def human_size(count: int) -> str:
    """``count`` bytes for people: ``27.7 MB``, in powers of ten."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if round(size, 1) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def stop_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into :class:`Interrupted`, so that they end the work in order."""

    def stop(number: int, frame: object) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}; nothing is left half done")

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


class TerminalReporter:
    """A :class:`kitbag_bundles.reporting.Reporter` that writes to stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: _Bar | None = None

    def info(self, message: str) -> None:
        """Show ``message``, unless quiet."""
        if not self._quiet:
            self._write(message)

    def warn(self, message: str) -> None:
        """Show ``message`` as a warning."""
        self._write(f"{paint('warning:', 'yellow', sys.stderr)} {message}")

    def progress(self, label: str, total: int) -> _Bar:
        """A bar for ``total`` bytes of work."""
        self._bar = _Bar(label, total, shown=not self._quiet and sys.stderr.isatty())
        return self._bar

    def close(self) -> None:
        """Take a bar that is still there away."""
        if self._bar is not None:
            self._bar.clear()

    def _write(self, message: str) -> None:
        self.close()
        _write_stderr(f"kitbag: {_printable(message)}\n")


class _Bar:
    def __init__(self, label: str, total: int, *, shown: bool) -> None:
        self._label = label
        self._total = total
        self._shown = shown
        self._done = 0
        self._started = time.monotonic()
        self._next = self._started + _PATIENCE
        self._drawn = False

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        self.clear()
        self._shown = False

    def advance(self, count: int) -> None:
        self._done += count
        if self._shown:
            now = time.monotonic()
            if now >= self._next:
                self._next = now + _REFRESH
                self._draw(now)

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self._drawn = False

    def _draw(self, now: float) -> None:
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        rate = self._done / max(now - self._started, 0.001)
        left = max(self._total - self._done, 0) / rate if rate else 0
        numbers = f"{share:4.0%}  {human_size(int(rate))}/s  {_clock(left)} left"
        import shutil

        width = shutil.get_terminal_size().columns - 1
        room = max(min(width - len(self._label) - len(numbers) - 6, 30), 0)
        filled = int(share * room)
        bar = f"[{'=' * filled}{' ' * (room - filled)}]" if room > 4 else ""
        line = f"{self._label} {bar} {numbers}"[:width]
        sys.stderr.write(f"\r{line}\033[K")
        sys.stderr.flush()
        self._drawn = True


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _printable(text: str) -> str:
    return _visible(" ".join(text.split("\n")), sys.stderr)


def _visible(text: str, stream: Any) -> str:
    """``text`` without what would steer a terminal: names and texts come from anywhere."""
    if not text.isprintable():
        pieces = _PAINT.split(text)
        text = "".join(
            piece if number % 2 else "".join(map(_shown, piece))
            for number, piece in enumerate(pieces)
        )
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _shown(character: str) -> str:
    if character.isprintable() or "\ud800" <= character <= "\udfff":
        return character
    return character.encode("unicode_escape").decode("ascii")


def _write_stderr(text: str) -> None:
    # Where nobody can be told, the work itself still counts.
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
