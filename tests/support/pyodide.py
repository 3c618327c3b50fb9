"""Pyodide's cross-build environment, made from the real Pyodide that npm carries.

Its package has the interpreter and the standard library; what upstream's archive has beside them,
the script that starts it from a shell, is a stand-in that does the same: it finds its folder, hands
the arguments to Node.js, and Pyodide runs them as Python's command line with the machine's folders
in its own file system.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import cache
from .members import Member, below, program, text, write_archive
from .require import require, require_command

# Taken when the tests are collected: npm's settings are in the real home.
_HOME = os.environ.get("HOME", "/")
_PACKAGE = "pyodide@314"

_START = """\
#!/usr/bin/env bash
folder=$(dirname "$(realpath "$0")")
exec node "$folder/python_cli_entry.mjs" "$(realpath -s "$0")" "$@"
"""
_ENTRY = """\
import { readdirSync } from "node:fs";
import { loadPyodide } from "./pyodide.mjs";

const [executable, ...args] = process.argv.slice(2);
const own = new Set(["dev", "lib", "proc"]);

function showFolders(system) {
  for (const name of readdirSync("/").filter((each) => !own.has(each))) {
    system.mkdirTree(`/${name}`);
    system.mount(system.filesystems.NODEFS, { root: `/${name}` }, `/${name}`);
  }
}

try {
  const python = await loadPyodide({
    args,
    env: { ...process.env, HOME: process.cwd() },
    fsInit: showFolders,
    fullStdLib: false,
    _sysExecutable: executable,
  });
  python.setStdout();
  python.setStderr();
  const status = python._module._run_main();
  python._module._Py_FinalizeEx();
  process.exit(status);
} catch (problem) {
  if (problem.constructor.name !== "ExitStatus") throw problem;
  process.exit(problem.status);
}
"""


class Pyodide(NamedTuple):
    """The Pyodide that npm gave."""

    release: str  # its own, "314.0.7"
    version: str  # of the language, "3.14.2"
    package: Path

    @property
    def key(self) -> str:
        """The key of the build that is made of it."""
        return f"pyodide-{self.version}-emscripten-wasm32-musl"

    @property
    def filename(self) -> str:
        """Upstream's name of the archive."""
        return f"xbuildenv-{self.release}.tar.gz"


def _cache() -> Path:
    """Outside of the repository: what is in there is not ours."""
    return Path(tempfile.gettempdir(), f"kitbag-npm-{os.getuid()}")


@functools.cache
def _fetch() -> Path | None:
    """The package as npm packs it, fetched once; None if npm can't have it."""
    folder = _cache()
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        return None
    with cache.locked(folder / "lock"):
        found = sorted(folder.glob("pyodide-*.tgz"))
        if found:
            return found[-1]
        partial = folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        done = subprocess.run(
            ["npm", "pack", "--silent", _PACKAGE],
            cwd=partial,
            env={**os.environ, "HOME": _HOME},
            capture_output=True,
            timeout=300,
            check=False,
        )
        made = sorted(partial.glob("pyodide-*.tgz"))
        if done.returncode or not made:
            return None
        return made[-1].rename(folder / made[-1].name)


def real_pyodide() -> Pyodide:
    """Pyodide and the Node.js that it needs; without one the test is skipped."""
    for name in ("node", "npm", "bash"):
        require_command(name)
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    found = re.match(r"v(\d+)\.", said.stdout)
    require(found and int(found[1]) >= 18, "Node.js 18 or newer")
    package = _fetch()
    require(package, "npm's package pyodide")
    assert package is not None
    with tarfile.open(package) as archive:
        file = archive.extractfile("package/pyodide-lock.json")
        assert file is not None
        version = json.load(file)["info"]["python"]
    return Pyodide(package.name.removeprefix("pyodide-").removesuffix(".tgz"), version, package)


def make_pyodide_archive(pyodide: Pyodide) -> Path:
    """Return an archive with upstream's name. Kept between runs: read only."""
    digest = cache.digest_of_sources("pyodide.py", "members.py", "cache.py")

    def build(path: Path) -> None:
        write_archive(below("xbuildenv", _members(pyodide)), path, ".tar.gz")

    return cache.cached([digest, pyodide.filename], pyodide.filename, build)


def _members(pyodide: Pyodide) -> list[Member]:
    place = "pyodide-root/dist"
    members = [
        program(f"{place}/python", _START.encode()),
        text(f"{place}/python_cli_entry.mjs", _ENTRY),
        text("requirements.txt", "# stand-in\n"),
    ]
    with tarfile.open(pyodide.package) as archive:
        for info in archive:
            file = archive.extractfile(info)
            if file is not None:
                name = info.name.removeprefix("package/")
                members.append(Member(f"{place}/{name}", file.read()))
    return members
