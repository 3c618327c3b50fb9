"""How to put a directory on PATH in the shell at hand."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_START_UP_FILES = {
    "bash": "~/.bashrc",
    "zsh": "${ZDOTDIR:-~}/.zshrc",
    "ksh": "~/.kshrc",
    "mksh": "~/.mkshrc",
    "tcsh": "~/.tcshrc",
    "csh": "~/.cshrc",
    "pwsh": "$PROFILE",
    "powershell": "$PROFILE",
}
"""Read by every interactive shell of the kind; INVOCATION or FILES in their manuals."""


def is_on_path(folder: str, environ: Mapping[str, str]) -> bool:
    """Whether programs in ``folder`` are found by their names."""
    entries = environ.get("PATH", "").split(os.pathsep)
    return any(is_same(folder, entry) for entry in entries if entry)


def shell_at_hand(environ: Mapping[str, str]) -> str:
    """The name of the shell that ``SHELL`` names; without one ``sh``, PowerShell on Windows."""
    shell = os.path.basename(environ.get("SHELL", "")).removesuffix(".exe")
    return shell or ("powershell" if os.name == "nt" else "sh")


def path_command(folder: str, shell: str) -> str:
    """The command that puts ``folder`` first on PATH in ``shell``, one of its names or ``sh``."""
    if shell == "fish":
        # Remembered by itself, in a universal variable.
        quoted = folder.replace("\\", "\\\\").replace("'", "\\'")
        return f"fish_add_path '{quoted}'"
    if shell in ("csh", "tcsh"):
        quoted = shlex.quote(folder).replace("!", "\\!")
        return f'setenv PATH {quoted}:"$PATH"'
    if shell in ("pwsh", "powershell"):
        quoted = folder.replace("'", "''")
        return f"$env:PATH = '{quoted}' + [IO.Path]::PathSeparator + $env:PATH"
    return f'export PATH={shlex.quote(folder)}:"$PATH"'


def path_advice(folder: str, environ: Mapping[str, str]) -> str:
    """One line: ``folder`` is not on PATH, and what to do in the shell at hand."""
    shell = shell_at_hand(environ)
    command = path_command(folder, shell)
    if shell == "fish":
        return f"{folder} is not on PATH; this puts it there, for good: {command}"
    file = _START_UP_FILES.get(shell, "~/.profile")
    return f"{folder} is not on PATH; this puts it there, and in {file} for good: {command}"


def is_same(one: str, other: str) -> bool:
    """Whether two paths lead to the same; an entry of PATH may have a tilde."""
    try:
        return os.path.samefile(one, os.path.expanduser(other))
    except OSError:
        return False
