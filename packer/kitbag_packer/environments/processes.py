"""Programs that build: started from any thread, their output kept, all of them ended at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Ran(NamedTuple):
    """What came of a program."""

    status: int
    """Its exit status."""
    out: str
    """What it wrote, errors among the rest, in their order."""


class Processes:
    """Runs programs; :meth:`stop` ends those that run, with all that they started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ran:
        """Run ``command`` in ``folder`` to its end.

        Raises :class:`UsageError` for a program that does not start, :class:`Interrupted` once
        stopped.
        """
        try:
            with self._lock:
                if self._stopped:
                    raise _interrupted()
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    # A group of its own, so that compilers end with the backend that runs them.
                    start_new_session=True,
                )
                self._running.add(process)
        except OSError as error:
            raise UsageError(
                f"{command[0]} can't be started ({error.strerror or error}); install it anew, or "
                "give another one the first place on PATH"
            ) from None
        with process:
            try:
                out, _ = process.communicate()
            except BaseException:
                _end(process)
                raise
            finally:
                with self._lock:
                    self._running.discard(process)
        if self._stopped:
            raise _interrupted()
        return Ran(process.returncode, out.decode("utf-8", "replace"))

    def stop(self) -> None:
        """End what runs, and let nothing start any more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _interrupted() -> Interrupted:
    return Interrupted("stopped while a wheel was being built; nothing of it is left")
