"""The links that an install is going to make, worked out without making them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.layout import command_names, executable
from kitbag_installer import launcher, links
from kitbag_installer.elsewhere import whose
from kitbag_installer.hosts import this_host
from kitbag_installer.platforms import this_system
from kitbag_installer.preflight.actions import IDLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.environments import Environment
    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.preflight.plans import Plan
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class Forecast:
    """Links with their targets, as an install's result tells them."""

    minor_links: dict[str, str]
    bin_links: dict[str, str]
    refused_names: tuple[str, ...]
    command: str
    turned_links: dict[str, str] = field(default_factory=dict)


def forecast(
    plan: Plan, *, bin_dir: str, default: bool, force: bool, seen_as: str = ""
) -> Forecast:
    """What :func:`kitbag_installer.installation.install_builds` is going to link.

    Nothing in a root that can't be read, which is among the plan's points.
    """
    root = plan.root
    coming = _for_here(plan, seen_as)
    keys = list(coming)
    try:
        minor = links.minor_links(root, coming) if keys else {}
    except FileSystemError:
        return Forecast({}, {}, (), "")
    turned = links.turned_links(root, minor)
    if not bin_dir or not keys:
        return Forecast(minor, {}, (), "", turned)
    wanted = {
        os.path.join(bin_dir, name + this_system.COMMAND_SUFFIX): target
        for key in sorted(keys, key=lambda key: key.order())
        for target in [_target(root, key, minor)]
        for name in command_names(key, default=default)
        if target
    }
    refused = [path for path in wanted if not force and not links.may_replace(root, path)]
    made = {path: target for path, target in wanted.items() if path not in refused}
    for each in () if seen_as else plan.environments:
        refused += _add_names(made, root, each.environment, bin_dir, force=force)
    command = os.path.join(bin_dir, launcher.COMMAND)
    if not force and not launcher.may_write_command(command):
        refused.append(command)
        command = ""
    return Forecast(minor, made, tuple(refused), command, turned)


def _add_names(
    made: dict[str, str], root: Root, environment: Environment, bin_dir: str, *, force: bool
) -> list[str]:
    """Add the names of an environment's programs to ``made``; returns those that it won't get."""
    from kitbag_installer.environments.exposing import may_have
    from kitbag_installer.environments.layout import layout_of
    from kitbag_installer.environments.places import environment_path

    assert environment.python is not None
    layout = layout_of(environment.python)
    home = environment_path(root, environment.name)
    suffix = this_system.COMMAND_SUFFIX
    refused = []
    for name in environment.expose:
        path = os.path.join(bin_dir, name + suffix)
        if may_have(path, home, force=force) and (force or path not in made):
            made[path] = os.path.join(home, layout.programs, name + suffix)
        else:
            refused.append(path)
    return refused


def _for_here(plan: Plan, seen_as: str) -> dict[BuildKey, str]:
    """Those of what is going to be there that are for use here, with their releases."""
    fresh = {build.key for build, action in zip(plan.builds, plan.actions) if action not in IDLE}
    host = this_host()
    away = plan.foreign | (fresh if seen_as else set())
    away |= {key for key in plan.coming if key not in fresh and whose(plan.root, key, host)}
    return {key: release for key, release in plan.coming.items() if key not in away}


def _target(root: Root, key: BuildKey, minor: Mapping[str, str]) -> str:
    """Through the minor-version link if that is going to lead to this build."""
    place, link = root.install_path(key), root.minor_link(key)
    blocked = os.path.lexists(link) and not this_system.link_text(link)
    if not implementation_of(key).has_minor_link or blocked:
        return os.path.join(place, executable(key))
    return os.path.join(link, executable(key)) if minor.get(link) == place else ""
