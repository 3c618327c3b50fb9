"""Several catalogs as one: the first that knows a build is asked, the others fill in the gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kitbag_bundles.requests import Request
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.naming import UNVERSIONED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey, Version
    from kitbag_packer.catalogs.files import Unversioned
    from kitbag_packer.catalogs.model import Catalog, Offer


def collect(
    catalogs: Sequence[Catalog], interest: Interest, flavor: str = ""
) -> dict[BuildKey, tuple[Offer, ...]]:
    """The archives of every build of interest, from the first catalog that knows the build.

    With ``flavor``, from the first one that knows it in that flavor. What an offer lacks of sha256,
    size and canonical address is taken from later catalogs' offers of the same file for the same
    build, unless their digests or sizes differ. Raises :class:`CatalogError`.
    """
    listed = _listed(catalogs, interest)
    owners: dict[BuildKey, int] = {}
    chosen: dict[BuildKey, dict[str, Offer]] = {}
    for number, offers in enumerate(listed):
        for offer in offers:
            if flavor and offer.flavor != flavor:
                continue
            key = offer.key
            owner = owners.get(key)
            if owner is None:
                owner = owners[key] = number if interest.in_key(key) else -1
            if owner == number:
                chosen.setdefault(key, {}).setdefault(offer.filename, offer)
    others = _others(chosen, listed)
    return {
        key: tuple(
            _filled(offer, others.get(offer.filename, ()), owners[key]) for offer in offers.values()
        )
        for key, offers in chosen.items()
    }


def _listed(catalogs: Sequence[Catalog], interest: Interest) -> list[list[Offer]]:
    listed = [list(catalog.offers(interest)) for catalog in catalogs]
    versions: Mapping[str, Version] | None = None
    for catalog, offers in zip(catalogs, listed, strict=True):
        unversioned: Iterable[Unversioned] = getattr(catalog, "unversioned", lambda _: ())(interest)
        for each in unversioned:
            if versions is None:
                versions = _versions(catalogs)
            offer = _identified(each, versions) or _looked_into(each, catalog)
            if offer is not None:
                offers.append(offer)
    return listed


def _versions(catalogs: Iterable[Catalog]) -> dict[str, Version]:
    """What catalogs say of archives whose names don't tell, the first one first."""
    requests = tuple(Request(text=name, implementation=name, variant=None) for name in UNVERSIONED)
    versions: dict[str, Version] = {}
    for catalog in catalogs:
        for offer in catalog.offers(Interest(requests)):
            versions.setdefault(offer.filename, offer.key.version)
    return versions


def _identified(unversioned: Unversioned, versions: Mapping[str, Version]) -> Offer | None:
    version = versions.get(unversioned.file.filename)
    return unversioned.offer(version) if version is not None else None


def _looked_into(unversioned: Unversioned, catalog: Catalog) -> Offer | None:
    version: Version | None = getattr(catalog, "identify", lambda _: None)(unversioned)
    return unversioned.offer(version) if version is not None else None


def _others(
    chosen: Mapping[BuildKey, Mapping[str, Offer]], listed: Sequence[Sequence[Offer]]
) -> dict[str, list[tuple[int, Offer]]]:
    """The offers of later catalogs by file name, for the names that were chosen."""
    names = {filename for offers in chosen.values() for filename in offers}
    others: dict[str, list[tuple[int, Offer]]] = {}
    for number, offers in enumerate(listed[1:], 1):
        for offer in offers:
            if offer.filename in names:
                others.setdefault(offer.filename, []).append((number, offer))
    return others


def _filled(offer: Offer, others: Iterable[tuple[int, Offer]], owner: int) -> Offer:
    for number, other in others:
        if number <= owner or other.key != offer.key or _differ(offer, other):
            continue
        sha256 = offer.sha256 or other.sha256
        size = offer.size if offer.size is not None else other.size
        canonical = offer.canonical or other.canonical
        if (sha256, size, canonical) != (offer.sha256, offer.size, offer.canonical):
            offer = replace(offer, sha256=sha256, size=size, canonical=canonical)
    return offer


def _differ(one: Offer, other: Offer) -> bool:
    digests = bool(one.sha256 and other.sha256) and one.sha256 != other.sha256
    return digests or (None not in (one.size, other.size) and one.size != other.size)
