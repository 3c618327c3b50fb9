"""Which environments of a bundle an install is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kitbag_installer.environments.naming import check_names
from kitbag_installer.preflight.points import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.environments import Environment
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build, Manifest
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.hosts import Host


class Chosen(NamedTuple):
    """The environments to install, and what is in their way."""

    environments: tuple[Environment, ...]
    """Of each name one, in the order of the names; each has a build."""
    points: tuple[Point, ...]


def select_environments(
    manifest: Manifest,
    names: Sequence[str],
    requests: Sequence[Request],
    host: Host,
    where: str,
) -> Chosen:
    """What to install on ``host``: the environments ``names``, or all if nothing is asked for.

    Of several for builds that run here it is the one of the newest; with ``requests`` beside
    ``names``, the newest that they match. One that is for other machines only is passed over, but
    not where it was named. Raises :class:`NoMatch` if a name is not in the bundle.
    """
    by_name: dict[str, list[Environment]] = {}
    for each in manifest.environments:
        by_name.setdefault(each.name, []).append(each)
    check_names(names, by_name, where)
    if requests and not names:
        return Chosen((), ())
    builds = {build.key: build for build in manifest.builds}
    chosen: list[Environment] = []
    points: list[Point] = []
    for name in sorted(set(names) or by_name):
        reasons: dict[str, str] = {}
        fitting: list[tuple[object, Environment]] = []
        for each in by_name[name]:
            why = _unfit(each, builds, host)
            if why:
                reasons[each.target] = why
            elif each.python is not None:
                asked = any(request.matches(each.python) for request in requests)
                rank = (asked, each.python.version, host.liking(each.python))
                fitting.append((rank, each))
        if fitting:
            best = max(fitting, key=lambda pair: pair[0])[1]  # type: ignore[arg-type, return-value]
            chosen.append(best)
            points += _doubts(best, host)
        elif names or any(_is_for(each.python, host) for each in by_name[name]):
            said = "; ".join(f"{target}: {why}" for target, why in reasons.items())
            points.append(Point("target", f"{name} does not fit this host, {host}; {said}"))
    return Chosen(tuple(chosen), tuple(points))


def warn_of_foreign(manifest: Manifest, chosen: Sequence[Environment], reporter: Reporter) -> None:
    """Tell which environments stay out although what is for other machines was asked for."""
    known = {each.target for each in chosen}
    others = sorted({each.target for each in manifest.environments if each.target not in known})
    if others:
        reporter.warn(
            f"environments for {', '.join(others)} are left out: an environment is made on the "
            "machine that it is for; install the bundle there"
        )


def _is_for(key: BuildKey | None, host: Host) -> bool:
    return key is not None and not host.unfit(key)


def _unfit(environment: Environment, builds: dict[BuildKey, Build], host: Host) -> str:
    """Why it can't be installed on ``host``, as a clause; empty if it can."""
    key = environment.python
    if key is None:
        return "it is a wheelhouse, which has no Python; see kitbag export"
    reason = host.unfit(key) or host.lacks(builds[key])
    needed, has = environment.glibc, host.libc_version
    if not reason and needed and has and _numbers(needed) > _numbers(has):
        return f"its packages need glibc {needed}, this system has {has}"
    return reason


def _doubts(environment: Environment, host: Host) -> list[Point]:
    needed, has = environment.os, host.os_version
    if not needed or not has or _numbers(needed) <= _numbers(has):
        return []
    message = f"{environment.name}: its packages need {host.os} {needed}, this is {has}"
    advice = "pack it for older systems"
    return [Point("os-version", f"{message}; {advice}", advice=True)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
