"""Runs the real uv on a root, with a download list of local archives and without any network."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

from .require import require

if TYPE_CHECKING:
    from pathlib import Path

    from .interpreters import Interpreter


def uv_program() -> str:
    """Return the path of uv's binary; without it the test is skipped."""
    require(importlib.util.find_spec("uv"), "needs uv, of the dependency group test")
    from uv import find_uv_bin

    return str(find_uv_bin())


def list_entry(archive: Path, interpreter: Interpreter, build: str = "20260101") -> dict[str, Any]:
    """Return one entry of a download list, as uv's own list has them."""
    major, minor, patch = interpreter.version
    return {
        "name": "cpython",
        "arch": {"family": interpreter.machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": "file://" + urllib.parse.quote(str(archive)),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": "freethreaded" if interpreter.free_threaded else None,
        "build": build,
    }


class Uv(NamedTuple):
    """uv, bound to one root, one bin directory and one download list."""

    program: str
    root: Path
    bin_dir: Path
    cache: Path
    downloads: Path

    @classmethod
    def at(cls, root: Path, folder: Path, *entries: dict[str, Any]) -> Uv:
        """Return uv for `root`; whatever else it needs lies in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        downloads = folder / "downloads.json"
        downloads.write_text(json.dumps({str(n): entry for n, entry in enumerate(entries)}))
        return cls(uv_program(), root, folder / "bin", folder / "cache", downloads)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the surroundings but where this uv may work."""
        return {
            "PATH": f"{self.bin_dir}:/usr/bin:/bin",
            "HOME": os.environ["HOME"],
            "LC_ALL": "C.UTF-8",
            "UV_CACHE_DIR": str(self.cache),
            "UV_PYTHON_INSTALL_DIR": str(self.root),
            "UV_PYTHON_BIN_DIR": str(self.bin_dir),
            "UV_NO_CONFIG": "1",
            "UV_OFFLINE": "1",
        }

    def python(self, verb: str, *arguments: str) -> str:
        """Run `uv python VERB` and return its stdout."""
        extra = []
        if verb in ("install", "list", "find", "upgrade"):
            extra = ["--python-downloads-json-url", str(self.downloads)]
        return self.run("python", verb, *arguments, *extra)

    def run(self, *arguments: str | Path) -> str:
        """Run uv, which must succeed, and return its stdout."""
        done = subprocess.run(
            [self.program, *arguments, "--offline", "--no-progress"],
            env=self.environment,
            cwd=self.downloads.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"uv {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def installed(self) -> list[dict[str, Any]]:
        """Return what `uv python list` finds below the root, links left out."""
        text = self.python(
            "list", "--only-installed", "--managed-python", "--output-format", "json"
        )
        found: list[dict[str, Any]] = json.loads(text)
        return [item for item in found if str(item["path"]).startswith(f"{self.root}/")]
