"""Where things are inside of an environment: as ``venv`` makes one, and as installers fill it.

All paths are relative to the environment and use ``/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.layout import site_packages, standard_library

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey

_SMALL = ("x86", "armv5", "armv6", "armv7", "mips", "mipsel")
"""Architectures of 32 bits, where ``venv`` makes no ``lib64``."""


class Layout(NamedTuple):
    """The directories of one environment."""

    site: str
    """Packages, ``lib/python3.13/site-packages``."""
    programs: str
    """Programs, ``bin`` or ``Scripts``."""
    headers: str
    """What has a directory for each project's headers, as pip and uv have it."""
    windows: bool
    lib64: bool = False
    """Whether ``lib64`` is a link to ``lib``."""

    @property
    def python(self) -> str:
        """The interpreter."""
        return f"{self.programs}/python{'.exe' if self.windows else ''}"

    def place(self, scheme: str, project: str, path: str) -> str:
        """Where ``path`` in the folder ``scheme`` of a wheel's ``.data`` goes.

        The names are those of the binary distribution format.
        """
        if scheme == "data":
            # What venv makes is a link, and a link is no folder that a wheel may have.
            inside = self.lib64 and path.startswith("lib64/")
            return f"lib/{path[len('lib64/') :]}" if inside else path
        folder = {"scripts": self.programs, "headers": f"{self.headers}/{project}"}
        return f"{folder.get(scheme, self.site)}/{path}"


def layout_of(key: BuildKey) -> Layout:
    """The layout of an environment that is made with the build ``key``."""
    windows = key.target.os == "windows"
    site = site_packages(key, standard_library(key))
    headers = "Include" if windows else f"include/site/python{key.version.minor_text}"
    lib64 = key.implementation == "cpython" and key.target.os == "linux"
    return Layout(
        site,
        "Scripts" if windows else "bin",
        headers,
        windows,
        lib64 and key.target.cpu not in _SMALL,
    )
