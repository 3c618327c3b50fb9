"""The steps of the journey, for tests that take them on real builds."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .cli import BOTH_SIDES, Ran, assert_done, call
from .cli import run as run_kitbag
from .installed import Tree, bare_environment
from .sharing import shared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

ODD = "ein Örtchen für '$x' 東"
"""A folder's name with blanks, quotes, a dollar and letters outside of ASCII."""

# They leave nothing behind in the process that runs them, and need not start one.
_QUICK = frozenset({"installed", "pack", "show", "verify"})


def kitbag(*arguments: str | Path) -> str:
    """Run kitbag, which must be content, and return its stdout."""
    if arguments[0] in _QUICK:
        done = call(*arguments)
    else:
        done = run_kitbag(*arguments, command=BOTH_SIDES)
    assert_done(done)
    return done.out


def by_bundle(
    python: Path, bundle: Path, *arguments: str | Path, before: Sequence[str] = ()
) -> Ran:
    """Run a bundle by a Python that has nothing of kitbag, in an environment that has nothing."""
    done = subprocess.run(
        [*before, python, "-I", "-S", bundle, *arguments],
        env=bare_environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=240,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def only_build(root: Path) -> Tree:
    """Return the one build that is installed in `root`."""
    (home,) = (path for path in root.iterdir() if "-linux-" in path.name and not path.is_symlink())
    return Tree(home)


def shared_bundle(factory: pytest.TempPathFactory, name: str, archive: Path) -> Path:
    """Return a bundle of `archive`, packed once in a test run. Read only."""
    place = shared(
        factory, name, lambda folder: kitbag("pack", "--from", archive, "-o", folder / name)
    )
    return place / name
