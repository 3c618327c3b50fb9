"""Looks for the programs that some builds run in: Node.js for Pyodide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitbag_bundles.implementations import Program

_TIMEOUT = 20.0


def lacking(program: Program) -> str:
    """What is wrong with ``program`` on this machine, as a clause; empty if nothing is.

    It is looked for on ``PATH``, as the build itself will, and asked for its version.
    """
    import shutil
    import subprocess

    needed = f"it runs in {program.title} {program.least} or newer"
    path = shutil.which(program.name)
    if path is None:
        return f"{needed}, and there is no {program.name} on PATH"
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"{needed}, and {path} does not start"
    said = done.stdout.decode("utf-8", "replace").strip()
    found = re.match(r"v?(\d{1,9})\b", said)
    if found is None or done.returncode:
        return f"{needed}, and {path} does not tell its version"
    return f"{needed}, and {path} is {said[:40]}" if int(found.group(1)) < program.least else ""
