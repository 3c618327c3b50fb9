"""Makes a bundle: of what is at hand and what is fetched, builds and the packages for them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles import __version__
from kitbag_bundles.errors import ArchiveError, DigestMismatch, UsageError
from kitbag_bundles.manifest import ENVIRONMENTS, FORMAT, InstallDefaults, Manifest
from kitbag_packer.bootstrap import Bootstrap
from kitbag_packer.environments.carrying import NOTHING
from kitbag_packer.materials import one_of_each, take

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.bootstrap import Plan
    from kitbag_packer.bytecode.overlays import Overlay
    from kitbag_packer.environments.carrying import Carried
    from kitbag_packer.environments.model import Planned, Ready
    from kitbag_packer.gathering import Supply
    from kitbag_packer.materials import Material
    from kitbag_packer.reporting import PackerReporter as Reporter
    from kitbag_packer.resolution import Choice

NO_DEFAULTS = InstallDefaults()
BY_ITSELF = Bootstrap()
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
    plain: bool = False
    """Without the shell header that lets the bundle start by itself."""
    volume_size: int = 0
    """The most bytes of a volume, a multiple of 4096; 0 for one file."""
    sevenzip: bool = False
    """As the one member of a ``.7z``."""
    password: str = field(default="", repr=False)
    """What encrypts that; empty for not at all."""
    install: InstallDefaults = NO_DEFAULTS
    """What the bundle's own installer does unless it is told otherwise."""
    bootstrap: Bootstrap = BY_ITSELF
    """What is done so that the bundle starts where there is no Python."""
    bytecode: str = ""
    """The mode (``checked-hash``, ``unchecked-hash``) of compiled files to bring along; empty for
    none."""
    jobs: int = 0
    """How many builds are compiled and wheels built at a time; 0 for as many as there are
    processors."""


