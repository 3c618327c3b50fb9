"""One root that kitbag and the real uv share, with the small real build ready for both."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from .journey import kitbag, shared_bundle
from .uvtool import Uv, list_entry

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from .interpreters import Interpreter


class Both(NamedTuple):
    """Both tools on one root, with one bin directory."""

    root: Path
    bundle: Path
    uv: Uv
    key: str
    minor: str
    bin_dir: Path

    @classmethod
    def at(
        cls,
        folder: Path,
        factory: pytest.TempPathFactory,
        archive: Path,
        one: Interpreter,
        *newer: int,
    ) -> Both:
        """A root in ``folder`` that is not there yet.

        In uv's list the build is also there under ``newer`` numbers of its patch.
        """
        bundle = shared_bundle(factory, "slim.kitbag", archive)
        entry = list_entry(archive, one)
        entries = [entry, *({**entry, "patch": patch} for patch in newer)]
        uv = Uv.at(folder / "root", folder / "uv", *entries)
        key = f"cpython-{one.full_version}-linux-{one.machine}-gnu"
        return cls(folder / "root", bundle, uv, key, one.minor, uv.bin_dir)

    @property
    def home(self) -> Path:
        """Where the build is or will be."""
        return self.root / self.key

    @property
    def link(self) -> Path:
        """The minor-version link."""
        return self.root / f"cpython-{self.minor}-{self.key.split('-', 2)[2]}"

    def install(self, *options: str) -> str:
        """Let kitbag install it."""
        return kitbag(
            *("install", self.bundle, "--root", self.root, "--bin-dir", self.bin_dir, *options)
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        """What kitbag says is installed, by key."""
        table = json.loads(kitbag("installed", "--root", self.root, "--json"))
        return {row["key"]: row for row in table["builds"]}

    def listed(self) -> list[str]:
        """What uv says is installed."""
        return [item["key"] for item in self.uv.installed()]

    def prefix_of(self, python: str | Path) -> str:
        """Where an interpreter finds its library."""
        done = subprocess.run(
            [python, "-I", "-c", "import sys; print(sys.base_prefix)"],
            env=self.uv.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()
