"""Which builds of a bundle a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import NoMatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from kitbag_bundles.keys import BuildKey, Version
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.requests import Request
    from kitbag_installer.hosts import Host


class Selection(NamedTuple):
    """The builds to install, in the order of their keys, and why what else was meant can't be.

    ``foreign`` are those of them that can't run on this host.
    """

    builds: tuple[Build, ...]
    refusals: tuple[str, ...]
    foreign: frozenset[BuildKey] = frozenset()


def select_builds(
    builds: Sequence[Build],
    requests: Sequence[Request],
    host: Host,
    upgrading: Collection[str] | None = None,
    *,
    foreign: bool = False,
) -> Selection:
    """What to install on ``host``.

    Without a request: everything that fits, and of each implementation, version and variant the
    one build that suits the host best, but nothing that is there for starting alone. A request
    that names no patch means the newest patch of each minor version that it matches. A build that
    is in doubt is chosen where nothing surer is.

    With ``upgrading``, the lines that are installed (:attr:`BuildKey.minor_key`), it is the newest
    patch of each line in any case, and of several that differ in their target alone the one whose
    line is installed.

    With ``foreign`` what is for other machines comes as well, each target for itself. Nothing is
    known of their CPUs, so every level that is there does.
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
        fitting = _surer(fitting, doubted)
        chosen = _best(fitting, host) if upgrading is None else _upgrades(fitting, upgrading, host)
        if foreign:
            there = [key for key, build in by_key.items() if not build.bootstrap]
            chosen |= _for_others(there, reasons)
        if not chosen:
            why = "; ".join(f"{key}: {reason}" for key, reason in reasons.items() if reason)
            refusals.append(f"nothing in the bundle fits this host, {host}; {why or 'it is empty'}")
    for request in requests:
        found = request.choose(by_key)
        if not found:
            raise NoMatch(f"no build in the bundle matches {request.text!r}; {_offer(by_key)}")
        fitting = _surer([key for key in found if not reasons[key]], doubted)
        others = _for_others(found, reasons) if foreign else set()
        if not fitting and not others:
            refusals.append(f"{found[0]} does not fit this host, {host}: {reasons[found[0]]}")
        if request.names_patch:
            chosen |= _best(fitting, host) | others
            continue
        if upgrading is None:
            chosen |= _best(_newest_patches(fitting), host)
        else:
            chosen |= _upgrades(fitting, upgrading, host)
        chosen |= set(_newest_of_lines(others).values())
    ordered = tuple(by_key[key] for key in sorted(chosen, key=_order))
    unfit = frozenset(key for key in chosen if reasons[key])
    return Selection(ordered, tuple(dict.fromkeys(refusals)), unfit)


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
            have = ", ".join(str(key) for key in sorted(keys, key=_order))
            have = have or "nothing; if it is in another root, name that with --root"
            raise NoMatch(f"nothing installed matches {request.text!r}; installed: {have}")
        chosen.update(found)
    return tuple(sorted(chosen, key=_order))


def _for_others(keys: Sequence[BuildKey], reasons: dict[BuildKey, str]) -> set[BuildKey]:
    """Those that can't run here, but for other levels of what can."""
    fitting = {_without_level(key) for key in keys if not reasons[key]}
    return {key for key in keys if reasons[key] and _without_level(key) not in fitting}


def _without_level(key: BuildKey) -> tuple[str, ...]:
    target = key.target
    return (key.implementation, str(key.version), key.variant, target.os, target.cpu, target.libc)


def _best(keys: Sequence[BuildKey], host: Host) -> set[BuildKey]:
    best: dict[tuple[str, str, str], BuildKey] = {}
    for key in keys:
        same = (key.implementation, str(key.version), key.variant)
        rival = best.get(same)
        if rival is None or host.liking(key) > host.liking(rival):
            best[same] = key
    return set(best.values())


def _newest_patches(keys: Sequence[BuildKey]) -> list[BuildKey]:
    newest: dict[tuple[str, str, str], Version] = {}
    for key in keys:
        line = _line_of_all_targets(key)
        newest[line] = max(key.version, newest.get(line, key.version))
    return [key for key in keys if newest[_line_of_all_targets(key)] == key.version]


def _newest_of_lines(keys: Iterable[BuildKey]) -> dict[str, BuildKey]:
    """Of each line the newest patch, a prerelease only where there is nothing else."""
    newest: dict[str, BuildKey] = {}
    for key in sorted(keys, key=lambda key: (not key.version.prerelease, key.version)):
        newest[key.minor_key] = key
    return newest


def _upgrades(keys: Sequence[BuildKey], installed: Collection[str], host: Host) -> set[BuildKey]:
    """The newest patch of each line that is installed, and of what is not there at all the best."""
    newest = _newest_of_lines(keys)
    known = {key for line, key in newest.items() if line in installed}
    # The same variant for another C library or CPU level would be a second one beside it.
    taken = {_line_of_all_targets(key) for key in known}
    fresh = [key for key in newest.values() if _line_of_all_targets(key) not in taken]
    return known | _best(_newest_patches(fresh), host)


def _line_of_all_targets(key: BuildKey) -> tuple[str, str, str]:
    return (key.implementation, key.version.minor_text, key.variant)


def _offer(by_key: dict[BuildKey, Build]) -> str:
    return "it has " + (", ".join(sorted(str(key) for key in by_key)) or "no builds")


def _order(key: BuildKey) -> tuple[object, ...]:
    return key.order()
