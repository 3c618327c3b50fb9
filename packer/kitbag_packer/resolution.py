"""From requests and targets to the archives to fetch. Pure: no network, no files.

One request stands for one build on each target: the newest that matches. What is best among
several archives of one build is :mod:`kitbag_packer.flavors`' business, what a target is
:mod:`kitbag_packer.targets`', and why nothing matched :mod:`kitbag_packer.mismatch`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS
from kitbag_bundles.requests import Request
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.errors import Unverified
from kitbag_packer.flavors import Flavor, best, parse_flavor
from kitbag_packer.targets import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey, Target, Version
    from kitbag_packer.catalogs.model import Catalog, Offer

    Stock = Mapping[BuildKey, tuple[Offer, ...]]

__all__ = ["Choice", "available", "differing", "resolve"]

_SHOWN = 5
_EVERYTHING = (Request("any"), Request("pyodide", "pyodide"))


@dataclass(frozen=True)
class Choice:
    """One build to pack, and why."""

    request: str
    """The request that asked for it, as it was written; the first one if several did."""
    target: Target
    """The target that it was asked for; Pyodide's own for a Pyodide."""
    offer: Offer
    bootstrap: bool = False
    """Whether nobody asked for it, and it is there for the bundle to start by itself."""


def resolve(
    requests: Sequence[Request],
    targets: Sequence[str],
    catalogs: Sequence[Catalog],
    *,
    flavor: str = "",
    allow_unverified: bool = False,
) -> tuple[Choice, ...]:
    """The best archive for every request on every target, in the order of the keys.

    ``targets`` are the texts of ``--target``: targets, ``host``, ``all``; none means ``host``.
    Raises :class:`NoMatch` that says what would have matched, :class:`Unverified`,
    :class:`UsageError`, and :class:`CatalogError` for a catalog that can't be read.
    """
    wanted, kind = Wanted.parse(targets), parse_flavor(flavor)
    stock = _collect(requests, wanted, catalogs, kind)
    choices: dict[BuildKey, Choice] = {}
    failures: list[tuple[Request, Target | None]] = []
    for request in requests:
        keys = _suitable(request, stock)
        for target in wanted.of(request, {key.target for key in keys}) or (None,):
            offer = _newest(request, [key for key in keys if key.target == target], stock)
            if target is None or offer is None:
                failures.append((request, target))
            else:
                choices.setdefault(offer.key, Choice(request.text, target, offer))
    if failures:
        from kitbag_packer.mismatch import no_match

        raise no_match(failures, catalogs, kind)
    ordered = tuple(choices[key] for key in sorted(choices, key=_order))
    if not allow_unverified:
        _check_digests(ordered)
    return ordered


def available(
    requests: Sequence[Request],
    targets: Sequence[str],
    catalogs: Sequence[Catalog],
    *,
    all_versions: bool = False,
    flavor: str = "",
) -> tuple[Offer, ...]:
    """What can be packed, newest first, and of each build the archive that would be taken.

    No requests mean everything of the usual variant. Of each minor version there is the newest
    build, or with ``all_versions`` every one. Raises :class:`NoMatch` if a request matches nothing
    on any target, :class:`UsageError`, :class:`CatalogError`.
    """
    wanted, kind = Wanted.parse(targets), parse_flavor(flavor)
    asked = tuple(requests) or _EVERYTHING
    stock = _collect(asked, wanted, catalogs, kind)
    found: dict[BuildKey, Offer] = {}
    missing: list[tuple[Request, Target | None]] = []
    for request in asked:
        keys = _suitable(request, stock)
        listed: list[BuildKey] = []
        named = wanted.of(request, {key.target for key in keys}) or (None,)
        for target in named:
            here = [key for key in keys if key.target == target]
            listed += _list(request, here, stock, all_versions=all_versions)
        found |= {key: best(stock[key]) for key in listed}
        if not listed:
            missing += [(request, target) for target in named]
    if not found or (requests and missing):
        from kitbag_packer.mismatch import no_match

        raise no_match(missing, catalogs, kind)
    return tuple(found[key] for key in _newest_first(found))


