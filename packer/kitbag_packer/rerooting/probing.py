"""Ask an interpreter what it is and where its parts are.

The interpreter answers for itself, in isolated mode and without `site`, so nothing of its
environment (a `.pth`, `PYTHONPATH`, a `sitecustomize`) takes part. Everything else in this package
works from the answer and never guesses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_bundles.keys import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (3, 8)

# Runs on every Python since 2.7, so that an old one gets a message and no syntax error. The
# generated module is read directly: before 3.14 `sysconfig` lets it win over the real paths, and
# 3.14 hides its values behind them.
_PROBE = r"""
import json, os, sys
answer = {
    "implementation": getattr(getattr(sys, "implementation", None), "name", "unknown"),
    "version": list(sys.version_info),
}
if answer["implementation"] == "cpython" and sys.version_info >= (3, 8):
    import sysconfig
    try:
        generated = __import__(sysconfig._get_sysconfigdata_name())
        variables = generated.build_time_vars
    except Exception:
        variables = sysconfig.get_config_vars()
    paths = sysconfig.get_paths()
    scheme = getattr(sysconfig, "get_default_scheme", getattr(sysconfig, "_get_default_scheme", ""))
    answer.update(
        executable=sys.executable,
        prefix=sys.base_prefix,
        exec_prefix=sys.base_exec_prefix,
        abi_flags=getattr(sys, "abiflags", ""),
        library_folder=getattr(sys, "platlibdir", "lib"),
        debug=hasattr(sys, "gettotalrefcount"),
        free_threaded=bool(variables.get("Py_GIL_DISABLED")),
        standard_library=paths["stdlib"],
        headers=paths["include"],
        landmark=os.__file__,
        scheme=scheme() if scheme else "",
        variables=dict(
            (key, value) for key, value in variables.items() if isinstance(value, (int, str))
        ),
    )
sys.stdout.write(json.dumps(answer))
"""


@dataclass(frozen=True)
class Interpreter:
    """What an installed CPython says about itself; all paths are absolute, as it gave them.

    ``executable`` is the real file, never a virtual environment's; ``variables`` are the values
    of its generated ``_sysconfigdata``, with the paths of the place it was built for.
    """

    version: Version
    abi_flags: str
    debug: bool
    free_threaded: bool
    executable: Path
    prefix: str
    exec_prefix: str
    library_folder: str
    standard_library: str
    headers: str
    landmark: str
    scheme: str
    variables: Mapping[str, str | int]

    @property
    def name(self) -> str:
        """The executable's name in the tree: ``python3.13``, ``python3.13t``."""
        return f"python{self.version.minor_text}{self.abi_flags}"

    @property
    def variant(self) -> str:
        """The build key's variant."""
        parts = ["freethreaded"] * self.free_threaded + ["debug"] * self.debug
        return "+".join(parts)

    @property
    def library_name(self) -> str:
        """The folder of the standard library below `lib`: ``python3.13``, ``python3.13t``.

        Debug builds share it with the others; see `layout.standard_library`.
        """
        return f"python{self.version.minor_text}{'t' if self.free_threaded else ''}"

    def variable(self, name: str) -> str:
        """A text value of ``_sysconfigdata``; empty where there is none."""
        value = self.variables.get(name, "")
        return value if isinstance(value, str) else ""

    def located(self, path: str) -> str:
        """Where a path of ``_sysconfigdata`` is now, for a tree that was moved since its build."""
        built = os.path.normpath(self.variable("prefix") or self.prefix)
        if path == built or path.startswith(built + "/"):
            return self.prefix.rstrip("/") + path[len(built) :]
        return path


def probe(interpreter: Path) -> Interpreter:
    """Start the interpreter once and return its answer.

    A virtual environment's interpreter and a launcher (pyenv's shims) answer for the installation
    behind them. Raises :class:`UsageError` for anything but CPython ≥ 3.8 on Linux, and
    :class:`KitbagError` when it doesn't start.
    """
    if sys.platform != "linux":
        raise UsageError(
            "an installed Python can be packed on Linux only; on this system give --from an"
            " archive of python-build-standalone"
        )
    answer = _ask(interpreter)
    found = ".".join(str(part) for part in answer["version"][:3])
    if answer["implementation"] != "cpython":
        raise UsageError(
            f"{interpreter} is {answer['implementation']} {found}; only an installed CPython can"
            " be packed this way, give --from the archive of other implementations"
        )
    if tuple(answer["version"][:2]) < OLDEST:
        raise UsageError(f"{interpreter} is Python {found}; the oldest that can be packed is 3.8")
    version = _version(answer["version"])
    return Interpreter(
        version=version,
        abi_flags=answer["abi_flags"],
        debug=answer["debug"],
        free_threaded=answer["free_threaded"],
        executable=_executable(answer, version),
        prefix=os.path.normpath(answer["prefix"]),
        exec_prefix=os.path.normpath(answer["exec_prefix"]),
        library_folder=answer["library_folder"],
        standard_library=os.path.normpath(answer["standard_library"]),
        headers=os.path.normpath(answer["headers"]),
        landmark=answer["landmark"],
        scheme=answer["scheme"],
        variables=answer["variables"],
    )


def _ask(interpreter: Path) -> dict[str, Any]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    try:
        run = subprocess.run(
            [str(interpreter), "-I", "-S", "-B", "-c", _PROBE],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise KitbagError(f"cannot start {interpreter}: {problem}") from problem
    try:
        answer = json.loads(run.stdout)
    except ValueError:
        answer = None
    if run.returncode != 0 or not isinstance(answer, dict):
        said = run.stderr.decode("utf-8", "replace").strip()
        # What is no Python at all takes the program for a file's name, and shows it.
        lines = [] if "sys.stdout.write" in said or "import json" in said else said.splitlines()
        reason = lines[-1][:120] if lines else f"exit status {run.returncode}"
        raise KitbagError(
            f"{interpreter} does not answer as a Python ≥ 3.8 does ({reason});"
            " check that it starts by itself"
        )
    return answer


def _version(parts: list[Any]) -> Version:
    major, minor, patch, level, serial = parts
    phase = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(level, "")
    return Version(major, minor, patch, f"{phase}{serial}" if phase else "")


def _executable(answer: dict[str, Any], version: Version) -> Path:
    """The installation's own executable: beside the standard library, else behind the links."""
    name = f"python{version.minor_text}{answer['abi_flags']}"
    beside = Path(answer["prefix"], "bin", name)
    return Path(os.path.realpath(beside if beside.exists() else answer["executable"]))
