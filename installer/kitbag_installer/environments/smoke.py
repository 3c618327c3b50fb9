"""The smoke test of an environment: its own interpreter must start, with every ``.pth`` file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import SmokeTestFailed

if TYPE_CHECKING:
    import subprocess

_QUESTION = """
import os, sys
sys.stdout.buffer.write(b"\\n" + os.fsencode(sys.prefix) + b"\\0" + os.fsencode(sys.base_prefix))
"""
_TIMEOUT = 120.0


class Started:
    """The interpreter of an environment while it starts; a context manager that ends it."""

    def __init__(self, name: str, program: str) -> None:
        """Start ``program``, the interpreter of the environment ``name``.

        Raises :class:`SmokeTestFailed` where it can't be started.
        """
        import subprocess

        self._name = name
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [program, "-I", "-B", "-c", _QUESTION],
                env={key: value for key, value in os.environ.items() if key[:6] != "PYTHON"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise SmokeTestFailed(
                f"{name}: its interpreter can't be started ({error.strerror})"
            ) from None

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *exc: object) -> None:
        # What a .pth file left running may hold the pipes open for long.
        with self._process:
            if self._process.poll() is None:
                self._process.kill()

    def check(self, tree: str, base: str) -> None:
        """It must take ``tree`` for its place, and ``base`` for that of its interpreter.

        Raises :class:`SmokeTestFailed`.
        """
        import subprocess

        try:
            out, err = self._process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise SmokeTestFailed(
                f"{self._name}: its interpreter did not answer within {_TIMEOUT:g} seconds"
            ) from None
        if self._process.returncode:
            last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
            why = last[0] if last else f"status {self._process.returncode}"
            raise SmokeTestFailed(f"{self._name}: its interpreter does not run ({why})")
        # What a .pth file wrote comes before.
        prefix, _, base_prefix = out.rpartition(b"\n")[2].partition(b"\0")
        for told, place in ((prefix, tree), (base_prefix, base)):
            if os.path.realpath(os.fsdecode(told)) != os.path.realpath(place):
                raise SmokeTestFailed(
                    f"{self._name}: its interpreter takes {os.fsdecode(told)!r} for {place!r}"
                )
