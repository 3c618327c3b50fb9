"""From choices to materials: archives into the cache, and each looked through when it is there.

Downloads go on side by side while this thread looks through what has arrived. What was looked
through before is remembered.
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

    from kitbag_packer.cache import Cache, Entry
    from kitbag_packer.downloads.settings import DownloadSettings
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
    wanted = {_download(choice, supply.mirrors): choice for choice in choices}
    memory = Memory(supply.cache.folder)
    materials: dict[Download, Material] = {}
    failures: dict[Download, KitbagError] = {}

    def arrived(download: Download, entry: Entry) -> None:
        choice = wanted[download]
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

    fetched = fetch(list(wanted), supply.cache, supply.settings, reporter, arrived)
    failures.update(fetched.failures)
    raise_all(
        [failures[download] for download in wanted if download in failures],
        reporter,
        "builds could not be had, see above; what arrived is kept, so the next run goes on from "
        "there",
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
    return found


def spoiled(materials: Iterable[Material], cache: Cache) -> bool:
    """Read every archive that came from the cache again; whether one had to be thrown away."""
    ours = [each for each in materials if cache.folder in each.archive.parents]
    gone = [each for each in ours if cache.check(each.inspection.sha256) is None]
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
