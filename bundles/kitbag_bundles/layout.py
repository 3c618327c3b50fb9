"""Where things are inside the tree of a build, by implementation and platform.

All paths are relative to the build's top directory and use ``/``. The names are those that the
distributions ship and that uv looks for: ``bin/python3.13t`` for a free-threaded CPython,
``python.exe`` on Windows, ``bin/pypy3.11``, ``bin/graalpy``, a bare ``python`` for Pyodide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey

PREFIX = "/install"
"""The build-time prefix inside every archive, python-build-standalone's own."""


def executable(key: BuildKey) -> str:
    """The path of the interpreter itself."""
    windows = key.target.os == "windows"
    minor = key.version.minor_text
    if key.implementation == "pyodide":
        return "python"
    if key.implementation == "pypy":
        return f"pypy{minor}.exe" if windows else f"bin/pypy{minor}"
    if key.implementation == "graalpy":
        return "bin/graalpy.exe" if windows else "bin/graalpy"
    return "python.exe" if windows else f"bin/python{minor}{key.abi_flags}"


def standard_library(key: BuildKey) -> str:
    """The directory of the pure-Python standard library; empty for Pyodide, which has a zip."""
    minor = key.version.minor_text
    if key.implementation == "pyodide":
        return ""
    if key.target.os == "windows":
        return "Lib"
    if key.implementation == "pypy":
        return f"lib/pypy{minor}"
    return f"lib/python{minor}{'t' if key.free_threaded else ''}"


def command_names(key: BuildKey, *, default: bool) -> tuple[str, ...]:
    """The names to link in a bin directory: ``python3.13``, with ``default`` the short ones too."""
    base = {"cpython": "python"}.get(key.implementation, key.implementation)
    flags = key.abi_flags
    names = [f"{base}{key.version.minor_text}{flags}"]
    if default:
        names += [f"{base}{key.version.major}{flags}", f"{base}{flags}"]
    return tuple(names)
