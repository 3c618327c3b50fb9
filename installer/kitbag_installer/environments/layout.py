"""Where things are inside of an environment: as ``venv`` makes one, and as installers fill it.

All paths are relative to the environment and use ``/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.layout import site_packages, standard_library

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey


class Layout(NamedTuple):
    """The directories of one environment."""

    site: str
    """Packages, ``lib/python3.13/site-packages``."""
    programs: str
    """Programs, ``bin`` or ``Scripts``."""
    headers: str
    """What has a directory for each project's headers, as pip and uv have it."""
    windows: bool

    @property
    def python(self) -> str:
        """The interpreter."""
        return f"{self.programs}/python{'.exe' if self.windows else ''}"

    def scheme(self, name: str, project: str) -> str | None:
        """Where the folder ``name`` of a wheel's ``.data`` goes; ``None`` for an unknown one.

        The names are those of the binary distribution format. An empty path is the top.
        """
        return {
            "purelib": self.site,
            "platlib": self.site,
            "scripts": self.programs,
            "data": "",
            "headers": f"{self.headers}/{project}",
        }.get(name)


def layout_of(key: BuildKey) -> Layout:
    """The layout of an environment that is made with the build ``key``."""
    windows = key.target.os == "windows"
    site = site_packages(key, standard_library(key))
    headers = "Include" if windows else f"include/site/python{key.version.minor_text}"
    return Layout(site, "Scripts" if windows else "bin", headers, windows)
