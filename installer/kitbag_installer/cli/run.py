"""Run a program of an installed environment.

The program takes the place of kitbag, as if its environment had been activated: the environment's
programs come first on PATH. What comes after -- is for the program. Without --command it is the
one that the environment was packed for, or the one of its name, or else the only one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kitbag_installer.cli.options import add_quiet, add_root, chosen_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  kitbag run app
  kitbag run app -- --port 8080
  kitbag run --command python app -- -m timeit
"""
PASSES_ON = "arguments"
"""Where what comes after ``--`` goes as it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="the environment")
    parser.add_argument(
        "arguments", nargs="*", metavar="ARG", help="arguments for the program, mostly after --"
    )
    parser.add_argument(
        "--command", metavar="CMD", help="another program of the environment, such as python"
    )
    add_root(parser)
    add_quiet(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status, if this process still is there to do that."""
    from kitbag_bundles.errors import UsageError
    from kitbag_installer.environments.running import find_program, start

    if options.command == "":
        raise UsageError("--command is empty; name a program")
    program = find_program(chosen_root(options), options.name, options.command or "")
    sys.stdout.flush()
    sys.stderr.flush()
    return start(program, options.arguments, os.environ)
