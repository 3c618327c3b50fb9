"""Runs kitbag as people do, and says what a well-behaved refusal looks like.

``call`` stays in this process and is quick enough for hundreds of tries; ``run`` starts a process
of its own, for everything that has to do with signals, limits and open files.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import kitbag_bundles
import kitbag_installer
import kitbag_packer
import kitbag_packer.cli

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SOURCES = [
    str(Path(package.__file__ or "").parent.parent)
    for package in (kitbag_packer, kitbag_installer, kitbag_bundles)
]


def _command(package: str, *options: str) -> tuple[str, ...]:
    program = f"import sys; sys.path[:0] = {_SOURCES!r}; from {package}.cli import main"
    return (sys.executable, *options, "-c", f"{program}; sys.exit(main())")


# Without site: the target side must do with the standard library, and it starts quicker.
TARGET_SIDE = _command("kitbag_installer", "-S", "-B")
BOTH_SIDES = _command("kitbag_packer", "-B")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ran(NamedTuple):
    """What came of one command."""

    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that tell of an error."""
        return [line for line in self.err.splitlines() if line.startswith("kitbag: error: ")]


def environment(**changes: str | None) -> dict[str, str]:
    """The environment of a command; None takes a variable away."""
    merged: dict[str, str | None] = {**os.environ, "PYTHONHASHSEED": "0", **changes}
    return {name: value for name, value in merged.items() if value is not None}


def run(
    *arguments: str | Path,
    command: Sequence[str] = TARGET_SIDE,
    before: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
    stdout: int = subprocess.PIPE,
) -> Ran:
    """Run ``command`` with ``arguments`` in a process, below the command ``before`` if any."""
    done = subprocess.run(
        [*before, *command, *map(os.fspath, arguments)],
        env=dict(env) if env is not None else environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=timeout,
        check=False,
    )
    out, err = ((each or b"").decode("utf-8", "replace") for each in (done.stdout, done.stderr))
    return Ran(done.returncode, out, err)


def start(
    *arguments: str | Path,
    command: Sequence[str] = TARGET_SIDE,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with pipes for its output."""
    return subprocess.Popen(
        [*command, *map(os.fspath, arguments)],
        env=dict(env) if env is not None else environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes], timeout: float = 120) -> Ran:
    """Wait for what ``start`` started."""
    out, err = process.communicate(timeout=timeout)
    return Ran(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def call(*arguments: str | Path) -> Ran:
    """Run the command line in this process; signal handlers are as before when it returns."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2)]
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            status = kitbag_packer.cli.main([os.fspath(each) for each in arguments])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]
    return Ran(status, texts[0], texts[1])


def assert_refused(ran: Ran, status: int, *words: str) -> None:
    """The command failed with ``status`` and one clear line that has all ``words`` in it."""
    assert ran.status == status, ran
    assert "Traceback" not in ran.err, ran.err
    assert "internal error" not in ran.err, ran.err
    assert len(ran.errors) == 1, ran.err
    line = ran.errors[0]
    assert len(line) > len("kitbag: error: ") + 20, line
    for word in words:
        assert word in line, line


def assert_done(ran: Ran) -> None:
    """The command succeeded and had nothing to complain about."""
    assert ran.status == 0, ran
    assert not ran.errors, ran
    assert "Traceback" not in ran.err, ran.err
