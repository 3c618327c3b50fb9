"""Says in one line why requests match nothing, and what would have matched.

Looks at the catalogs once more, without what the requests restrict; only after a failure.
"""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.implementations import implementation_named
from kitbag_bundles.requests import Request
from kitbag_packer.catalogs.model import Interest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey, Target, Version
    from kitbag_packer.catalogs.model import Catalog, Offer
    from kitbag_packer.flavors import Flavor

    Stock = Mapping[BuildKey, tuple[Offer, ...]]

__all__ = ["no_match"]

_FAILURES = 5
_LONGEST = 60
_SHOWN = 4
_OLD = 30  # days
_REMOTE = ("https://", "http://")


def no_match(
    failures: Sequence[tuple[Request, Target | None]], catalogs: Sequence[Catalog], flavor: Flavor
) -> NoMatch:
    """The error for requests that match nothing on a target (``None``: on any at all)."""
    from kitbag_packer.catalogs.merging import collect

    wide = tuple(dict.fromkeys(_opened(request) for request, _ in failures))
    stock = collect(catalogs, Interest(wide))
    reasons: dict[tuple[str, str], list[str]] = {}
    for request, target in failures:
        why = _why(request, target, stock, flavor)
        where = reasons.setdefault((_short(request.text), why), [])
        where += [str(target)] if target else []
    lines = [
        f"nothing matches {text}{' for ' if where else ''}{_listed(where)}: {why}"
        for (text, why), where in reasons.items()
    ]
    if len(lines) > _FAILURES:
        lines[_FAILURES:] = [f"and {len(lines) - _FAILURES} more like these"]
    return NoMatch("; ".join((*lines, *_advice(catalogs))))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _opened(request: Request) -> Request:
    return Request("", implementation=request.implementation, variant=None)


def _why(request: Request, target: Target | None, stock: Stock, flavor: Flavor) -> str:
    asked = request.implementation
    name = implementation_named(asked).title if asked else "Python"
    keys = [key for key in stock if request.implementation in ("", key.implementation)]
    here = keys if target is None else [key for key in keys if key.target == target]
    open_request = replace(request, os="", arch="", libc="")
    elsewhere = [key for key in keys if open_request.matches(key)]
    if not keys:
        return f"the catalogs have no {name}"
    if not here:
        return f"there is no {name} for that, only for {_targets(elsewhere or keys, target)}"
    found = [key for key in here if open_request.matches(key)]
    if any(request.matches(key) for key in found):
        kinds = sorted({_kind(offer, flavor) for key in found for offer in stock[key]})
        return f"there is no {flavor} of it, only {_listed(kinds)}"
    if found:
        # The request names a platform that its implementation never has, as of a Pyodide.
        return f"it is only for {_targets(found, None)}"
    other = [key for key in here if request.admits(key.implementation, key.version)]
    reason = _variants(request, here, other) if other else _versions(request, here)
    if elsewhere:
        return f"it is only for {_targets(elsewhere, target)}, and on this target {reason}"
    return reason


def _kind(offer: Offer, flavor: Flavor) -> str:
    options = sorted(offer.options, reverse=True) if flavor.options else []
    return "+".join((*options, offer.flavor or "the usual kind"))


def _targets(keys: Iterable[BuildKey], wanted: Target | None) -> str:
    """The targets of ``keys``, the most similar first."""
    found = sorted({key.target for key in keys}, key=str)
    plain = [str(target) for target in found if target.cpu_level == 1] or [*map(str, found)]
    near = difflib.get_close_matches(str(wanted), plain, _SHOWN, 0.0) if wanted else []
    return _listed(list(dict.fromkeys((*near, *plain))))


def _variants(request: Request, here: list[BuildKey], other: list[BuildKey]) -> str:
    wanted = f"+{request.variant}" if request.variant else "ordinary"
    newest = _newest(key.version for key in here if key.variant == request.variant)
    found = sorted({f"+{key.variant}" if key.variant else "an ordinary one" for key in other})
    hint = f", the newest {wanted} build is {newest}" if newest else ""
    return f"there is no {wanted} build of it, only {_listed(found)}{hint}"


def _versions(request: Request, here: list[BuildKey]) -> str:
    """Which versions there are instead."""
    known = sorted({key.version for key in here if request.variant in (None, key.variant)})
    known = known or sorted({key.version for key in here})
    numbers = request.release
    minors = list(dict.fromkeys(version.minor_text for version in known))
    of_minor = [version for version in known if (version.major, version.minor) == numbers[:2]]
    newest = _newest(of_minor)
    if newest is None:
        span = _listed(minors) if len(minors) <= _SHOWN else f"{minors[0]} to {minors[-1]}"
        versions = f"the versions are {span}, " if len(minors) > 1 else ""
        return f"{versions}the newest is {_newest(known)}"
    near = [str(version) for version in _near(of_minor, request) if version != newest]
    nearest = f", the nearest {'are' if len(near) > 1 else 'is'} {_listed(near)}" if near else ""
    return f"the newest {newest.minor_text} is {newest}{nearest}"


def _near(known: list[Version], request: Request) -> list[Version]:
    """Those below and above the one that is asked for."""
    if request.prerelease:
        return [version for version in known if version.prerelease]
    patch = request.release[2] if request.names_patch else 0
    below = [each for each in known if each.patch <= patch and not each.prerelease]
    above = [each for each in known if each.patch > patch]
    return [*below[-1:], *above[:1]]


def _newest(versions: Iterable[Version]) -> Version | None:
    """The newest final version, or prerelease if there is no other."""
    known = sorted(versions, key=lambda version: (not version.prerelease, version))
    return known[-1] if known else None


def _listed(words: Sequence[str]) -> str:
    shown = list(words[:_SHOWN])
    if len(words) > _SHOWN:
        shown.append(f"{len(words) - _SHOWN} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _advice(catalogs: Sequence[Catalog]) -> list[str]:
    """What to do where newer lists might help."""
    embedded = [catalog.date for catalog in catalogs if catalog.name == "embedded"]
    fetched = [catalog.date for catalog in catalogs if catalog.name.startswith(_REMOTE)]
    dates = fetched or embedded
    if not dates or (fetched and not _is_old(max(fetched))):
        return []
    known = f"the newest list is of {max(dates)}; " if max(dates) else ""
    return [f"{known}kitbag catalog update fetches newer ones"]


def _is_old(date: str) -> bool:
    try:
        day = dt.date.fromisoformat(date[:10])
    except ValueError:
        return True
    return dt.datetime.now(dt.UTC).date() - day > dt.timedelta(days=_OLD)