@dataclass(frozen=True)
class Packed:
    """A finished bundle; ``sha256`` is the whole file's, empty for a directory."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest
    volumes: tuple[str, ...] = ()
    """The paths of the numbered volumes, if there are such."""


def pack(
    sources: Sequence[str],
    destination: Path,
    options: PackOptions,
    reporter: Reporter,
    *,
    choices: Sequence[Choice] = (),
    supply: Supply | None = None,
    carried: Carried = NOTHING,
) -> Packed:
    """Pack ``sources`` (archives, prefixes, interpreters) and ``choices`` into ``destination``.

    ``choices`` are fetched through ``supply``, and with them what is added so that the bundle
    starts by itself and the packages of what is ``carried``. The bytes depend on the builds and
    packages alone: not on the order of anything, on where files are, on the clock or on
    ``destination``. Raises :class:`UsageError` for what can't be packed, :class:`ArchiveError` for
    a bad archive or wheel, :class:`DownloadError`, :class:`FileSystemError` and what planning and
    building environments raise; an older file at ``destination`` is then as it was.
    """
    _check(sources, choices, carried, destination, options)
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
        plan = _plan(taken, choices, options.bootstrap, reporter)
        planned = _environments(carried, taken, choices, supply, reporter)
        made = Path(workdir) / "recompressed"
        if supply is None or not (choices or planned):
            return _write(taken, (), plan, made, destination, options, reporter, supply)
        wanted = [*choices, *plan.added]
        materials, ready = _gather(taken, wanted, planned, supply, made.parent, options, reporter)
        try:
            return _write(materials, ready, plan, made, destination, options, reporter, supply)
        except (ArchiveError, DigestMismatch):
            from kitbag_packer.gathering import spoiled

            # An archive rotted in the cache since it was checked: thrown away, it comes anew.
            if not spoiled(materials, supply.cache, ready):
                raise
        materials, ready = _gather(taken, wanted, planned, supply, made.parent, options, reporter)
        return _write(materials, ready, plan, made, destination, options, reporter, supply)


def _environments(
    carried: Carried,
    taken: Sequence[Material],
    choices: Sequence[Choice],
    supply: Supply | None,
    reporter: Reporter,
) -> tuple[Planned, ...]:
    """What travels along, for every build that somebody asked for."""
    if not carried or supply is None:
        return ()
    from kitbag_packer.environments.planning import plan_carried

    asked = {each.offer.key: each.offer.release for each in choices if not each.bootstrap}
    at_hand = {each.inspection.key: each.inspection.release for each in taken}
    return plan_carried(carried, asked | at_hand, supply.settings, reporter)


def _gather(
    taken: Sequence[Material],
    wanted: Sequence[Choice],
    planned: Sequence[Planned],
    supply: Supply,
    workdir: Path,
    options: PackOptions,
    reporter: Reporter,
) -> tuple[list[Material], Sequence[Ready]]:
    """What is fetched, and what is built; that is in a new folder of ``workdir`` each time."""
    from kitbag_packer.environments.describing import tell
    from kitbag_packer.gathering import gather_all

    scratch = Path(tempfile.mkdtemp(prefix="packages-", dir=workdir))
    fetched, ready = gather_all(
        wanted, planned, supply, reporter, scratch=scratch, at_hand=taken, jobs=options.jobs
    )
    tell(ready, reporter)
    return [*taken, *fetched], ready


def _plan(
    taken: Sequence[Material], choices: Sequence[Choice], how: Bootstrap, reporter: Reporter
) -> Plan:
    """What makes the bundle start by itself; says what that costs."""
    from kitbag_packer.bootstrap import complete, offers_of, tell
    from kitbag_packer.starting import Runtime

    at_hand = {each.inspection.key: Runtime.of(each.build) for each in taken}
    to_come = {each.key: each for each in offers_of(choices)}
    plan = complete((to_come | at_hand).values(), how)
    tell(plan, how, reporter)
    return plan


def _write(
    materials: Sequence[Material],
    ready: Sequence[Ready],
    plan: Plan,
    made: Path,
    destination: Path,
    options: PackOptions,
    reporter: Reporter,
    supply: Supply | None,
) -> Packed:
    """Write the bundle; archives are re-compressed into the folder ``made``."""
    from kitbag_packer.assembly import assemble
    from kitbag_packer.bootstrap import tell_costs
    from kitbag_packer.environments.describing import shared, wheel_member
    from kitbag_packer.header.script import bundle_header
    from kitbag_packer.pyz import build_installer
    from kitbag_packer.writing import write_bundle, write_directory

    chosen = one_of_each(materials)
    tell_costs(chosen, reporter)
    if plan.recompressed:
        from kitbag_packer.recompression import recompressed

        chosen = [
            recompressed(each, made, reporter) if each.inspection.key in plan.recompressed else each
            for each in chosen
        ]
    overlays = _compiled(chosen, made.parent, options, reporter, supply)
    manifest = _manifest(chosen, overlays, ready, options, reporter)
    lists = {str(each.inspection.key): each.inspection.contents_list for each in chosen}
    payloads = [material.member for material in chosen]
    extra = [overlay.member for overlay in overlays.values()]
    wheels = [wheel_member(file) for file in shared(ready)]
    members = assemble(manifest, lists, payloads, build_installer(), extra, wheels)
    header = b"" if options.plain else bundle_header(manifest, lists)
    if options.directory:
        written = write_directory(destination, members, reporter=reporter)
    elif options.sevenzip:
        from kitbag_packer.sealing import write_sevenzip

        scratch, password = made.parent, options.password
        written = write_sevenzip(destination, members, header, password, scratch, reporter)
    else:
        written = write_bundle(
            destination,
            members,
            header=header,
            volume_size=options.volume_size,
            reporter=reporter,
        )
    in_place = not (options.directory or options.sevenzip or written.volumes)
    if in_place and written.size > PYTHON_LIMIT:
        reporter.warn(
            f"{destination}: larger than 4 GiB, so 'python3 FILE' needs Python 3.13 on the target; "
            "'kitbag install FILE' works with any; for FAT32 use --volume-size 4GiB-1"
        )
    return Packed(destination, written.size, written.sha256, manifest, written.volumes)


def _manifest(
    chosen: Sequence[Material],
    overlays: Mapping[BuildKey, Overlay],
    ready: Sequence[Ready],
    options: PackOptions,
    reporter: Reporter,
) -> Manifest:
    from kitbag_packer.environments.describing import described, shared

    return Manifest(
        format=FORMAT,
        requires=(ENVIRONMENTS,) if ready else (),
        name=options.name,
        version=options.version,
        kitbag=__version__,
        builds=tuple(
            replace(each.build, bytecode=overlays[key].bytecode)
            if (key := each.inspection.key) in overlays
            else each.build
            for each in chosen
        ),
        install=options.install,
        wheels=tuple(file.wheel for file in shared(ready)),
        environments=described(ready, reporter),
    )


def _compiled(
    materials: Sequence[Material],
    workdir: Path,
    options: PackOptions,
    reporter: Reporter,
    supply: Supply | None,
) -> dict[BuildKey, Overlay]:
    """The bytecode that travels along."""
    if not options.bytecode:
        return {}
    from kitbag_packer.bytecode.making import compile_builds
    from kitbag_packer.bytecode.memory import BytecodeMemory

    memory = BytecodeMemory(supply.cache.folder if supply else None)
    # A second time, after an archive had to be fetched anew, it is another folder.
    folder = Path(tempfile.mkdtemp(prefix="bytecode-", dir=workdir))
    return compile_builds(materials, options.bytecode, folder, memory, reporter, options.jobs)


def _check(
    sources: Sequence[str],
    choices: Sequence[Choice],
    carried: Carried,
    destination: Path,
    options: PackOptions,
) -> None:
    if not sources and not choices and not carried:
        raise UsageError("nothing to pack; name an archive or a Python with --from")
    if options.key is not None and len(sources) != 1:
        raise UsageError("--key names one build; give one --from with it")
    if not options.directory and destination.is_dir():
        raise UsageError(f"{destination}: a directory; name a file, or say --format dir")
    if not destination.absolute().parent.is_dir():
        raise UsageError(f"{destination.parent}: no such directory; make it first")
