"""Finds out what catalogs leave out of an archive: its size, and its digest if nobody publishes it.

Asking for a size costs a few hundred bytes; an archive is fetched only where nobody tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_packer.errors import OfflineError, raise_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.cache import Cache
    from kitbag_packer.catalogs.model import Offer
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.reporting import PackerReporter


class Measuring:
    """What asks the cache, then the servers, and then fetches."""

    def __init__(
        self,
        mirrors: Sequence[str],
        settings: DownloadSettings,
        cache: Cache,
        reporter: PackerReporter,
    ) -> None:
        self._mirrors = mirrors
        self._settings = settings
        self._cache = cache
        self._reporter = reporter

    def run(self, offers: Sequence[Offer]) -> dict[Offer, tuple[int, str]]:
        """Bytes and SHA-256 of each of ``offers``; raises :class:`DownloadError`."""
        sizes = {offer: self._known_size(offer) for offer in offers if offer.sha256}
        sizes |= self._asked_sizes([offer for offer, size in sizes.items() if size is None])
        found = {offer: (size, offer.sha256) for offer, size in sizes.items() if size is not None}
        return found | self._fetched([offer for offer in offers if offer not in found])

    def _known_size(self, offer: Offer) -> int | None:
        if offer.size is not None:
            return offer.size
        entry = self._cache.find(offer.sha256)
        return entry.size if entry else None

    def _asked_sizes(self, offers: Sequence[Offer]) -> dict[Offer, int | None]:
        from kitbag_packer.downloads.sizes import measure

        if not offers:
            return {}
        sizes = measure([self._addresses(offer) for offer in offers], self._settings)
        return dict(zip(offers, sizes, strict=True))

    def _fetched(self, offers: Sequence[Offer]) -> dict[Offer, tuple[int, str]]:
        from kitbag_packer.downloads.addresses import is_local
        from kitbag_packer.downloads.fetching import Download, fetch

        if not offers:
            return {}
        downloads = {}
        places = {offer: self._addresses(offer) for offer in offers}
        if self._settings.offline:
            far = [offer for offer in offers if not any(map(is_local, places[offer]))]
            if far:
                raise OfflineError(_out_of_reach(far))
        for offer, addresses in places.items():
            download = Download(str(offer.key), addresses, offer.filename, offer.sha256, offer.size)
            downloads[offer] = download
            self._reporter.info(f"{offer.filename}: fetched, because no catalog tells all about it")
        fetched = fetch(list(downloads.values()), self._cache, self._settings, self._reporter)
        raise_all(
            list(fetched.failures.values()),
            self._reporter,
            "archives could not be fetched, see above; nothing is locked",
        )
        entries = {offer: fetched.entries[download] for offer, download in downloads.items()}
        return {offer: (entry.size, entry.sha256) for offer, entry in entries.items()}

    def _addresses(self, offer: Offer) -> tuple[str, ...]:
        from kitbag_packer.downloads.addresses import addresses

        return addresses(offer, self._mirrors)


def _out_of_reach(offers: Sequence[Offer]) -> str:
    what = "size" if offers[0].sha256 else "SHA-256"
    others = f" (and {len(offers) - 1} more)" if len(offers) > 1 else ""
    return (
        f"{offers[0].filename}{others}: no catalog tells its {what}, it is not in the cache, and "
        "--offline forbids asking; lock without it"
    )
