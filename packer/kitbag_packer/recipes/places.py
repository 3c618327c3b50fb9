"""Where archives are that no public address has: a lock can't say it, catalogs at hand may."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kitbag_bundles.requests import Request
from kitbag_packer.catalogs.merging import collect
from kitbag_packer.catalogs.model import Interest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.resolution import Choice


def located(choices: Sequence[Choice], catalogs: Sequence[Catalog]) -> tuple[Choice, ...]:
    """The same choices; those without an address get that of the same archive in ``catalogs``.

    What no catalog has stays without one: the cache may have it. Raises :class:`CatalogError`.
    """
    lost = [choice.offer for choice in choices if not choice.offer.url]
    if not lost:
        return tuple(choices)
    interest = Interest(tuple(Request.parse(str(offer.key)) for offer in lost))
    found = {
        offer.filename: offer for offers in collect(catalogs, interest).values() for offer in offers
    }
    result = []
    for choice in choices:
        wanted = choice.offer
        have = None if wanted.url else found.get(wanted.filename)
        if have is None or have.sha256 not in ("", wanted.sha256):
            result.append(choice)
        else:
            result.append(replace(choice, offer=replace(wanted, url=have.url)))
    return tuple(result)
