"""Makes a bundle: of archives and interpreters that are at hand, and of builds that are fetched."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles import __version__
from kitbag_bundles.errors import DigestMismatch, UsageError
from kitbag_bundles.manifest import FORMAT, InstallDefaults, Manifest
from kitbag_packer.materials import one_of_each, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.gathering import Supply
    from kitbag_packer.materials import Material
    from kitbag_packer.reporting import PackerReporter as Reporter
    from kitbag_packer.resolution import Choice

NO_DEFAULTS = InstallDefaults()
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
    install: InstallDefaults = NO_DEFAULTS
    """What the bundle's own installer does unless it is told otherwise."""


@dataclass(frozen=True)
class Packed:
    """A finished bundle; ``sha256`` is the whole file's, empty for a directory."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest


def pack(
    sources: Sequence[str],
    destination: Path,
    options: PackOptions,
    reporter: Reporter,
    *,
    choices: Sequence[Choice] = (),
    supply: Supply | None = None,
) -> Packed:
    """Pack ``sources`` (archives, prefixes, interpreters) and ``choices`` into ``destination``.

    ``choices`` are fetched through ``supply``. The bytes depend on the builds alone: not on the
    order of anything, on where archives are, on the clock or on ``destination``. Raises
    :class:`UsageError` for what can't be packed, :class:`ArchiveError` for a bad archive,
    :class:`DownloadError`, :class:`FileSystemError`; an older file at ``destination`` is then as
    it was.
    """
    _check(sources, choices, destination, options)
    with tempfile.TemporaryDirectory(prefix="kitbag-pack-") as workdir:
        taken = [
            take(
                source,
                Path(workdir) / str(number),
                key=options.key,
                with_tests=options.with_tests,
                reporter=reporter,
            )
            for number, source in enumerate(sources)
        ]
        if not choices or supply is None:
            return _write(taken, destination, options, reporter)
        from kitbag_packer.gathering import gather, spoiled

        materials = [*taken, *gather(choices, supply, reporter)]
        try:
            return _write(materials, destination, options, reporter)
        except DigestMismatch:
            # An archive rotted in the cache since it was checked: thrown away, it comes anew.
            if not spoiled(materials, supply.cache):
                raise
        materials = [*taken, *gather(choices, supply, reporter)]
        return _write(materials, destination, options, reporter)


def _write(
    materials: Sequence[Material], destination: Path, options: PackOptions, reporter: Reporter
) -> Packed:
    from kitbag_packer.assembly import assemble
    from kitbag_packer.pyz import build_installer
    from kitbag_packer.writing import write_bundle, write_directory

    chosen = one_of_each(materials)
    manifest = Manifest(
        format=FORMAT,
        requires=(),
        name=options.name,
        version=options.version,
        kitbag=__version__,
        builds=tuple(material.build for material in chosen),
        install=options.install,
    )
    members = assemble(
        manifest,
        {str(material.inspection.key): material.inspection.contents_list for material in chosen},
        [material.member for material in chosen],
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


def _check(
    sources: Sequence[str], choices: Sequence[Choice], destination: Path, options: PackOptions
) -> None:
    if not sources and not choices:
        raise UsageError("nothing to pack; name an archive or a Python with --from")
    if options.key is not None and len(sources) != 1:
        raise UsageError("--key names one build; give one --from with it")
    if not options.directory and destination.is_dir():
        raise UsageError(f"{destination}: a directory; name a file, or say --format dir")
    if not destination.absolute().parent.is_dir():
        raise UsageError(f"{destination.parent}: no such directory; make it first")
