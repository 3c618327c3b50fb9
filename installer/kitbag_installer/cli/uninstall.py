"""Remove installed builds and environments, the links to them, and with the last kitbag itself.

Builds that another tool installed stay, unless one is named by its full key. A build that an
installed environment needs goes only together with that. Virtual environments that were made from
a removed build stop working.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output, add_requests, add_root, chosen_root
from kitbag_installer.roots import default_bin_dir

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  kitbag uninstall 3.12
  kitbag uninstall app
  kitbag uninstall cpython-3.13.5-linux-x86_64-gnu --root /opt/py
  kitbag uninstall --all
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "say --all", environments=True)
    parser.add_argument(
        "--all", action="store_true", help="remove everything that kitbag installed"
    )
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.removal import uninstall_builds

    if bool(options.requests) == options.all:
        raise UsageError("name the builds to remove, or say --all")
    root = chosen_root(options)
    subjects = Subjects.of(options.requests)
    bin_dirs = (default_bin_dir(os.environ), os.environ.get("UV_PYTHON_BIN_DIR", ""))
    done = uninstall_builds(
        root,
        subjects.requests,
        reporter,
        [folder for folder in bin_dirs if os.path.isabs(folder)],
        subjects.names,
    )
    if options.json:
        write_json(
            {
                "root": root.path,
                "removed": [str(key) for key in done.keys],
                "removed-environments": list(done.environments),
                "removed-links": list(done.links),
                "left": [str(key) for key in done.left],
            }
        )
        return 0
    for what in (*done.environments, *done.keys):
        write_line(f" - {what}")
    if not done.keys and not done.environments:
        others = f"; other tools have {len(done.left)} there" if done.left else ""
        write_line(
            f"nothing is installed in {root.path}"
            if not others
            else f"kitbag has installed nothing in {root.path}{others}"
        )
    return 0
