"""What goes into a bundle: one archive for each build, and all that was found out about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.archives import archive_suffix
from kitbag_bundles.errors import UsageError
from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.manifest import VERBATIM, Build, Payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.findings import Inspection
    from kitbag_packer.sources import MemberSource


@dataclass(frozen=True)
class Material:
    """One build to pack: the archive, the name it travels under, what was found out about it."""

    given: str
    """How whoever asked for it would recognise it: a path, a request."""
    archive: Path
    filename: str
    inspection: Inspection
    url: str = ""
    """The public address of the archive; empty if it has none."""
    bootstrap: bool = False
    """Whether it is there for the bundle to start by itself."""

    @property
    def member(self) -> MemberSource:
        """The archive as a member of the bundle."""
        from kitbag_packer.sources import file_member

        found = self.inspection
        name = f"archives/{self.filename}"
        return file_member(name, self.archive, sha256=found.sha256, crc32=found.crc32)

    @property
    def build(self) -> Build:
        """The build as the manifest describes it."""
        found = self.inspection
        return Build(
            key=found.key,
            implementation=found.key.implementation,
            version=str(found.key.version),
            release=found.release,
            flavor=found.flavor,
            url=self.url,
            unpacked_size=found.unpacked_size,
            files=found.files,
            longest_path=found.longest_path,
            case_collisions=found.case_collisions,
            payload=Payload(
                encoding=VERBATIM,
                member=f"archives/{self.filename}",
                top=found.top,
                size=found.size,
                sha256=found.sha256,
                tar_sha256=found.tar_sha256,
            ),
            needs=found.needs,
            bootstrap=self.bootstrap,
        )


def take(
    source: str, workdir: Path, *, key: BuildKey | None, with_tests: bool, reporter: Reporter
) -> Material:
    """An archive, a prefix or an interpreter of this machine.

    ``workdir`` must not exist; an installed Python is re-rooted into an archive there. Raises
    :class:`UsageError` for what is none of them, :class:`ArchiveError` for a bad archive.
    """
    from kitbag_packer.inspection import inspect_archive
    from kitbag_packer.rerooting import find_interpreter, reroot

    path = Path(os.path.expanduser(source))
    if path.is_file() and archive_suffix(path.name):
        inspection = inspect_archive(path, key=key, reporter=reporter)
        tell(inspection, inspection.notes, reporter)
        return Material(source, path, path.name, inspection)
    interpreter = find_interpreter(source)
    if interpreter is None:
        what = "neither an archive nor a Python" if path.exists() else "no such file or command"
        raise UsageError(
            f"{source}: {what}; --from takes an archive (.tar.gz, .tar.zst, .zip, …), the prefix "
            "of an installed CPython, or an interpreter"
        )
    workdir.mkdir()
    made = reroot(interpreter, workdir, with_tests=with_tests, key=key, reporter=reporter)
    inspection = inspect_archive(
        made.archive, filename=made.filename, key=made.key, reporter=reporter
    )
    tell(inspection, (*made.notes, *inspection.notes, *_ties(inspection)), reporter)
    return Material(source, made.archive, made.filename, inspection)


def tell(inspection: Inspection, notes: Sequence[str], reporter: Reporter) -> None:
    """Say what a person who packs this build should know."""
    licence = implementation_of(inspection.key).licence(inspection.flavor)
    if licence:
        reporter.warn(f"{inspection.key}: {licence}")
    for note in notes:
        reporter.info(f"{inspection.key}: {note}")


def one_of_each(materials: Sequence[Material]) -> list[Material]:
    """One material for each build, in the order of the keys; the same one twice does no harm."""
    by_key: dict[str, Material] = {}
    names: dict[str, str] = {}
    for material in materials:
        key = str(material.inspection.key)
        rival = by_key.setdefault(key, material)
        if rival.inspection.sha256 != material.inspection.sha256:
            raise UsageError(f"{rival.given} and {material.given} are both {key}; pack one of them")
        other = names.setdefault(material.filename.lower(), key)
        if other != key:
            raise UsageError(
                f"{material.filename}: the archives of {other} and {key} have the same name; "
                "rename one of them"
            )
    return sorted(by_key.values(), key=lambda material: material.inspection.key.order())


def _ties(inspection: Inspection) -> list[str]:
    """What keeps a build that was taken from this machine from running on any other."""
    needs = inspection.needs
    ties = [f"glibc {needs.glibc} or newer"] if needs.glibc else []
    ties += needs.libraries
    lines = [f"runs only where there is {', '.join(ties)}"] if ties else []
    wishes = [
        f"{library} ({', '.join(sorted({_module(path) for path in paths}))})"
        for library, paths in sorted(inspection.optional_libraries.items())
    ]
    if wishes:
        lines.append(f"some modules want libraries of the target: {', '.join(wishes)}")
    return lines


def _module(path: str) -> str:
    """The name of an extension module, from the path of its file."""
    return path.rpartition("/")[2].partition(".")[0]
