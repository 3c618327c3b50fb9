"""Pyodide: CPython compiled to WebAssembly, which Node.js runs on any machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.implementations import Implementation, Program

if TYPE_CHECKING:
    from collections.abc import Container

    from kitbag_bundles.keys import BuildKey


class Pyodide(Implementation):
    """A bare ``python`` beside the WebAssembly, and a library in a zip file.

    It has its own view of the file system, in which its prefix is ``/``. Packages go into a virtual
    environment that its own tools make, so there is no place to guard against pip.
    """

    title = "Pyodide"
    command = "pyodide"
    reports = "cpython"
    has_prefix = False
    any_machine = True
    compiles = False
    program = Program("node", "Node.js", 18)

    def executable(self, key: BuildKey) -> str:
        """The path of the script that starts it."""
        return "python"

    def libraries(self, key: BuildKey) -> tuple[str, ...]:
        """No directory: a zip file."""
        return ()

    def links(self, key: BuildKey, known: Container[str]) -> dict[str, str]:
        """``bin/python3.13`` and ``bin/python``, under which other tools look for it."""
        versioned = f"python{key.version.minor_text}"
        wanted = {f"bin/{versioned}": "../python", "bin/python": versioned}
        return {path: target for path, target in wanted.items() if path not in known}


ADAPTER = Pyodide()
