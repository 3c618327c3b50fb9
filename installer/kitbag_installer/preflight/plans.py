"""What an install is going to do, and what is in its way: everything before the first write."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import DoesNotFit, FileSystemError
from kitbag_bundles.members import INSTALLER
from kitbag_installer.preflight.actions import (
    IDLE,
    action_for,
    check_additions,
    is_there,
)
from kitbag_installer.preflight.checks import Tree, check_needs, check_place
from kitbag_installer.preflight.points import Point, in_order
from kitbag_installer.selection import Selection, select_builds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.requests import Request
    from kitbag_installer.environments.actions import PlannedEnvironment
    from kitbag_installer.hosts import Host
    from kitbag_installer.preflight.demand import Demand
    from kitbag_installer.preflight.places import Place
    from kitbag_installer.roots import Root


_ANOTHER = "choose another build"
_CURES = {"node": f"install it, or {_ANOTHER}"}


class Plan(NamedTuple):
    """An install before it begins."""

    root: Root
    builds: tuple[Build, ...]
    """What was chosen, in the order of the keys; what is there already too."""
    actions: tuple[str, ...]
    """For each of them what :func:`kitbag_installer.preflight.actions.action_for` says."""
    place: Place
    demand: Demand
    points: tuple[Point, ...]
    """What fails, in the order of their codes; empty if it is going to work."""
    pruned: tuple[BuildKey, ...] = ()
    """Older patches that are going to be removed."""
    kept: tuple[str, ...] = ()
    """A line about each that would be among these if nobody had added something to it."""
    foreign: frozenset[BuildKey] = frozenset()
    """Those of ``builds`` that can't run on this host."""
    environments: tuple[PlannedEnvironment, ...] = ()
    """The environments that were chosen, in the order of their names."""
    needed: frozenset[BuildKey] = frozenset()
    """Those of ``builds`` that nobody asked for and an environment needs."""

    @property
    def coming(self) -> dict[BuildKey, str]:
        """What of ``builds`` will be there: its release, or empty for one that is there now."""
        return {
            build.key: "" if action in IDLE else build.release
            for build, action in zip(self.builds, self.actions)
            if action != "newer-present" or is_there(self.root, build.key)
        }


def plan_install(
    bundle: Bundle,
    root: Root,
    requests: Sequence[Request],
    host: Host,
    *,
    reinstall: bool,
    bin_dir: str,
    upgrade: bool = False,
    prune: bool = False,
    foreign: bool = False,
    bytecode: bool = True,
    names: Sequence[str] = (),
    seen_as: str = "",
) -> Plan:
    """Choose what ``requests`` name, or everything that fits ``host``, and hold it against both.

    ``names`` are those of environments; each brings its build along. ``seen_as`` is the path that
    the root will have, empty for its own. ``bytecode`` says whether what the bundle brings along
    of that counts. Reads the contents lists of what is to be installed. Raises :class:`NoMatch`,
    :class:`DoesNotFit` for a bundle of packages alone, and :class:`IntegrityError` for one that is
    damaged.
    """
    if bundle.manifest.environments and not bundle.manifest.builds:
        raise DoesNotFit(
            f"{bundle.path} has packages and no Python to install; 'kitbag export' writes them "
            "into a directory for pip and uv"
        )
    there = _installed(root) if upgrade else None
    lines = None if there is None else {key.minor_key for key in there}
    planned, points = _plan_environments(
        bundle, root, names, requests, host, reinstall=reinstall, seen_as=seen_as
    )
    chosen = Selection((), ())
    if requests or not names:
        chosen = select_builds(bundle.manifest.builds, requests, host, lines, foreign=foreign)
    needed = _needed(planned, chosen)
    chosen = _with_builds(needed, chosen, bundle)
    actions = tuple(
        action_for(
            root,
            build,
            requests,
            reinstall=reinstall and build.key not in needed,
            upgrade=bool(there),
        )
        for build in chosen.builds
    )
    points += [Point("target", text) for text in chosen.refusals]
    trees = []
    for build, action in zip(chosen.builds, actions):
        if action not in IDLE:
            size = bundle.size_of(build.contents_member)
            away = build.key in chosen.foreign
            trees.append(Tree(build, bundle.contents(build), size, away, bytecode))
            if not away:
                points += _doubts(build, host)
                points += check_needs(build)
        if action == "upgrade":
            points += check_additions(root, build)
    found, place, demand = check_place(root, trees, bundle.size_of(INSTALLER), bin_dir, planned)
    plan = Plan(
        root,
        chosen.builds,
        actions,
        place,
        demand,
        in_order([*points, *found]),
        foreign=chosen.foreign,
        environments=planned,
        needed=needed,
    )
    if prune:
        from kitbag_installer.upgrading import kept_for_additions, prunable

        superfluous = prunable(root, plan.coming)
        kept = kept_for_additions(root, superfluous)
        plan = plan._replace(
            pruned=tuple(key for key in superfluous if key not in kept), kept=tuple(kept.values())
        )
    return plan


def _plan_environments(
    bundle: Bundle,
    root: Root,
    names: Sequence[str],
    requests: Sequence[Request],
    host: Host,
    *,
    reinstall: bool,
    seen_as: str,
) -> tuple[tuple[PlannedEnvironment, ...], list[Point]]:
    """The environments, and what is in their way; nothing is imported where there are none."""
    if not bundle.manifest.environments and not names:
        return (), []
    from kitbag_installer.environments.actions import (
        PlannedEnvironment,
        action_for,
        check_places,
    )
    from kitbag_installer.environments.selection import select_environments

    chosen = select_environments(bundle.manifest, names, requests, host, bundle.path)
    planned = []
    for each in chosen.environments:
        wheels = bundle.manifest.wheels_of(each)
        action = action_for(root, each, wheels, seen_as, reinstall=reinstall)
        planned.append(PlannedEnvironment(each, wheels, action))
    return tuple(planned), [*chosen.points, *check_places(root, planned)]


def _needed(planned: Sequence[PlannedEnvironment], chosen: Selection) -> frozenset[BuildKey]:
    """The builds that environments belong to and that are not chosen by themselves."""
    keys = {each.environment.python for each in planned if each.environment.python is not None}
    return frozenset(keys.difference(build.key for build in chosen.builds))


def _with_builds(keys: frozenset[BuildKey], chosen: Selection, bundle: Bundle) -> Selection:
    """``chosen``, and the builds ``keys``."""
    if not keys:
        return chosen
    more = [build for build in bundle.manifest.builds if build.key in keys]
    builds = sorted((*chosen.builds, *more), key=lambda build: build.key.order())
    return chosen._replace(builds=tuple(builds))


def _installed(root: Root) -> tuple[BuildKey, ...]:
    """The builds in ``root``; none in one that can't be read, which is among the points."""
    try:
        return tuple(root.builds())
    except FileSystemError:
        return ()


def _doubts(build: Build, host: Host) -> list[Point]:
    return [
        Point(code, f"{build.key}: {clause}; {_CURES.get(code, _ANOTHER)}", advice=True)
        for code, clause in host.doubts(build).items()
    ]
