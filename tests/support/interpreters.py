"""The CPython interpreters of this machine, from which the tests make real archives."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Taken when the tests are collected: each test sees an empty home of its own.
_HOME = Path("~").expanduser()
_PATH = os.environ.get("PATH", os.defpath)

_PROBE = """
import json, os, platform, sys, sysconfig
names = ("Py_ENABLE_SHARED", "MULTIARCH", "abs_srcdir", "Py_GIL_DISABLED", "Py_DEBUG")
print(json.dumps({
    "base": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
    "version": sys.version_info[:3], "full": platform.python_version(),
    "implementation": platform.python_implementation(), "prefix": sys.base_prefix,
    "build_prefix": sysconfig.get_config_var("prefix"), "machine": platform.machine(),
    "stdlib": sysconfig.get_path("stdlib"),
    "variables": {name: sysconfig.get_config_var(name) for name in names},
}))
"""


class Interpreter(NamedTuple):
    """One CPython, asked once about itself."""

    path: Path  # the real executable of the base installation, never a virtual environment's
    version: tuple[int, int, int]
    full_version: str  # "3.13.0", "3.14.0rc1"
    prefix: Path
    stdlib: Path
    machine: str
    shared: bool  # built with --enable-shared
    free_threaded: bool
    debug: bool
    build_folder: str  # where it was compiled, as its sysconfig remembers

    @property
    def minor(self) -> str:
        """`3.13`."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def library_name(self) -> str:
        """`python3.13`, with a `t` for the free-threaded build: the name below `lib`."""
        return f"python{self.minor}{'t' if self.free_threaded else ''}"

    @property
    def executable_name(self) -> str:
        """`python3.13`, with the suffixes `t` and `d`: the name below `bin`."""
        return f"{self.library_name}{'d' if self.debug else ''}"

    @property
    def triple(self) -> str:
        """Upstream's name of this machine as a target: `x86_64-unknown-linux-gnu`."""
        return f"{self.machine}-unknown-linux-gnu"

    @property
    def unsuitable(self) -> str:
        """Why no PBS-shaped archive can be made of it; empty if one can."""
        if str(self.prefix) == "/usr":
            return "a distribution's Python shares /usr and is patched for it"
        if self.stdlib != self.prefix / "lib" / self.library_name:
            return f"its standard library is not in {self.prefix / 'lib' / self.library_name}"
        if not (self.stdlib / "os.py").is_file():
            return "its standard library is not made of files"
        if self.path.parent != self.prefix / "bin":
            return f"its executable is not in {self.prefix / 'bin'}"
        return ""


def probe(executable: Path) -> Interpreter | None:
    """Run `executable` once and describe it; None if it does not run or is no CPython."""
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", _PROBE], capture_output=True, timeout=30, check=True
        )
        facts: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if facts["implementation"] != "CPython":
        return None
    variables = facts["variables"]
    major, minor, micro = facts["version"]
    return Interpreter(
        path=Path(facts["base"]),
        version=(major, minor, micro),
        full_version=facts["full"],
        prefix=Path(facts["prefix"]),
        stdlib=Path(facts["stdlib"]),
        machine=facts["machine"],
        shared=bool(variables["Py_ENABLE_SHARED"]),
        free_threaded=bool(variables["Py_GIL_DISABLED"]),
        debug=bool(variables["Py_DEBUG"]),
        build_folder=variables["abs_srcdir"] or "",
    )


def _candidates() -> Iterator[Path]:
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    yield base if base.exists() else Path(sys.executable)

    def number(folder: Path) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", folder.name)]

    name = re.compile(r"python3(\.\d+t?d?)?")
    for folder in sorted(_HOME.glob(".pyenv/versions/*"), key=number, reverse=True):
        yield from sorted(p for p in folder.glob("bin/python3.*") if name.fullmatch(p.name))
    for part in dict.fromkeys([*_PATH.split(os.pathsep), "/usr/bin"]):
        if part and not part.endswith("/shims"):  # pyenv's shims lead to what was seen already
            yield from sorted(p for p in Path(part).glob("python3*") if name.fullmatch(p.name))


@functools.cache
def _all_interpreters() -> tuple[Interpreter, ...]:
    found: dict[Path, Interpreter] = {}
    asked: set[Path] = set()
    for candidate in _candidates():
        real = candidate.resolve()
        # A virtual environment's python resolves to its base as well, which is what is wanted.
        if real in asked or not os.access(real, os.X_OK):
            continue
        asked.add(real)
        interpreter = probe(real)
        if interpreter is not None:
            found.setdefault(interpreter.path, interpreter)
    return tuple(found.values())


def find_interpreters(minimum: tuple[int, int] = (3, 8)) -> list[Interpreter]:
    """Return the CPythons of this machine, the one that runs the tests first.

    The others follow: those of `~/.pyenv`, newest first, then those on PATH and in `/usr/bin`.
    Each is run once per process.
    """
    return [one for one in _all_interpreters() if one.version[:2] >= minimum]


def running_interpreter() -> Interpreter:
    """Return the interpreter (its base installation) that runs the tests."""
    return _all_interpreters()[0]


def packable_interpreters(minimum: tuple[int, int] = (3, 8)) -> list[Interpreter]:
    """Return those of `find_interpreters` from which a PBS-shaped archive can be made."""
    return [one for one in find_interpreters(minimum) if not one.unsuitable]
