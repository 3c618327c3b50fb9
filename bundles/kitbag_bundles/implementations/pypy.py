"""PyPy as its project publishes it: found and configured at run time, so nothing is rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.implementations import Implementation

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey


class PyPy(Implementation):
    """``bin/pypy3.11`` with its library beside it; on Windows everything is at the top."""

    title = "PyPy"
    command = "pypy"
    reports = "pypy"
    starts_kitbag = True

    def executable(self, key: BuildKey) -> str:
        """The path of the interpreter itself."""
        name = f"pypy{key.version.minor_text}"
        return f"{name}.exe" if key.target.os == "windows" else f"bin/{name}"

    def libraries(self, key: BuildKey) -> tuple[str, ...]:
        """``lib/pypy3.11``; until 3.7 it was ``lib-python/3``, on every platform."""
        usual = "Lib" if key.target.os == "windows" else f"lib/pypy{key.version.minor_text}"
        return (usual, "lib-python/3")

    def site_packages(self, library: str) -> str:
        """Below the library, but at the top where that is ``lib-python/3``."""
        return "site-packages" if library == "lib-python/3" else super().site_packages(library)


ADAPTER = PyPy()
