"""Go back to an older patch release that is still installed.

The minor-version link turns to the patch before the one in use, and what leads through it follows:
python3.13 in the bin directory, virtual environments. It stays there until something newer is
installed than what was there. With a patch in the request the link turns to that one.
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
  kitbag rollback 3.13                         from 3.13.7 to 3.13.5, if that is the one before
  kitbag rollback 3.13.7                       and forward again
  kitbag rollback 3.13t --root /opt/py
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "nothing is done")
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.requests import parse_requests
    from kitbag_installer.cli.lines import held_line, turned_line
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.upgrading import highest_of, roll_back

    if not options.requests:
        raise UsageError("name what to roll back, such as 3.13")
    root = chosen_root(options)
    turns = roll_back(root, parse_requests(options.requests), reporter)
    if options.json:
        lines = [{"link": turn.link, "old": str(turn.old), "new": str(turn.new)} for turn in turns]
        write_json({"root": root.path, "lines": lines})
        return 0
    for turn in turns:
        if turn.old == turn.new:
            write_line(f"{turn.new.minor_key} is at {turn.new.version} already")
        else:
            write_line(turned_line(turn.link, str(turn.old), str(turn.new)))
    for turn in turns:
        highest = highest_of(root, turn.new)
        if highest != turn.new:
            reporter.info(held_line(highest, turn.new))
    return 0