def differing(choices: Iterable[Choice]) -> dict[str, tuple[Choice, ...]]:
    """Those requests that got another version for one target than for another, with both."""
    by_request: dict[str, list[Choice]] = {}
    for choice in choices:
        by_request.setdefault(choice.request, []).append(choice)
    return {
        request: tuple(many)
        for request, many in by_request.items()
        if len({(each.offer.key.implementation, each.offer.key.version) for each in many}) > 1
    }


def _collect(
    requests: Sequence[Request], wanted: Wanted, catalogs: Sequence[Catalog], flavor: Flavor
) -> Stock:
    """Every archive of interest that ``flavor`` admits, by key."""
    from kitbag_packer.catalogs.merging import collect

    targets = None
    if not wanted.everything:
        targets = frozenset(each for request in requests for each in wanted.of(request, ()))
    bound, free = [], []
    for request in requests:
        named = (request.implementation,) if request.implementation else IMPLEMENTATIONS
        if any(flavor.binds(name) for name in named):
            bound.append(request)
        if not all(flavor.binds(name) for name in named):
            free.append(request)
    stock: dict[BuildKey, tuple[Offer, ...]] = {}
    # Which catalog knows a build depends on the flavor where there is one, and not elsewhere.
    for group, kind in ((free, ""), (bound, flavor.kind)):
        if not group:
            continue
        for key, offers in collect(catalogs, Interest(tuple(group), targets), kind).items():
            fit = tuple(offer for offer in offers if flavor.admits(offer))
            if fit and flavor.binds(key.implementation) == bool(kind):
                stock[key] = fit
    return stock


def _suitable(request: Request, stock: Stock) -> list[BuildKey]:
    return [key for key in stock if request.matches(key)]


def _newest(request: Request, keys: list[BuildKey], stock: Stock) -> Offer | None:
    """The archive to take for ``request`` among ``keys``, all of one target."""
    chosen = request.choose(_preferred(keys, stock))
    if not chosen:
        return None
    return best(stock[max(chosen, key=_merit)])


def _list(
    request: Request, keys: list[BuildKey], stock: Stock, *, all_versions: bool
) -> list[BuildKey]:
    """Those of ``keys``, all of one target, that a list for ``request`` names."""
    if all_versions:
        return request.choose(keys) if request.latest else keys
    groups: dict[tuple[str, str, str], list[BuildKey]] = {}
    for key in request.choose(keys) if request.latest else keys:
        minor = (key.implementation, key.variant, key.version.minor_text)
        groups.setdefault(minor, []).append(key)
    return [max(request.choose(_preferred(many, stock)), key=_merit) for many in groups.values()]


def _preferred(keys: list[BuildKey], stock: Stock) -> list[BuildKey]:
    """Those that can load extension modules, if there are any."""
    loading = [key for key in keys if not all(offer.static for offer in stock[key])]
    return loading or keys


def _merit(key: BuildKey) -> tuple[int, int, Version]:
    """A sort key, larger is better, for builds of one target."""
    return (
        -IMPLEMENTATIONS.index(key.implementation),
        -VARIANTS.index(key.variant),
        key.version,
    )


def _order(key: BuildKey) -> tuple[int, Version, int, str]:
    return key.order()


def _newest_first(keys: Iterable[BuildKey]) -> list[BuildKey]:
    """uv's order of a list: implementation, newest version, target, variant."""
    plain = sorted(keys, key=lambda key: (str(key.target), VARIANTS.index(key.variant)))
    plain.sort(key=lambda key: key.version, reverse=True)
    return sorted(plain, key=lambda key: IMPLEMENTATIONS.index(key.implementation))


def _check_digests(choices: Sequence[Choice]) -> None:
    # A file at hand is its owner's to judge, as with --from; only what arrives has to be checked.
    unknown = [
        choice.offer
        for choice in choices
        if not choice.offer.sha256 and not choice.offer.url.startswith("file:")
    ]
    if not unknown:
        return
    names = [f"{offer.key} ({offer.filename})" for offer in unknown[:_SHOWN]]
    if len(unknown) > _SHOWN:
        names.append(f"{len(unknown) - _SHOWN} more")
    raise Unverified(
        f"no SHA-256 is known for {', '.join(names)}, so what arrives can't be checked; name a "
        "--catalog that has digests, or accept it with --allow-unverified"
    )
