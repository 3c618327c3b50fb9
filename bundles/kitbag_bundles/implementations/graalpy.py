"""GraalPy, native and on the JVM, as Oracle and its community publish it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.implementations import Implementation

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey


class GraalPy(Implementation):
    """``bin/graalpy`` on every system, without a version in its name.

    Catalogs make up the patch of its version, ``3.12.0`` for what calls itself 3.12.8: only the
    minor version can be held against the interpreter.
    """

    title = "GraalPy"
    command = "graalpy"
    reports = "graalpy"
    exact_version = False

    def executable(self, key: BuildKey) -> str:
        """The path of the interpreter itself."""
        return "bin/graalpy.exe" if key.target.os == "windows" else "bin/graalpy"

    def libraries(self, key: BuildKey) -> tuple[str, ...]:
        """``lib/python3.11``, ``Lib`` on Windows; ``lib-python/3`` before version 23."""
        usual = "Lib" if key.target.os == "windows" else f"lib/python{key.version.minor_text}"
        return (usual, "lib-python/3")

    def licence(self, flavor: str) -> str:
        """Oracle's own builds may not be sold on; those of the community may.

        GFTC is the licence that Oracle's archives of GraalPy carry; UPL that of the others.
        """
        if flavor.startswith("community"):
            return ""
        whose = "Oracle's build" if flavor.startswith("oracle") else "perhaps Oracle's build"
        return (
            f"{whose} of GraalPy, whose licence (GFTC) allows passing it on free of charge only; "
            "the community build (graalpy-community-…) has no such limit"
        )


ADAPTER = GraalPy()
