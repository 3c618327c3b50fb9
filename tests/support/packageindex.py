"""The package index that this machine has, for tests that need real packages.

The tests' own surroundings keep uv and pip off the network; these let them reach what the machine
is configured for.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.indexes import index_settings

from .require import require
from .uvtool import uv_program

if TYPE_CHECKING:
    from pathlib import Path

_OURS = ("UV_OFFLINE", "UV_NO_CONFIG", "PIP_NO_INDEX")


class PackageIndex(NamedTuple):
    """Surroundings in which uv and kitbag reach the index."""

    environ: dict[str, str]
    options: tuple[str, ...]
    """What uv has to be given on its command line beside them."""

    def uv(
        self, *words: str | Path, cwd: Path, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run uv in ``cwd``, however it ends."""
        return subprocess.run(
            [uv_program(), *words, *self.options],
            input=given,
            cwd=cwd,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )


def reachable_index(folder: Path) -> PackageIndex:
    """Return it, with a cache in ``folder``; without one the test is skipped."""
    environ = {name: value for name, value in os.environ.items() if name not in _OURS}
    variables, options = index_settings(folder, Accounts(), environ)
    environ = {
        **environ,
        **variables,
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    index = PackageIndex(environ, options)
    done = index.uv("pip", "compile", "-", "--no-header", cwd=folder, given="wheel\n")
    require(done.returncode == 0, "a package index that uv can reach")
    return index
