"""Which builds of a bundle a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import NoMatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey, Version
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.requests import Request
    from kitbag_installer.hosts import Host


class Selection(NamedTuple):
    """The builds to install, in the order of their keys, and why what else was meant can't be."""

    builds: tuple[Build, ...]
    refusals: tuple[str, ...]


def select_builds(builds: Sequence[Build], requests: Sequence[Request], host: Host) -> Selection:
    """What to install on ``host``.

    Without a request: everything that fits, and of each implementation, version and variant the
    one build that suits the host best, but nothing that is there for starting alone. A request
    that names no patch means the newest patch of each minor version that it matches. A build that
    is in doubt is chosen where nothing surer is.
    Raises :class:`NoMatch` if the bundle has nothing of that name.
    """
    by_key = {build.key: build for build in builds}
    reasons = {key: host.unfit(key) or host.lacks(build) for key, build in by_key.items()}
    doubted = {key for key, build in by_key.items() if host.doubts(build)}
    chosen: set[BuildKey] = set()
    refusals = []
    if not requests:
        fitting = [
            key for key, reason in reasons.items() if not reason and not by_key[key].bootstrap
        ]
        chosen = _best(_surer(fitting, doubted))
        if not chosen:
            why = "; ".join(f"{key}: {reason}" for key, reason in reasons.items() if reason)
            refusals.append(f"nothing in the bundle fits this host, {host}; {why or 'it is empty'}")
    for request in requests:
        found = request.choose(by_key)
        if not found:
            raise NoMatch(f"no build in the bundle matches {request.text!r}; {_offer(by_key)}")
        fitting = _surer([key for key in found if not reasons[key]], doubted)
        if not fitting:
            refusals.append(f"{found[0]} does not fit this host, {host}: {reasons[found[0]]}")
        chosen |= _best(fitting if request.names_patch else _newest_patches(fitting))
    ordered = tuple(by_key[key] for key in sorted(chosen, key=_order))
    return Selection(ordered, tuple(dict.fromkeys(refusals)))


def _surer(keys: list[BuildKey], doubted: set[BuildKey]) -> list[BuildKey]:
    return [key for key in keys if key not in doubted] or keys


def matching_keys(keys: Sequence[BuildKey], requests: Sequence[Request]) -> tuple[BuildKey, ...]:
    """Those of the installed ``keys`` that a request names; all of them without a request.

    Raises :class:`NoMatch`, naming the request, if one of them names nothing.
    """
    if not requests:
        return tuple(sorted(keys, key=_order))
    chosen: set[BuildKey] = set()
    for request in requests:
        found = [key for key in keys if request.matches(key)]
        if request.latest:
            found = request.choose(found)
        if not found:
            have = ", ".join(str(key) for key in sorted(keys, key=_order)) or "nothing"
            raise NoMatch(f"nothing installed matches {request.text!r}; installed: {have}")
        chosen.update(found)
    return tuple(sorted(chosen, key=_order))


def _best(keys: Sequence[BuildKey]) -> set[BuildKey]:
    best: dict[tuple[str, str, str], BuildKey] = {}
    for key in keys:
        same = (key.implementation, str(key.version), key.variant)
        rival = best.get(same)
        if rival is None or key.target.cpu_level > rival.target.cpu_level:
            best[same] = key
    return set(best.values())


def _newest_patches(keys: Sequence[BuildKey]) -> list[BuildKey]:
    newest: dict[tuple[str, str, str], Version] = {}
    for key in keys:
        line = (key.implementation, key.version.minor_text, key.variant)
        newest[line] = max(key.version, newest.get(line, key.version))
    return [
        key
        for key in keys
        if newest[key.implementation, key.version.minor_text, key.variant] == key.version
    ]


def _offer(by_key: dict[BuildKey, Build]) -> str:
    return "it has " + (", ".join(sorted(str(key) for key in by_key)) or "no builds")


def _order(key: BuildKey) -> tuple[object, ...]:
    return key.order()
