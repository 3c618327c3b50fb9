"""List the installed builds of a root.

Those of other tools that share the root are listed too. Nothing is started or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_installer.cli.options import add_output, add_requests, add_root, chosen_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  kitbag installed
  kitbag installed 3.13 --root /opt/py --json
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
    from kitbag_installer.inventory import OTHER_TOOL, list_installed
    from kitbag_installer.selection import matching_keys

    root = chosen_root(options)
    keys = matching_keys(tuple(root.builds()), parse_requests(options.requests))
    found = list_installed(root, keys)
    if options.json:
        builds = [
            {
                "key": str(item.key),
                "path": item.path,
                "executable": item.executable,
                "release": item.release,
                "by": "other" if item.maker == OTHER_TOOL else item.maker,
                "by-kitbag": item.by_kitbag,
                "current": item.current,
                "pinned": item.pinned,
                "problem": item.problem,
                "for": item.elsewhere.partition(" ")[2],
            }
            for item in found
        ]
        write_json({"root": root.path, "builds": builds})
        return 0
    if not found:
        write_line(f"nothing is installed in {root.path}")
    width = max((len(str(item.key)) for item in found), default=0)
    lines = [item.key.minor_key for item in found]
    for item in found:
        notes = [item.problem] if item.problem else []
        if not item.problem and not item.by_kitbag:
            notes.append(f"by {item.maker}")
        if item.elsewhere:
            notes.append(item.elsewhere)
        if item.current and lines.count(item.key.minor_key) > 1:
            notes.append("in use")
        if item.pinned:
            notes.append("turned to by a rollback")
        note = f"  ({'; '.join(notes)})" if notes else ""
        write_line(f"{item.key!s:<{width}}  {item.executable}{note}")
    return 0
