"""Runs kitbag's command line: in this process, and as the program that people start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import kitbag_packer.cli

if TYPE_CHECKING:
    import pytest


class Done(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def run_kitbag(capfd: pytest.CaptureFixture[str], *arguments: object) -> Done:
    """Run ``kitbag`` in this process; signals are treated afterwards as they were before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    capfd.readouterr()
    try:
        status = kitbag_packer.cli.main([str(argument) for argument in arguments])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.stdout.flush()
    return Done(status, *capfd.readouterr())


def start_kitbag(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start ``kitbag`` as a process of its own."""
    environment = {**os.environ, **options.pop("env", {})}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", "kitbag_packer", *map(str, arguments)],
        env=environment,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )
