"""The links that an install is going to make, worked out without making them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.layout import command_names, executable
from kitbag_installer import launcher, links

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def forecast(plan: Plan, *, bin_dir: str, default: bool, force: bool) -> Forecast:
    """What :func:`kitbag_installer.installation.install_builds` is going to link.

    Nothing in a root that can't be read, which is among the plan's points.
    """
    root = plan.root
    keys = [build.key for build in plan.builds]
    try:
        minor = links.minor_links(root, keys) if keys else {}
    except FileSystemError:
        return Forecast({}, {}, (), "")
    if not bin_dir or not keys:
        return Forecast(minor, {}, (), "")
    wanted = {
        os.path.join(bin_dir, name): target
        for key in sorted(keys, key=lambda key: key.order())
        for target in [_target(root, key, minor)]
        for name in command_names(key, default=default)
        if target
    }
    refused = [path for path in wanted if not force and not links.may_replace(root, path)]
    made = {path: target for path, target in wanted.items() if path not in refused}
    command = os.path.join(bin_dir, launcher.COMMAND)
    if not force and not launcher.may_write_command(command):
        refused.append(command)
        command = ""
    return Forecast(minor, made, tuple(refused), command)


def _target(root: Root, key: BuildKey, minor: Mapping[str, str]) -> str:
    """Through the minor-version link if that is going to lead to this build."""
    place, link = root.install_path(key), root.minor_link(key)
    blocked = os.path.lexists(link) and not os.path.islink(link)
    if key.implementation != "cpython" or blocked:
        return os.path.join(place, executable(key))
    return os.path.join(link, executable(key)) if minor.get(link) == place else ""
