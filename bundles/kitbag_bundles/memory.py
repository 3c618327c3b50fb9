"""Imports kitbag from the bytes of ``kitbag.pyz``, while that file lies inside a bundle.

A bundle's ``__main__.py`` runs this module before kitbag can be imported, so it imports nothing of
kitbag's. The bundle's own code comes first on the meta path: a kitbag that is installed on the
target, of whatever version, is not what reads the bundle.
"""

from __future__ import annotations

import errno
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType, ModuleType


class MemoryImporter:
    """A meta path finder and loader over source files in memory."""

    def __init__(self, files: Mapping[str, bytes], place: str) -> None:
        """``files`` maps paths such as ``kitbag_bundles/keys.py`` to source text.

        ``place`` is where modules shall seem to be, the path of ``kitbag.pyz`` in the bundle.
        """
        self._files = files
        self._place = place

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that is here, or ``None``."""
        stem = name.replace(".", "/")
        for inner in (f"{stem}/__init__.py", f"{stem}.py"):
            if inner in self._files:
                package = inner != f"{stem}.py"
                origin = f"{self._place}/{inner}"
                # A loader by its methods: importlib.abc would cost more than all of this.
                spec = ModuleSpec(name, self, origin=origin, is_package=package)  # type: ignore[arg-type]
                spec.has_location = True
                if spec.submodule_search_locations is not None:
                    spec.submodule_search_locations.append(f"{self._place}/{stem}")
                return spec
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """An ordinary module will do."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Compile and run a module."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - what a loader does

    def is_package(self, name: str) -> bool:
        """Whether a module is a package; raises :class:`ImportError` if it is not here."""
        return self._spec(name).submodule_search_locations is not None

    def get_filename(self, name: str) -> str:
        """Where a module seems to be; raises :class:`ImportError` if it is not here."""
        return str(self._spec(name).origin)

    def get_code(self, name: str) -> CodeType:
        """A module's code."""
        filename = self.get_filename(name)
        return compile(self.get_data(filename), filename, "exec", dont_inherit=True)

    def get_source(self, name: str) -> str:
        """A module's text: tracebacks and ``inspect`` show it."""
        return self.get_data(self.get_filename(name)).decode("utf-8")

    def get_data(self, path: str) -> bytes:
        """Any file, by the path that it seems to have; raises :class:`OSError`."""
        inner = path[len(self._place) + 1 :].replace("\\", "/")
        if not path.startswith(self._place) or inner not in self._files:
            raise FileNotFoundError(errno.ENOENT, "not in kitbag.pyz", path)
        return self._files[inner]

    def _spec(self, name: str) -> ModuleSpec:
        spec = self.find_spec(name)
        if spec is None:
            raise ImportError(f"kitbag.pyz has no module {name}", name=name)
        return spec


def install(files: Mapping[str, bytes], place: str) -> None:
    """Make the modules in ``files`` importable, before all others."""
    sys.meta_path.insert(0, MemoryImporter(files, place))
