"""``kitbag install --dry-run``: tells what would be done and whether it would work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import DoesNotFit
from kitbag_installer.cli.lines import (
    counted,
    foreign_line,
    idle_environment_line,
    idle_line,
    refused_lines,
    summed,
    turned_line,
)
from kitbag_installer.cli.terminal import human_size, paint, show_error, write_json, write_line
from kitbag_installer.elsewhere import check_seen_as
from kitbag_installer.environments.places import environment_path
from kitbag_installer.preflight.actions import IDLE
from kitbag_installer.preflight.forecasts import forecast
from kitbag_installer.preflight.plans import plan_install
from kitbag_installer.preflight.points import refuse, stopping
from kitbag_installer.receipts import has_receipt
from kitbag_installer.releases import installed_release
from kitbag_installer.reports import wheel_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.environments.actions import PlannedEnvironment
    from kitbag_installer.hosts import Host
    from kitbag_installer.installation import InstallOptions
    from kitbag_installer.preflight.forecasts import Forecast
    from kitbag_installer.preflight.plans import Plan
    from kitbag_installer.roots import Root


def tell(
    bundle: Bundle,
    root: Root,
    requests: Sequence[Request],
    host: Host,
    options: InstallOptions,
    reporter: Reporter,
    as_json: bool,
    names: Sequence[str] = (),
) -> int:
    """Write the plan; returns the exit status that the install itself would begin with."""
    bundle.installer()
    plan = plan_install(
        bundle,
        root,
        requests,
        host,
        reinstall=options.reinstall,
        bin_dir=options.bin_dir,
        upgrade=options.upgrade,
        prune=options.prune,
        foreign=options.foreign,
        bytecode=options.bytecode.compile is not False,
        names=names,
        seen_as=options.seen_as,
    )
    if options.seen_as:
        check_seen_as(options.seen_as, [build.key for build in plan.builds])
    links = forecast(
        plan,
        bin_dir=options.bin_dir,
        default=options.default,
        force=options.force,
        seen_as=options.seen_as,
    )
    if as_json:
        write_json(_as_table(plan, links, force=options.force))
    else:
        _render(plan, links, options.bin_dir)
    for build, action in zip(plan.builds, plan.actions):
        if action == "present" and not has_receipt(root.install_path(build.key)):
            reporter.info(foreign_line(root, build))
    for line in plan.kept:
        reporter.warn(line)
    for line in refused_lines(root, links.refused_names):
        reporter.warn(line)
    try:
        refuse(plan.points, root.path, force=options.force, reporter=reporter)
    except DoesNotFit as error:
        # The plan is the document, and has the points in it.
        return show_error(error, as_json=False)
    return 0


def _render(plan: Plan, links: Forecast, bin_dir: str) -> None:
    import sys

    pairs = list(zip(plan.builds, plan.actions))
    for build, action in pairs:
        if action in IDLE:
            write_line(idle_line(build, action, plan.root.path))
    for each in plan.environments:
        if each.action == "present":
            write_line(idle_environment_line(each.environment.name, plan.root.path))
    fresh = [(build, action) for build, action in pairs if action not in IDLE]
    made = [each for each in plan.environments if each.action != "present"]
    if fresh or made:
        total = sum(build.unpacked_size for build, _ in fresh)
        total += sum(wheel.unpacked_size for each in made for wheel in each.wheels)
        write_line(f"Would install {summed(len(fresh), len(made), total)} into {plan.root.path}")
    for build, action in fresh:
        sign = paint("+" if action == "install" else "~", "green", sys.stdout)
        notes = human_size(build.unpacked_size)
        if action == "upgrade":
            old = installed_release(plan.root.install_path(build.key))
            notes = f"release {old or 'unknown'} → {build.release}, {notes}"
        write_line(f" {sign} {build.key} ({notes})")
    _render_environments(made)
    for link, old in links.turned_links.items():
        write_line(turned_line(link, old, links.minor_links[link]))
    for key in plan.pruned:
        write_line(f" {paint('-', 'red', sys.stdout)} {key}")
    if bin_dir and (links.bin_links or links.command):
        paths = [*links.bin_links, *([links.command] if links.command else [])]
        write_line(f"Names in {bin_dir}: {', '.join(map(os.path.basename, paths))}")
    if fresh or made:
        _render_demand(plan)


def _render_environments(made: Sequence[PlannedEnvironment]) -> None:
    import sys

    for each in made:
        sign = paint("+" if each.action == "install" else "~", "green", sys.stdout)
        size = human_size(sum(wheel.unpacked_size for wheel in each.wheels))
        packages = counted(len(each.wheels), "package") or "no packages"
        write_line(f" {sign} {each.environment.name} ({packages}, {size})")


def _render_demand(plan: Plan) -> None:
    place, demand = plan.place, plan.demand
    kind = f", {place.kind}" if place.kind else ""
    free = "" if place.free is None else f", {human_size(place.free)} free"
    write_line(f"Space: {human_size(demand.size)} needed{free} ({place.folder}{kind})")
    free = "" if place.inodes is None else f", {place.inodes} free"
    write_line(f"Inodes: {demand.inodes} needed{free}")


def _as_table(plan: Plan, links: Forecast, *, force: bool) -> dict[str, Any]:
    place, demand = plan.place, plan.demand
    return {
        "dry-run": True,
        "root": plan.root.path,
        "builds": [
            {
                "key": str(build.key),
                "action": action,
                "path": plan.root.install_path(build.key),
                "release": build.release,
                "flavor": build.flavor,
                "files": build.files,
                "size": build.unpacked_size,
            }
            for build, action in zip(plan.builds, plan.actions)
        ],
        "environments": [
            {
                "name": each.environment.name,
                "action": each.action,
                "path": environment_path(plan.root, each.environment.name),
                "python": str(each.environment.python),
                "wheels": wheel_tables(each.wheels),
            }
            for each in plan.environments
        ],
        "links": links.bin_links,
        "minor-links": links.minor_links,
        "turned-links": links.turned_links,
        "pruned": [str(key) for key in plan.pruned],
        "refused-names": list(links.refused_names),
        "kitbag": links.command,
        "preflight": {
            "works": not stopping(plan.points, force=force),
            "directory": place.folder,
            "file-system": place.kind,
            "space": {"needed": demand.size, "free": place.free},
            "inodes": {"needed": demand.inodes, "free": place.inodes},
            "points": [point._asdict() for point in plan.points],
        },
    }
