"""Remove installed builds, the links to them, and with the last one kitbag itself.

Virtual environments that were made from a removed build stop working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output, add_requests, add_root, chosen_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  kitbag uninstall 3.12
  kitbag uninstall cpython-3.13.5-linux-x86_64-gnu --root /opt/py
  kitbag uninstall --all
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "say --all")
    parser.add_argument("--all", action="store_true", help="remove every build in the root")
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.requests import parse_requests
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.removal import uninstall_builds

    if bool(options.requests) == options.all:
        raise UsageError("name the builds to remove, or say --all")
    root = chosen_root(options)
    keys, links = uninstall_builds(root, parse_requests(options.requests), reporter)
    if options.json:
        removed = [str(key) for key in keys]
        write_json({"root": root.path, "removed": removed, "removed-links": list(links)})
    elif not keys:
        write_line(f"nothing is installed in {root.path}")
    else:
        for key in keys:
            write_line(f" - {key}")
    return 0
