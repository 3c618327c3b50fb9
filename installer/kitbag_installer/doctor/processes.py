"""Programs that are given a limited time, and that end when the doctor does.

Each gets a session of its own where the system has such: a compiler that an interpreter started
ends with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO, Any

_PATIENCE = 5.0
"""Seconds for a program that was killed to be gone."""
_LEFT_OUT = ("PYTHON", "__PYVENV_LAUNCHER__")


class Done(NamedTuple):
    """What came of a program; ``status`` is ``None`` if its time was up."""

    status: int | None
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line of what it complained, or else said."""
        return _last(self.err) or _last(self.out)


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()


def plain_environment(environ: Mapping[str, str], scratch: str) -> dict[str, str]:
    """``environ`` without what is meant for other Pythons; temporary files go to ``scratch``."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_LEFT_OUT)}
    return {**kept, "TMPDIR": scratch, "TEMP": scratch, "TMP": scratch}


class Children:
    """The programs that are running, from whatever thread they were started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self, command: Sequence[str], scratch: str, environ: Mapping[str, str], limit: float
    ) -> Done:
        """Run ``command`` in ``scratch`` for at most ``limit`` seconds; raises :class:`OSError`."""
        process = self.start(command, scratch, environ, subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=limit)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            _kill(process)
            out, err, status = b"", b"", None
            _drain(process)
        finally:
            self.end(process)
        return Done(status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def start(
        self,
        command: Sequence[str],
        scratch: str,
        environ: Mapping[str, str],
        errors: int | IO[bytes],
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` with a pipe for what it says; raises :class:`OSError`."""
        with self._lock:
            if self._stopped:
                raise Interrupted("interrupted")
            options: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                **options,
            )
            self._running.add(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End it and what it started, and wait until it is gone."""
        _kill(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_PATIENCE)
        self.forget(process)

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """It has ended."""
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """End everything, and let nothing more be started."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


def _drain(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        # Somebody holds its pipes who is beyond our reach, or it waits for a dead server.
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
