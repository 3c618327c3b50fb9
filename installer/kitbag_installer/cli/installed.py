"""List the installed builds and environments of a root.

Those of other tools that share the root are listed too. Nothing is started or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output, add_requests, add_root, chosen_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.inventory import InstalledEnvironment

EPILOG = """\
examples:
  kitbag installed
  kitbag installed 3.13 --root /opt/py --json
  kitbag installed app
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "all", environments=True)
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.environments.inventory import list_environments
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.inventory import OTHER_TOOL, list_installed
    from kitbag_installer.selection import matching_keys

    root = chosen_root(options)
    subjects = Subjects.of(options.requests)
    environments = list_environments(root, subjects.environments(root))
    keys: tuple[BuildKey, ...] = ()
    if subjects.means_builds:
        keys = matching_keys(tuple(root.builds()), subjects.requests)
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
        tables = [_as_table(each) for each in environments]
        write_json({"root": root.path, "builds": builds, "environments": tables})
        return 0
    if not found and not environments:
        write_line(f"nothing is installed in {root.path}")
    titles = [*(str(item.key) for item in found), *(each.name for each in environments)]
    width = max(map(len, titles), default=0)
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
    for each in environments:
        write_line(f"{each.name:<{width}}  {each.path}  ({'; '.join(_notes(each))})")
    return 0


def _as_table(item: InstalledEnvironment) -> dict[str, Any]:
    receipt = item.receipt
    return {
        "name": item.name,
        "path": item.path,
        "python": str(receipt.python) if receipt else "",
        "expose": list(receipt.expose) if receipt else [],
        "run": receipt.run if receipt else "",
        "programs": list(receipt.programs) if receipt else [],
        "wheels": [wheel._asdict() for wheel in receipt.wheels] if receipt else [],
        "bundle": dict(receipt.bundle) if receipt else {},
        "previous": item.has_previous,
        "problem": item.problem,
        "for": item.elsewhere,
    }


def _notes(item: InstalledEnvironment) -> list[str]:
    from kitbag_installer.cli.lines import counted

    notes = []
    if item.receipt is not None:
        notes += [counted(len(item.receipt.wheels), "package") or "no packages"]
        notes += [str(item.receipt.python)]
    if item.problem:
        notes.append(item.problem)
    if item.elsewhere:
        notes.append(f"for {item.elsewhere}")
    if item.has_previous:
        notes.append("can be rolled back")
    return notes
