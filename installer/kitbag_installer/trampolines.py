"""Commands that are small scripts, for interpreters that a link would mislead.

A virtual environment notes the directory of the command that made it. An interpreter looks there
for its library, and where that directory is full of links, it finds none; python-build-standalone
has mended this in its builds since December 2025, CPython itself has not in all its versions.
A script that hands over to the interpreter's real place leaves no doubt about it. On Windows, where
links need a privilege, every command is one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_installer.commit import remove_tree
from kitbag_installer.files import replace_file
from kitbag_installer.platforms import MARK, this_system

if TYPE_CHECKING:
    from kitbag_installer.roots import Root

_LARGEST = 8192
_TIMEOUT = 60.0
_PROGRAM = "import os, sys; sys.stdout.buffer.write(os.fsencode(sys.base_prefix))"


def misled_by_links(root: Root, program: str) -> bool:
    """Whether an environment that was made through a link to ``program`` would be lost.

    Finds out by making the least of such environments, below the root's temporary directory.
    """
    if not this_system.LINKS_PROGRAMS:
        return True
    folder = root.scratch("probe")
    name = os.path.basename(program)
    inside = os.path.join(folder, "env", "bin", name)
    try:
        os.makedirs(os.path.dirname(inside))
        os.symlink(program, os.path.join(folder, name))
        os.symlink(os.path.join(folder, name), inside)
        with open(os.path.join(folder, "env", "pyvenv.cfg"), "w", encoding="utf-8") as file:
            file.write(f"home = {folder}\n")
        own = _base_prefix(program)
        # What does not start in its own place either has another trouble. One that starts may
        # have found the library of its compiled-in prefix, where that is on this machine.
        return os.path.isdir(own) and not _same_place(own, _base_prefix(inside))
    finally:
        remove_tree(folder)


def _base_prefix(program: str) -> str:
    """Where the interpreter finds its library; empty if it does not start."""
    import subprocess

    try:
        done = subprocess.run(
            [program, "-I", "-S", "-B", "-c", _PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode or b"\0" in done.stdout else os.fsdecode(done.stdout)


def _same_place(one: str, other: str) -> bool:
    return bool(other) and os.path.realpath(one) == os.path.realpath(other)


def write_trampoline(root: Root, target: str, path: str) -> None:
    """Make ``path`` a script that runs ``target``; raises :class:`OSError`."""
    replace_file(root, path, this_system.command_script(target, MARK), 0o755)


def trampoline_target(path: str) -> str:
    """What the script at ``path`` runs; empty if it is not one of ours."""
    if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > _LARGEST:
        return ""
    with open(path, "rb") as file:
        return this_system.command_target(file.read(), MARK)
