"""Lines that are drawn again and again at the end of a terminal, and messages above them.

``rich`` is imported when the first line is drawn: quick work never does.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.terminal import wants_color
from kitbag_packer.cli.progress.layout import Row, Space
from kitbag_packer.cli.progress.output import Output, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_MOST_LINES = 20


class Display:
    """Some lines that are drawn again and again, and messages above them; for any thread."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.RLock()
        self._console: Console | None = None
        self._live: Live | None = None
        self._drawn: Any = None

    @property
    def shown(self) -> bool:
        """Whether something is drawn."""
        return self._live is not None

    def space(self) -> Space:
        """What the terminal offers now; there is always one line and one column."""
        with self._lock:
            if self._console is None:
                self._console = self._open()
            size = self._console.size
        plain = not self._output.encoding.lower().replace("-", "").startswith("utf")
        # The last column and the last line stay free: some terminals scroll for either.
        height = min(size.height - 2, _MOST_LINES)
        return Space(max(size.width - 1, 1), max(height, 1), plain)

    def draw(self, rows: list[Row], width: int) -> None:
        """Show ``rows`` in the place of those before."""
        with self._lock:
            if (rows, width) == self._drawn:
                return
            if self._live is None:
                self._live = self._start()
            self._drawn = (rows, width)
            from rich.console import Group

            self._live.update(Group(*map(_line, rows)), refresh=True)

    def line(self, message: str, kind: str = "") -> None:
        """Show one whole line above what is drawn."""
        row: Row = (("kitbag: ", ""), *(((kind, "yellow"), (" ", "")) if kind else ()))
        row += ((printable(message), ""),)
        with self._lock:
            if self._live is not None and self._console is not None:
                self._console.print(_text(row), soft_wrap=True)
            elif kind and wants_color(self._output.stream):
                self._output.write(f"kitbag: \033[33m{kind}\033[0m {row[-1][0]}\n")
            else:
                self._output.write("".join(text for text, _ in row) + "\n")

    def close(self) -> None:
        """Take away what is drawn."""
        with self._lock:
            live, self._live, self._drawn = self._live, None, None
            if live is None:
                return
            atexit.unregister(self.close)
            try:
                with contextlib.suppress(Exception):
                    live.stop()
            finally:
                self._output.write("\033[?25h" if sys.platform != "win32" else "")

    def _open(self) -> Console:
        from rich.console import Console

        color = wants_color(self._output.stream)
        return Console(
            file=self._output,  # type: ignore[arg-type]
            force_terminal=True,
            force_interactive=True,
            force_jupyter=False,
            color_system="auto" if color else None,
            no_color=not color,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def _start(self) -> Live:
        from rich.live import Live

        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        # Whatever ends the program, the cursor comes back.
        atexit.register(self.close)
        live.start()
        return live


def _text(row: Row) -> Text:
    from rich.text import Text

    return Text.assemble(*row)


def _line(row: Row) -> Text:
    text = _text(row)
    text.no_wrap, text.overflow = True, "crop"
    return text
