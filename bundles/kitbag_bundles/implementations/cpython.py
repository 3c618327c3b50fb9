"""CPython as python-build-standalone publishes it, in all its variants and for all its targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.implementations import Implementation

if TYPE_CHECKING:
    from collections.abc import Container

    from kitbag_bundles.keys import BuildKey


class CPython(Implementation):
    """``bin/python3.13``, with the suffixes ``t`` and ``d``; ``python.exe`` on Windows.

    The library of a free-threaded build is ``lib/python3.13t``; debug builds have no name for
    theirs. Only the Unix builds have texts that name their prefix.
    """

    title = "CPython"
    command = "python"
    reports = "cpython"
    has_minor_link = True
    starts_kitbag = True

    def executable(self, key: BuildKey) -> str:
        """The path of the interpreter itself."""
        return "python.exe" if _windows(key) else f"bin/python{_minor(key)}{key.abi_flags}"

    def libraries(self, key: BuildKey) -> tuple[str, ...]:
        """Where the standard library is."""
        if _windows(key):
            return ("Lib",)
        return (f"lib/python{_minor(key)}{'t' if key.free_threaded else ''}",)

    def is_rewritten(self, key: BuildKey) -> bool:
        """On Unix: generated files and scripts have the build-time prefix."""
        return not _windows(key)

    def copies(self, key: BuildKey, known: Container[str]) -> dict[str, str]:
        """``python.exe`` of the first free-threaded builds for Windows, which came without."""
        usual, other = "python.exe", f"python{_minor(key)}t.exe"
        wanted = _windows(key) and key.free_threaded and usual not in known and other in known
        return {usual: other} if wanted else {}


def _windows(key: BuildKey) -> bool:
    return key.target.os == "windows"


def _minor(key: BuildKey) -> str:
    return key.version.minor_text


ADAPTER = CPython()
