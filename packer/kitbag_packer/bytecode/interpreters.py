"""Asks an interpreter which bytecode it makes, and finds those of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_bundles.keys import BuildKey

_PATIENCE = 30
"""Seconds."""

# The magic number is all that counts for reading bytecode; its other two bytes are a line end.
_QUESTION = r"""
import importlib.util, json, sys
kind = sys.implementation
version = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info[3] != "final":
    version += {"alpha": "a", "beta": "b"}.get(sys.version_info[3], "rc") + str(sys.version_info[4])
print(json.dumps({
    "implementation": kind.name,
    "version": version,
    "release": ".".join(map(str, getattr(sys, "pypy_version_info", ())[:3])),
    "free_threaded": hasattr(sys, "_is_gil_enabled") and "free-threading" in sys.version,
    "magic": int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little"),
    "tag": kind.cache_tag or "",
    "about": sys.version,
    "path": sys.executable,
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """One interpreter that starts, by what it says about itself."""

    implementation: str
    version: str
    """``3.13.5``, ``3.14.0rc1``."""
    release: str
    """PyPy's own, ``7.3.19``; empty for others."""
    free_threaded: bool
    magic: int
    """The first two bytes of its compiled files, little-endian."""
    tag: str
    """The cache tag in their names; never empty."""
    about: str
    """``sys.version``: the compiler and the day of the build, too."""
    path: str

    @property
    def name(self) -> str:
        """What a manifest calls it: ``cpython-3.13.5``, ``pypy-3.11.11 (7.3.19)``."""
        release = f" ({self.release})" if self.release else ""
        variant = "+freethreaded" if self.free_threaded else ""
        return f"{self.implementation}-{self.version}{variant}{release}"


def ask(program: str | os.PathLike[str]) -> Interpreter | None:
    """Start ``program`` once; ``None`` for what does not answer as an interpreter does."""
    try:
        ran = subprocess.run(
            [os.fspath(program), "-I", "-S", "-B", "-c", _QUESTION],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=True,
            env=_environment(os.environ),
        )
        answer: dict[str, Any] = json.loads(ran.stdout)
        found = Interpreter(**answer)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None
    return found if found.tag and 0 < found.magic <= 0xFFFF else None


def on_this_machine(key: BuildKey) -> Iterator[Interpreter]:
    """Interpreters that may make bytecode for ``key``, best guess first.

    The one that runs kitbag, then those on ``PATH`` by their usual names; a virtual environment's
    and a launcher (pyenv's) answer for what is behind them. Each is started when it is its turn.
    """
    seen: set[tuple[str, str]] = set()
    for program in dict.fromkeys(_programs(key)):
        found = ask(program)
        if found is not None and (found.about, found.path) not in seen:
            seen.add((found.about, found.path))
            yield found


def _programs(key: BuildKey) -> Iterator[str]:
    if sys.executable and sys.implementation.name == key.implementation:
        yield sys.executable
    base = {"cpython": "python"}.get(key.implementation, key.implementation)
    minor = key.version.minor_text
    names = [f"{base}{minor}{key.abi_flags}", f"{base}{minor}", f"{base}{minor}t"]
    suffix = ".exe" if os.name == "nt" else ""
    for name in dict.fromkeys(names):
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
            path = os.path.join(folder, f"{name}{suffix}")
            if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
                yield path


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
