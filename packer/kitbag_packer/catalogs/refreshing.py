"""Keeps stored lists up to date: asks whether there is news, and makes do with a copy if it can't.

What arrives is read as a list before it takes the place of an older copy, so that the login page of
a network never does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_packer.catalogs.naming import is_remote
from kitbag_packer.errors import CatalogError, DownloadError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitbag_bundles.errors import KitbagError
    from kitbag_packer.catalogs.storage import Storage, StoredList
    from kitbag_packer.downloads.settings import DownloadSettings

_TRIES_WITH_A_COPY = 3


@dataclass(frozen=True)
class Refreshed:
    """What can be used now."""

    data: bytes
    date: str
    """When it was fetched, or last found unchanged."""
    stored: StoredList | None
    """``None`` where the cache can't be written."""
    news: bool
    """Whether the list is another one than the copy that was there."""
    problem: KitbagError | None
    """Why there may be a newer one."""


def refresh(
    url: str,
    storage: Storage,
    settings: DownloadSettings,
    check: Callable[[bytes], object],
    *,
    tell: Callable[[str], object],
    must_keep: bool = False,
) -> Refreshed:
    """The list at ``url``, fetched only if it is another one than the stored copy.

    ``check`` raises :class:`CatalogError` for data that is no list; ``tell`` gets a line before
    each pause between two tries. Raises :class:`OfflineError`,
    :class:`DownloadError` or :class:`CatalogError` when there is no copy either, and with
    ``must_keep`` the :class:`OSError` of a cache that can't be written.
    """
    from kitbag_packer.catalogs.storage import today
    from kitbag_packer.downloads.addresses import shown

    copy = storage.find(url)
    etag, modified = (copy.etag, copy.modified) if copy else ("", "")
    try:
        if settings.offline and is_remote(url):
            advice = "" if copy else "; there is no copy of it, so run the same command online once"
            raise OfflineError(f"{shown(url)}: --offline forbids fetching it{advice}")
        from kitbag_packer.downloads.documents import fetch_document

        if copy is not None:
            # There is something to go on with, so nobody shall wait for minutes.
            settings = replace(settings, retries=min(settings.retries, _TRIES_WITH_A_COPY))
        document = fetch_document(url, settings, etag=etag, modified=modified, tell=tell)
        if document is None and copy is None:
            raise DownloadError(f"{shown(url)}: the server sent nothing; try again later")
        if document is not None:
            check(document.data)
    except (DownloadError, CatalogError) as error:
        if copy is None:
            raise
        return Refreshed(copy.data, copy.fetched, copy, news=False, problem=error)
    if document is not None:
        data, etag, modified = document.data, document.etag, document.modified
    elif copy is not None:
        data = copy.data
    place = copy.place if copy else None
    news = copy is None or data != copy.data
    try:
        stored = storage.keep(url, data, etag=etag, modified=modified, place=place)
    except OSError:
        if must_keep:
            raise
        return Refreshed(data, today(), None, news, None)
    return Refreshed(data, today(), stored, news, None)
