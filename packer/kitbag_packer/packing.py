"""Makes a bundle of archives and interpreters that are at hand."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles import __version__, contents
from kitbag_bundles.archives import archive_suffix
from kitbag_bundles.errors import UsageError
from kitbag_bundles.manifest import FORMAT, VERBATIM, Build, Manifest, Payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.inspection import Inspection
    from kitbag_packer.sources import MemberSource

PYTHON_LIMIT = 2**32 - 1
"""Bytes from which on ``python3 FILE`` needs Python 3.13: older ones don't find a ZIP64 end."""


@dataclass(frozen=True)
class PackOptions:
    """What a bundle is called, and how installed interpreters are taken."""

    name: str = "python"
    version: str = ""
    key: BuildKey | None = None
    with_tests: bool = False
    directory: bool = False


@dataclass(frozen=True)
class Packed:
    """A finished bundle; ``sha256`` is the whole file's, empty for a directory."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest


@dataclass(frozen=True)
class _Source:
    """One build to pack: the archive, the name it travels under, what was found out about it."""

    given: str
    archive: Path
    filename: str
    inspection: Inspection

    @property
    def member(self) -> MemberSource:
        """The archive as a member of the bundle."""
        from kitbag_packer.sources import file_member

        found = self.inspection
        name = f"archives/{self.filename}"
        return file_member(name, self.archive, sha256=found.sha256, crc32=found.crc32)


def pack(
    sources: Sequence[str], destination: Path, options: PackOptions, reporter: Reporter
) -> Packed:
    """Pack ``sources`` (archives, prefixes, interpreters) into ``destination``.

    The bytes depend on the builds alone: not on the order of ``sources``, on where they are, on
    the clock or on ``destination``. Raises :class:`UsageError` for what can't be packed,
    :class:`ArchiveError` for a bad archive, :class:`FileSystemError`; an older file at
    ``destination`` is then as it was.
    """
    from kitbag_packer.assembly import assemble
    from kitbag_packer.pyz import build_installer
    from kitbag_packer.writing import write_bundle, write_directory

    _check(sources, destination, options)
    with tempfile.TemporaryDirectory(prefix="kitbag-pack-") as workdir:
        found = [
            _take(source, Path(workdir) / str(number), options, reporter)
            for number, source in enumerate(sources)
        ]
        chosen = _unique(found)
        manifest = _manifest(chosen, options)
        members = assemble(
            manifest,
            {
                str(source.inspection.key): contents.render(source.inspection.entries)
                for source in chosen
            },
            [source.member for source in chosen],
            build_installer(),
        )
        write = write_directory if options.directory else write_bundle
        written = write(destination, members, reporter=reporter)
    if not options.directory and written.size > PYTHON_LIMIT:
        reporter.warn(
            f"{destination}: larger than 4 GiB, so 'python3 FILE' needs Python 3.13 on the target; "
            "'kitbag install FILE' works with any"
        )
    return Packed(destination, written.size, written.sha256, manifest)


def _check(sources: Sequence[str], destination: Path, options: PackOptions) -> None:
    if not sources:
        raise UsageError("nothing to pack; name an archive or a Python with --from")
    if options.key is not None and len(sources) > 1:
        raise UsageError("--key names one build; give one --from with it")
    if not options.directory and destination.is_dir():
        raise UsageError(f"{destination}: a directory; name a file, or say --format dir")
    if not destination.absolute().parent.is_dir():
        raise UsageError(f"{destination.parent}: no such directory; make it first")


def _take(source: str, workdir: Path, options: PackOptions, reporter: Reporter) -> _Source:
    from kitbag_packer.inspection import inspect_archive
    from kitbag_packer.rerooting import find_interpreter, reroot

    path = Path(os.path.expanduser(source))
    if path.is_file() and archive_suffix(path.name):
        inspection = inspect_archive(path, key=options.key, reporter=reporter)
        _tell(inspection, inspection.notes, reporter)
        return _Source(source, path, path.name, inspection)
    interpreter = find_interpreter(source)
    if interpreter is None:
        what = "neither an archive nor a Python" if path.exists() else "no such file or command"
        raise UsageError(
            f"{source}: {what}; --from takes an archive (.tar.gz, .tar.zst, .zip, …), the prefix "
            "of an installed CPython, or an interpreter"
        )
    workdir.mkdir()
    made = reroot(
        interpreter, workdir, with_tests=options.with_tests, key=options.key, reporter=reporter
    )
    inspection = inspect_archive(
        made.archive, filename=made.filename, key=made.key, reporter=reporter
    )
    _tell(inspection, (*made.notes, *inspection.notes, *_ties(inspection)), reporter)
    return _Source(source, made.archive, made.filename, inspection)


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


def _tell(inspection: Inspection, notes: Sequence[str], reporter: Reporter) -> None:
    for note in notes:
        reporter.info(f"{inspection.key}: {note}")


def _unique(sources: Sequence[_Source]) -> list[_Source]:
    """One source for each build, in the order of the keys; the same one twice does no harm."""
    by_key: dict[str, _Source] = {}
    names: dict[str, str] = {}
    for source in sources:
        key = str(source.inspection.key)
        rival = by_key.setdefault(key, source)
        if rival.inspection.sha256 != source.inspection.sha256:
            raise UsageError(f"{rival.given} and {source.given} are both {key}; pack one of them")
        other = names.setdefault(source.filename.lower(), key)
        if other != key:
            raise UsageError(
                f"{source.filename}: the archives of {other} and {key} have the same name; "
                "rename one of them"
            )
    return sorted(by_key.values(), key=lambda source: source.inspection.key.order())


def _manifest(sources: Sequence[_Source], options: PackOptions) -> Manifest:
    return Manifest(
        format=FORMAT,
        requires=(),
        name=options.name,
        version=options.version,
        kitbag=__version__,
        builds=tuple(_build(source) for source in sources),
    )


def _build(source: _Source) -> Build:
    found = source.inspection
    return Build(
        key=found.key,
        implementation=found.key.implementation,
        version=str(found.key.version),
        release=found.release,
        flavor=found.flavor,
        url="",
        unpacked_size=found.unpacked_size,
        files=found.files,
        longest_path=found.longest_path,
        case_collisions=found.case_collisions,
        payload=Payload(
            encoding=VERBATIM,
            member=f"archives/{source.filename}",
            top=found.top,
            size=found.size,
            sha256=found.sha256,
            tar_sha256=found.tar_sha256,
        ),
        needs=found.needs,
    )
