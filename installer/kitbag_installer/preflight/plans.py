"""What an install is going to do, and what is in its way: everything before the first write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.layout import executable
from kitbag_bundles.members import INSTALLER
from kitbag_installer.preflight.checks import Tree, check_needs, check_place
from kitbag_installer.preflight.points import Point, in_order
from kitbag_installer.selection import select_builds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.requests import Request
    from kitbag_installer.hosts import Host
    from kitbag_installer.preflight.demand import Demand
    from kitbag_installer.preflight.places import Place
    from kitbag_installer.roots import Root


class Plan(NamedTuple):
    """An install before it begins."""

    root: Root
    builds: tuple[Build, ...]
    """What was chosen, in the order of the keys; what is there already too."""
    actions: tuple[str, ...]
    """For each of them ``install``, ``reinstall`` or ``present``."""
    place: Place
    demand: Demand
    points: tuple[Point, ...]
    """What fails, in the order of their codes; empty if it is going to work."""


def plan_install(
    bundle: Bundle,
    root: Root,
    requests: Sequence[Request],
    host: Host,
    *,
    reinstall: bool,
    bin_dir: str,
) -> Plan:
    """Choose what ``requests`` name, or everything that fits ``host``, and hold it against both.

    Reads the contents lists of what is to be installed. Raises :class:`NoMatch`, and
    :class:`IntegrityError` for a bundle that is damaged.
    """
    chosen = select_builds(bundle.manifest.builds, requests, host)
    actions = tuple(
        ("reinstall" if reinstall else "present") if is_there(root, build.key) else "install"
        for build in chosen.builds
    )
    points = [Point("target", text) for text in chosen.refusals]
    trees = []
    for build, action in zip(chosen.builds, actions):
        if action != "present":
            size = bundle.size_of(build.contents_member)
            trees.append(Tree(build, bundle.contents(build), size))
            points += _doubts(build, host)
            points += check_needs(build)
    found, place, demand = check_place(root, trees, bundle.size_of(INSTALLER), bin_dir)
    return Plan(root, chosen.builds, actions, place, demand, in_order([*points, *found]))


def is_there(root: Root, key: BuildKey) -> bool:
    """Whether a build with this key is installed, by whatever tool."""
    place = root.install_path(key)
    return os.path.isdir(place) and os.path.exists(os.path.join(place, executable(key)))


def _doubts(build: Build, host: Host) -> list[Point]:
    return [
        Point(code, f"{build.key}: {clause}; choose another build", advice=True)
        for code, clause in host.doubts(build).items()
    ]
