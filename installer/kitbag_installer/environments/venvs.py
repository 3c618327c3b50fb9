"""The empty environment as the interpreter's own ``venv`` makes it, written for its final place.

For implementations whose environments only they know how to make, and for Windows. It is made
beside the tree that the wheels are unpacked to and then brought under it, so that neither writes
over the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import SmokeTestFailed
from kitbag_bundles.implementations import implementation_of
from kitbag_installer.environments.skeleton import Laid, check_free

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.environments.layout import Layout

_PROGRAM = """
import os, sys, venv
tree, home, name = sys.argv[1:]
os.umask(0o022)
builder = venv.EnvBuilder(symlinks=os.name != "nt", prompt=name)
context = builder.ensure_directories(tree)
builder.create_configuration(context)
builder.setup_python(context)
# From here on it is written for the place where it is going to be.
context.env_dir, context.env_name = home, name
for attribute in ("env_exe", "env_exec_cmd"):
    path = getattr(context, attribute, "")
    if path.startswith(tree):
        setattr(context, attribute, home + path[len(tree):])
builder.setup_scripts(context)
"""
_TIMEOUT = 120.0
_LEFT_OUT = ("command", "executable")
"""Of ``pyvenv.cfg``: nobody needs them, and they name the place where it was made, and the patch
that a later one follows."""


def make_by_venv(key: BuildKey, base: str, tree: str, home: str, name: str) -> None:
    """Make an environment of the build ``key`` at ``tree``, a new path, for its place at ``home``.

    ``base`` is where the interpreter is found. Raises :class:`SmokeTestFailed` if that fails.
    """
    import subprocess

    adapter = implementation_of(key)
    program = os.path.join(base, adapter.executable(key))
    environment = {
        variable: value for variable, value in os.environ.items() if variable[:6] != "PYTHON"
    }
    try:
        done = subprocess.run(
            [program, "-I", "-S", "-B", "-c", _PROGRAM, tree, home, name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
        said, status = done.stdout.decode("utf-8", "replace").strip(), done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        said, status = str(error), 1
    if status:
        last = said.splitlines()[-1:] or [f"status {status}"]
        raise SmokeTestFailed(
            f"{name}: {key} makes no virtual environment ({last[0]}); pack a build that does"
        )
    _settle(tree, base, home)


def _settle(tree: str, base: str, home: str) -> None:
    """Take out of ``pyvenv.cfg`` what would mislead later."""
    path = os.path.join(tree, "pyvenv.cfg")
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().splitlines()
    kept = [line for line in lines if line.partition("=")[0].strip() not in _LEFT_OUT]
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write("".join(f"{line.replace(tree, home)}\n" for line in kept))


def lay_under(skeleton: str, tree: str, layout: Layout) -> Laid:
    """Move everything in ``skeleton`` into ``tree``, where nothing of it may be yet.

    Raises :class:`ArchiveError` where a wheel wrote what belongs to the environment itself.
    """
    laid = Laid([], [], [])
    for path, is_folder in _walk(skeleton, ""):
        source, target = os.path.join(skeleton, path), os.path.join(tree, path)
        if is_folder:
            if not os.path.isdir(target) or os.path.islink(target):
                os.mkdir(target, 0o755)
            continue
        check_free(tree, path)
        os.rename(source, target)
        if os.path.islink(target):
            laid.links.append(path)
        else:
            laid.files.append(path)
            if path == "pyvenv.cfg" or path.startswith(f"{layout.programs}/"):
                laid.placed.append(path)
    return laid


def _walk(folder: str, path: str) -> Iterator[tuple[str, bool]]:
    with os.scandir(os.path.join(folder, path)) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        inside = f"{path}/{entry.name}" if path else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        yield inside, is_folder
        if is_folder:
            yield from _walk(folder, inside)
