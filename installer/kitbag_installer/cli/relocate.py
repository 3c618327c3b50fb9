"""Mend installed builds and environments after their root was moved or renamed.

Every file that names the place is made anew from its original, so this can be done any number of
times. Virtual environments that you made yourself before the move keep the old place in their
pyvenv.cfg: make them again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_installer.cli.options import add_output, add_requests, add_root, present_named_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.relocation import RelocatedEnvironment
    from kitbag_installer.relocation import Relocated

EPILOG = """\
examples:
  mv /opt/py /srv/py && kitbag relocate --root /srv/py
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "all", environments=True)
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.environments.places import environment_path
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.relocation import relocate_builds

    root = present_named_root(options)
    subjects = Subjects.of(options.requests)
    names = subjects.environments(root)
    done: list[Relocated] = []
    foreign: list[BuildKey] = []
    links: tuple[str, ...] = ()
    if subjects.means_builds:
        done, foreign, links = relocate_builds(root, subjects.requests, reporter)
    environments: Sequence[RelocatedEnvironment] = ()
    if names:
        from kitbag_installer.environments.relocation import relocate_environments

        environments, turned = relocate_environments(
            root, names, reporter, named=bool(subjects.names)
        )
        links = (*links, *turned)
    for key in foreign:
        reporter.warn(f"{key} was installed by another tool and can't be relocated")
    if options.json:
        builds = [
            {
                "key": str(item.key),
                "old-home": item.old_home,
                "home": item.home,
                "rewritten": item.rewritten,
            }
            for item in done
        ]
        tables = [
            {
                "name": each.name,
                "old-home": each.old_home,
                "home": each.home,
                "rewritten": each.rewritten,
                **({"error": each.error.table()} if each.error else {}),
            }
            for each in environments
        ]
        write_json(
            {
                "root": root.path,
                "builds": builds,
                "environments": tables,
                "links": list(links),
            }
        )
        return _show_errors(environments)
    if not done and not foreign and not environments:
        write_line(f"nothing is installed in {root.path}")
    for item in done:
        away = item.home != root.install_path(item.key) and os.path.dirname(item.home)
        write_line(_line(str(item.key), item, away or ""))
    for each in environments:
        if each.error is not None:
            continue
        away = each.home != environment_path(root, each.name) and each.home
        write_line(_line(each.name, each, away or ""))
    return _show_errors(environments)


def _show_errors(environments: Sequence[RelocatedEnvironment]) -> int:
    from kitbag_installer.cli.terminal import show_error

    errors = [each.error for each in environments if each.error is not None]
    return max((show_error(error, as_json=False) for error in errors), default=0)


def _line(title: str, item: Relocated | RelocatedEnvironment, away: str) -> str:
    if item.rewritten:
        return f" ~ {title}: {item.rewritten} files, from {item.old_home}"
    if away:
        return (
            f"{title} is for {away} and was left as it is; "
            "name it to rewrite it for where it is now"
        )
    return f"{title} is where it was installed"
