"""Decide the run path of every ELF file in the tree, and which libraries must come along.

A run path that leads into the installation becomes relative to the file (`$ORIGIN/../lib`). One
that leads to a home or temporary folder is dropped: on the target it would be somebody's chance to
have a library loaded. Other absolute ones stay, as on the machine that the build came from.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_packer.rerooting.elf import Elf
from kitbag_packer.rerooting.relocation import Relocation, is_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_LIB = "lib"


@dataclass(frozen=True)
class Library:
    """An ELF file: its path in the tree, where it lies on this machine, and its headers."""

    path: str
    source: str
    elf: Elf


class RunPaths:
    """The decisions for one tree; ``notes`` tells of what could not be kept."""

    def __init__(self, relocation: Relocation, executable: str) -> None:
        self.notes: list[str] = []
        self._decided: dict[str, str | None] = {}
        self._relocation = relocation
        self._executable = executable

    def missing(
        self, libraries: Mapping[str, Library], folders: Iterable[str]
    ) -> Iterable[Library]:
        """Libraries of the installation that files of the tree need; grows with the tree.

        ``folders`` are the installation's own library folders; what lies elsewhere is the
        system's.
        """
        folders = list(folders)
        asked: set[str] = set()
        while True:
            wanted = sorted(
                name
                for library in libraries.values()
                for name in library.elf.needed
                if "/" not in name and name not in asked and f"{_LIB}/{name}" not in libraries
            )
            if not wanted:
                return
            for name in dict.fromkeys(wanted):
                asked.add(name)
                for folder in folders:
                    source = os.path.realpath(os.path.join(folder, name))
                    if os.path.isfile(source):
                        nothing = Elf("", "", (), None, "")
                        yield Library(f"{_LIB}/{name}", source, nothing)
                        break

    def needs_tree(self, library: Library, libraries: Mapping[str, Library]) -> bool:
        """Whether the file must find a library of the tree by itself.

        What the executable has loaded already is found by its name.
        """
        executable = libraries[self._executable]
        loaded = () if library.path == self._executable else executable.elf.needed
        return any(
            f"{_LIB}/{name}" in libraries and name not in loaded for name in library.elf.needed
        )

    def wanted(self, library: Library, libraries: Mapping[str, Library]) -> str | None:
        """The run path that the file should have; None where it has and needs none."""
        if library.path not in self._decided:
            self._decided[library.path] = self._decide(library, libraries)
        return self._decided[library.path]

    def _decide(self, library: Library, libraries: Mapping[str, Library]) -> str | None:
        folder = posixpath.dirname(library.path)
        entries = library.elf.run_path.split(":") if library.elf.run_path else []
        result: list[str] = []
        for entry in entries:
            moved = self._moved(entry, library, folder)
            if moved and moved not in result:
                result.append(moved)
        if (
            self.needs_tree(library, libraries)
            and not self._reaches_lib(result, folder)
            and not self._inherits(library, libraries)
        ):
            result.append(_relative(_LIB, folder))
        if not entries and not result:
            return None
        return ":".join(result) or "$ORIGIN"

    def _moved(self, entry: str, library: Library, folder: str) -> str | None:
        plain = entry.replace("${ORIGIN}", "$ORIGIN")
        origin = os.path.dirname(os.path.realpath(library.source))
        if plain.startswith("$ORIGIN"):
            inside = posixpath.normpath(folder + plain[len("$ORIGIN") :])
            if not inside.startswith(".."):
                return entry
            place = os.path.normpath(origin + plain[len("$ORIGIN") :])
        else:
            place = os.path.normpath(entry)
        tree = self._relocation.tree_path(place) if place.startswith("/") else None
        if tree is not None:
            return _relative(tree, folder)
        if is_local(place) or not entry.startswith("/"):
            note = f"{library.path} no longer looks for libraries in a folder outside this Python"
            if note not in self.notes:
                self.notes.append(note)
            return None
        return entry

    @staticmethod
    def _reaches_lib(entries: Iterable[str], folder: str) -> bool:
        return any(
            posixpath.normpath(folder + entry.replace("${ORIGIN}", "$ORIGIN")[7:]) == _LIB
            for entry in entries
            if entry.startswith(("$ORIGIN", "${ORIGIN}"))
        )

    def _inherits(self, library: Library, libraries: Mapping[str, Library]) -> bool:
        """DT_RPATH of the executable holds for what it loads, unless the file has a RUNPATH."""
        executable = libraries[self._executable]
        return (
            library.path != self._executable
            and executable.elf.run_path_tag == "DT_RPATH"
            and library.elf.run_path_tag != "DT_RUNPATH"
            and self._reaches_lib((self.wanted(executable, libraries) or "").split(":"), "bin")
        )


def _relative(place: str, folder: str) -> str:
    step = posixpath.relpath(place or ".", folder)
    return "$ORIGIN" if step == "." else f"$ORIGIN/{step}"
