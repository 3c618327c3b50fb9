"""Put the chosen files together as the members of the archive.

The source is only read. Files that change are made in memory or in a scratch folder; everything
else is named by its path and read when the archive is written.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_bundles.layout import PREFIX
from kitbag_packer.rerooting import elf, generated
from kitbag_packer.rerooting.distributions import (
    Distribution,
    Row,
    find_distribution,
    format_record,
    is_bytecode,
    is_inside,
    row_for,
)
from kitbag_packer.rerooting.relocation import Relocation, is_shared
from kitbag_packer.rerooting.runpaths import Library, RunPaths
from kitbag_packer.rerooting.selection import Selection, library_folders
from kitbag_packer.tarball import TarItem

if TYPE_CHECKING:
    from kitbag_packer.rerooting.probing import Interpreter

TOP = "python"
_TEXT_SAMPLE = 8192
_IN_MEMORY = 1 << 18


class Assembly:
    """The tree of one interpreter while it is being put together.

    ``members`` are by path below the top folder; ``notes`` grow while it works.
    """

    def __init__(
        self, interpreter: Interpreter, relocation: Relocation, chosen: Selection, scratch: Path
    ) -> None:
        self.members: dict[str, TarItem] = {}
        self.notes = list(chosen.notes)
        self._interpreter = interpreter
        self._relocation = relocation
        self._chosen = chosen
        self._scratch = scratch
        self._library = f"lib/{interpreter.library_name}"
        self._libraries: dict[str, Library] = {}
        self._waiting = 0

    def build(self) -> None:
        """Fill ``members``."""
        self._files()
        self._walked_links()
        for path, target in self._chosen.links.items():
            self.members[path] = TarItem(path, "l", target=target)
        self._run_paths()
        for name in self._own_distributions():
            self._distribution(name)
        self._placeholders()

    def items(self) -> list[TarItem]:
        """The members as the archive has them, below its top folder."""
        return [item._replace(path=f"{TOP}/{item.path}") for item in self.members.values()]

    def _files(self) -> None:
        for path, source in self._chosen.files.items():
            if not os.path.islink(source):
                self._file(path, source)

    def _file(self, path: str, source: str) -> None:
        with open(source, "rb") as stream:
            data = stream.read()
            mode = 0o755 if os.fstat(stream.fileno()).st_mode & 0o111 else 0o644
        if elf.is_elf(data):
            facts = elf.read(data, path)
            self._libraries[path] = Library(path, source, facts)
            content = self._without_local_paths(path, data)
        else:
            content = self._rewritten(path, data)
            self._look_for_traces(path, content)
        kept = Path(source) if content == data else self._kept(content)
        self.members[path] = TarItem(path, "f", mode, kept)

    def _kept(self, content: bytes) -> bytes | Path:
        """Big files wait on the disk until the archive is written."""
        if len(content) <= _IN_MEMORY:
            return content
        self._waiting += 1
        place = self._scratch / f"changed-{self._waiting}"
        place.write_bytes(content)
        return place

    def _rewritten(self, path: str, data: bytes) -> bytes:
        folder, name = posixpath.split(path)
        if folder == "bin" or path.endswith("/python-config.py"):
            if data.startswith(b"#!/bin/sh") and name.endswith("-config"):
                return self._as_text(data, path, generated.config_script)
            return generated.script(data, self._interpreter.name)
        if folder == self._library:
            if name.startswith("_sysconfigdata_") and name.endswith(".py"):
                return self._as_text(data, path, generated.sysconfigdata)
            if name.startswith("_sysconfig_vars_") and name.endswith(".json"):
                return self._as_text(data, path, generated.sysconfig_json)
            if name == "build-details.json":
                return self._as_text(data, path, generated.build_details)
        if name == "Makefile" and posixpath.basename(folder).startswith("config-"):
            return self._as_text(data, path, generated.makefile)
        if folder == "lib/pkgconfig":
            return self._as_text(data, path, generated.pkg_config)
        if path.startswith(self._library) and name.endswith(".py"):
            return generated.module(data, self._interpreter.name)
        return data

    def _as_text(self, data: bytes, path: str, rewrite: generated.Rewrite) -> bytes:
        try:
            text = data.decode("utf-8")
            return rewrite(text, self._relocation).encode("utf-8")
        except ValueError as problem:
            raise KitbagError(
                f"the generated file {path} of this Python cannot be read: {problem}"
            ) from problem

    def _without_local_paths(self, path: str, data: bytes) -> bytes:
        for prefix in self._relocation.prefixes:
            changed = elf.replace_prefix(data, prefix, PREFIX)
            if changed is None:
                self.notes.append(
                    f"{path} keeps the prefix it was compiled with: it cannot be replaced safely"
                )
            else:
                data = elf.replace_build_path(changed, prefix, PREFIX)
        for source, target in self._relocation.build.items():
            data = elf.replace_build_path(data, source, target)
        return data

    def _look_for_traces(self, path: str, data: bytes) -> None:
        if b"\0" in data[:_TEXT_SAMPLE]:
            return
        for trace in self._relocation.traces:
            if trace in data:
                self.notes.append(
                    f"{path} is not a generated file, yet names a path of this machine"
                )
                return

    def _walked_links(self) -> None:
        places = {
            os.path.realpath(source): path
            for path, source in self._chosen.files.items()
            if not os.path.islink(source)
        }
        for path, source in sorted(self._chosen.files.items()):
            if not os.path.islink(source):
                continue
            real = os.path.realpath(source)
            target = places.get(real) or self._folder_in_tree(real)
            if target:
                relative = posixpath.relpath(target, posixpath.dirname(path))
                self.members[path] = TarItem(path, "l", target=relative)
            elif os.path.isfile(real) and self._is_own(real):
                self._file(path, real)
            else:
                self.notes.append(f"the link {path} was left out: it leads out of this Python")

    def _folder_in_tree(self, real: str) -> str | None:
        for top, source in self._chosen.folders.items():
            root = os.path.realpath(source)
            if real == root or real.startswith(root + "/"):
                place = (top + real[len(root) :]).rstrip("/")
                if any(path.startswith(place + "/") for path in self.members):
                    return place
        return None

    def _is_own(self, real: str) -> bool:
        roots = {
            os.path.realpath(self._interpreter.standard_library),
            os.path.dirname(os.path.realpath(self._interpreter.landmark)),
        }
        if not is_shared(self._interpreter.prefix):
            roots.add(os.path.realpath(self._interpreter.prefix))
        return any(real.startswith(root + "/") for root in roots)

    def _run_paths(self) -> None:
        planner = RunPaths(self._relocation, f"bin/{self._interpreter.name}")
        folders = library_folders(self._interpreter)
        private = [folder for folder in folders if self._relocation.is_private(folder)]
        for library in planner.missing(self._libraries, private):
            self._file(library.path, library.source)
        for path in sorted(self._libraries):
            library = self._libraries[path]
            new = planner.wanted(library, self._libraries)
            if new is None or new == library.elf.run_path:
                continue
            item = self.members[path]
            content = item.content
            data = content if isinstance(content, bytes) else content.read_bytes()
            changed = elf.replace_run_path(data, new)
            if changed is None and not planner.needs_tree(library, self._libraries):
                changed = elf.replace_run_path(data, "$ORIGIN")
            if changed is None:
                changed = elf.set_run_path(data, new, library.elf, path, self._scratch)
            self.members[path] = item._replace(content=self._kept(changed))
        self.notes += planner.notes

    def _own_distributions(self) -> tuple[str, ...]:
        """Those that ensurepip installs: setuptools until 3.11."""
        return ("pip", "setuptools") if self._interpreter.version.minor <= 11 else ("pip",)

    def _distribution(self, name: str) -> None:
        site_packages = Path(self._interpreter.standard_library, "site-packages")
        wheels = Path(self._interpreter.standard_library, "ensurepip", "_bundled")
        found = find_distribution(site_packages, name, wheels)
        if isinstance(found, Distribution):
            self._take(found, site_packages)
            for path in found.restored:
                self.notes.append(f"{path} was altered here; the original is packed")
        elif found:
            self.notes.append(found)

    def _take(self, distribution: Distribution, site_packages: Path) -> None:
        rows: list[Row] = []
        top = f"{self._library}/site-packages"
        record = f"{top}/{distribution.record}"
        for row in distribution.rows:
            if is_bytecode(row.path) or row.path.endswith(".pth"):
                continue
            source = os.path.join(site_packages, row.path)
            path = posixpath.normpath(f"{top}/{row.path}")
            if not is_inside(row.path):
                # A script: its record is relative to where site-packages is on this machine.
                path = f"bin/{posixpath.basename(row.path)}"
                if os.path.dirname(os.path.realpath(source)) != os.path.realpath(
                    os.path.join(self._interpreter.prefix, "bin")
                ) or not os.path.isfile(source):
                    continue
            if path == record:
                rows.append(Row(row.path, "", ""))
                continue
            if row.path in distribution.restored:
                self.members[path] = TarItem(path, content=distribution.restored[row.path])
                rows.append(row)
                continue
            self._file(path, os.path.realpath(source))
            rows.append(self._recorded(row, path))
        text = format_record(rows)
        self.members[record] = TarItem(record, "f", 0o644, text.encode("utf-8"))
        if distribution.name == "pip":
            self._plain_pip(site_packages)

    def _recorded(self, row: Row, path: str) -> Row:
        content = self.members[path].content
        if isinstance(content, bytes):
            inside = is_inside(row.path)
            return row_for(row.path if inside else f"../../../{path}", content)
        return row

    def _plain_pip(self, site_packages: Path) -> None:
        """`bin/pip`: pyenv makes a link that no record knows."""
        target = f"pip{self._interpreter.version.minor_text}"
        source = os.path.join(self._interpreter.prefix, "bin", "pip")
        if (
            "bin/pip" not in self.members
            and f"bin/{target}" in self.members
            and os.path.realpath(source) == os.path.realpath(source + target[3:])
        ):
            self.members["bin/pip"] = TarItem("bin/pip", "l", target=target)

    def _placeholders(self) -> None:
        """Folders exist in the archive through their files only."""
        for folder in (f"{self._library}/lib-dynload", f"{self._library}/site-packages"):
            if not any(path.startswith(folder + "/") for path in self.members):
                self.members[f"{folder}/.empty"] = TarItem(f"{folder}/.empty")
        folder = self._interpreter.library_folder
        if folder != "lib":
            # The interpreter was compiled to look there (Fedora's lib64).
            self.members[folder] = TarItem(folder, "l", target="lib")
