"""From choices to materials: archives into the cache, and each looked through when it is there.

Downloads go on side by side while this thread looks through what has arrived. What was looked
through before is remembered. Files of packages come along in the same downloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import ArchiveError, KitbagError
from kitbag_packer.cache.memory import Memory
from kitbag_packer.downloads.fetching import Download, fetch
from kitbag_packer.errors import raise_all
from kitbag_packer.materials import Material, tell
from kitbag_packer.upstream import parse_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kitbag_packer.cache import Cache, Entry
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.environments.arrivals import Packages
    from kitbag_packer.environments.model import Planned, Ready
    from kitbag_packer.findings import Inspection
    from kitbag_packer.reporting import PackerReporter
    from kitbag_packer.resolution import Choice


@dataclass(frozen=True)
class Supply:
    """Where archives come from."""

    cache: Cache
    settings: DownloadSettings
    mirrors: tuple[str, ...] = ()


def gather(choices: Sequence[Choice], supply: Supply, reporter: PackerReporter) -> list[Material]:
    """Fetch and inspect the archives of ``choices``, in their order.

    What can be had is fetched even if something else fails. Raises the error of the one thing that
    failed, or one of the same kind for several, which were told before, in the order of
    ``choices``.
    """
    return _gather(choices, supply, reporter, None)[0]


def gather_all(
    choices: Sequence[Choice],
    planned: Sequence[Planned],
    supply: Supply,
    reporter: PackerReporter,
    *,
    scratch: Path,
    at_hand: Sequence[Material] = (),
    jobs: int = 0,
) -> tuple[list[Material], tuple[Ready, ...]]:
    """Fetch and inspect the archives of ``choices`` and the packages of ``planned`` together.

    Both come back in their order. In the folder ``scratch``, which need not be there, wheels are
    built, and they stay there. ``at_hand`` are builds that need not be fetched and may build,
    ``jobs`` is how many wheels are looked through or built at a time, 0 for as many as there are
    processors.
    Raises what :func:`gather` raises, also for packages; :class:`NoWheel` for what can't be built,
    :class:`UsageError` for wheels that don't go together, :class:`ArchiveError` and
    :class:`DigestMismatch` for bad ones.
    """
    if not planned:
        return gather(choices, supply, reporter), ()
    from kitbag_packer.environments.arrivals import Packages

    keys = [*(each.inspection.key for each in at_hand), *(each.offer.key for each in choices)]
    with Packages(planned, dict.fromkeys(keys), supply, scratch, reporter, jobs) as packages:
        for material in at_hand:
            packages.material(material)
        return _gather(choices, supply, reporter, packages)


def _gather(
    choices: Sequence[Choice],
    supply: Supply,
    reporter: PackerReporter,
    packages: Packages | None,
) -> tuple[list[Material], tuple[Ready, ...]]:
    wanted = {_download(choice, supply.mirrors): choice for choice in choices}
    memory = Memory(supply.cache.folder)
    materials: dict[Download, Material] = {}
    failures: dict[Download, KitbagError] = {}

    def arrived(download: Download, entry: Entry) -> None:
        choice = wanted.get(download)
        if choice is None:
            assert packages is not None, "nothing else was asked for"
            packages.arrived(download, entry)
            return
        try:
            inspection = _inspection(choice, entry, memory, reporter)
        except ArchiveError as error:
            failures[download] = error
            return
        materials[download] = Material(
            choice.request,
            entry.path,
            choice.offer.filename,
            inspection,
            choice.offer.canonical,
            choice.bootstrap,
        )
        if packages is not None:
            packages.material(materials[download])

    others = packages.downloads if packages is not None else ()
    fetched = fetch([*wanted, *others], supply.cache, supply.settings, reporter, arrived)
    failures.update(fetched.failures)
    broken: list[KitbagError] = [failures[each] for each in wanted if each in failures]
    ready: tuple[Ready, ...] = ()
    if packages is not None:
        try:
            ready = packages.finish(failures)
        except KitbagError as error:
            broken.append(error)
    raise_all(
        broken,
        reporter,
        f"{'builds' if packages is None else 'things'} could not be had, see above; what arrived "
        "is kept, so the next run goes on from there",
    )
    found = [materials[download] for download in wanted]
    for material, choice in zip(found, wanted.values(), strict=True):
        offer = choice.offer
        if not offer.sha256 and not offer.url.startswith("file:"):
            reporter.warn(
                f"{offer.key}: nobody published the SHA-256 of {offer.filename}, so what arrived "
                f"could not be checked; recorded is what was seen, {material.inspection.sha256}"
            )
        tell(material.inspection, material.inspection.notes, reporter)
    return found, ready


def spoiled(materials: Iterable[Material], cache: Cache, ready: Iterable[Ready] = ()) -> bool:
    """Read everything that came from the cache again; whether some had to be thrown away."""
    archives = {each.archive: each.inspection.sha256 for each in materials}
    wheels = {file.path: file.wheel.sha256 for each in ready for file in each.wheels}
    ours = [
        sha256 for path, sha256 in {**archives, **wheels}.items() if cache.folder in path.parents
    ]
    gone = [sha256 for sha256 in ours if cache.check(sha256) is None]
    return bool(gone)


def _download(choice: Choice, mirrors: Sequence[str]) -> Download:
    from kitbag_packer.downloads.addresses import addresses

    offer = choice.offer
    places = addresses(offer, mirrors) if offer.url else ()
    return Download(str(offer.key), places, offer.filename, offer.sha256, offer.size)


def _inspection(
    choice: Choice, entry: Entry, memory: Memory, reporter: PackerReporter
) -> Inspection:
    from kitbag_packer.inspection import inspect_archive

    offer = choice.offer
    # What the name tells is held against the inside; only what it leaves open comes from a catalog.
    said = parse_filename(offer.filename)
    key = None if said is not None and said.key is not None else offer.key
    found = memory.recall(entry.sha256, offer.filename, key)
    if found is None:
        found = inspect_archive(entry.path, filename=offer.filename, key=key, reporter=reporter)
        if found.sha256 == entry.sha256:
            memory.remember(found, offer.filename, key)
    if found.key != offer.key:
        raise ArchiveError(
            f"{offer.filename} holds {found.key}, and the catalog {offer.catalog} says "
            f"{offer.key}; tell whoever keeps that catalog"
        )
    return found
