"""Brings the stored lists up to date; one that can't be had does not stop the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import file_system_error
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.naming import is_address
from kitbag_packer.catalogs.opening import check_list
from kitbag_packer.catalogs.refreshing import refresh
from kitbag_packer.catalogs.storage import DEFAULT_SOURCES, Storage
from kitbag_packer.errors import CatalogError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kitbag_bundles.errors import KitbagError
    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.catalogs.storage import StoredList
    from kitbag_packer.downloads.settings import DownloadSettings


@dataclass(frozen=True)
class Updated:
    """What became of one source."""

    name: str
    """Its address, without credentials."""
    stored: StoredList | None
    """What is used from now on; ``None`` if there is nothing."""
    news: bool
    """Whether that is another list than before."""
    error: KitbagError | None
    """Why it could not be brought up to date."""


@dataclass(frozen=True)
class Extent:
    """How much a catalog knows."""

    archives: int
    builds: int
    """Different keys."""
    versions: int
    """Different versions, counted for each implementation."""


def update(
    given: Sequence[str],
    *,
    cache_dir: Path,
    settings: DownloadSettings,
    reporter: Reporter,
) -> tuple[Updated, ...]:
    """Store the lists at the addresses ``given``, by default the usual ones, in this order.

    Once all of them are stored, they are the ones that are used, and other stored lists are not.
    Raises :class:`CatalogError` for what is no address of a list, and :class:`FileSystemError`
    when the cache can't be written.
    """
    from kitbag_packer.downloads.addresses import shown

    sources = tuple(dict.fromkeys(given or DEFAULT_SOURCES))
    for url in sources:
        if not is_address(url) or url.endswith("/"):
            raise CatalogError(
                f"{shown(url)}: only lists with an address (http, https or file) are stored; "
                "name a file or a directory with --catalog when you pack"
            )
    storage = Storage(cache_dir, reporter)
    try:
        done = [_update(url, storage, settings, reporter) for url in sources]
        _set_places(storage, [each.stored for each in done])
    except OSError as error:
        raise file_system_error(error, str(cache_dir)) from error
    return tuple(done)


def _set_places(storage: Storage, fetched: Sequence[StoredList | None]) -> None:
    used = storage.used()
    if None in fetched:
        # What was there goes on being used, in its order; what is new comes after it.
        place = max((each.place or 0 for each in used), default=-1) + 1
        for number, stored in enumerate(each for each in fetched if each and each.place is None):
            storage.place(stored, place + number)
        return
    kept = {each.identity for each in fetched if each}
    for each in used:
        if each.identity not in kept:
            storage.place(each, None)
    for number, stored in enumerate(each for each in fetched if each):
        storage.place(stored, number)


def _update(url: str, storage: Storage, settings: DownloadSettings, reporter: Reporter) -> Updated:
    from kitbag_packer.downloads.addresses import shown

    try:
        found = refresh(
            url,
            storage,
            settings,
            lambda data: check_list(data, url),
            tell=reporter.info,
            must_keep=True,
        )
    except (DownloadError, CatalogError) as error:
        return Updated(shown(url), None, news=False, error=error)
    return Updated(shown(url), found.stored, found.news, found.problem)


def extent(catalog: Catalog) -> Extent:
    """Count what a catalog knows; raises :class:`CatalogError`."""
    keys = [offer.key for offer in catalog.offers(Interest())]
    builds = set(keys)
    versions = {(key.implementation, key.version) for key in builds}
    return Extent(len(keys), len(builds), len(versions))
