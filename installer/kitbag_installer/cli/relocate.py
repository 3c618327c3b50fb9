"""Mend installed builds after their root was moved or renamed.

Every file that names the place is made anew from its original, so this can be done any number of
times. Virtual environments made before the move keep the old place in their pyvenv.cfg: make
them again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_installer.cli.options import add_output, add_requests, add_root, named_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  mv /opt/py /srv/py && kitbag relocate --root /srv/py
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "all")
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.requests import parse_requests
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.relocation import relocate_builds

    root = named_root(options)
    done, foreign, links = relocate_builds(root, parse_requests(options.requests), reporter)
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
        write_json({"root": root.path, "builds": builds, "links": list(links)})
        return 0
    if not done and not foreign:
        write_line(f"nothing is installed in {root.path}")
    for item in done:
        if item.rewritten:
            write_line(f" ~ {item.key}: {item.rewritten} files, from {item.old_home}")
        elif item.home != root.install_path(item.key):
            write_line(
                f"{item.key} is for {os.path.dirname(item.home)} and was left as it is; "
                "name it to rewrite it for where it is now"
            )
        else:
            write_line(f"{item.key} is where it was installed")
    return 0
