"""Go back to an older patch release, or to the environment that was there before.

The minor-version link turns to the patch before the one in use, and what leads through it follows:
python3.13 in the bin directory, virtual environments. It stays there until something newer is
installed than what was there. With a patch in the request the link turns to that one. An
environment changes places with the one before it; done again, it is where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output, add_requests, add_root, chosen_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.rollback import RolledBackEnvironment

_SHOWN = 4
EPILOG = """\
examples:
  kitbag rollback 3.13                         from 3.13.7 to 3.13.5, if that is the one before
  kitbag rollback 3.13.7                       and forward again
  kitbag rollback 3.13t --root /opt/py
  kitbag rollback app                          what a newer bundle replaced
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "nothing is done", environments=True)
    add_root(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_installer.cli.lines import held_line, turned_line
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.upgrading import highest_of, roll_back

    if not options.requests:
        raise UsageError("name what to roll back, such as 3.13")
    root = chosen_root(options)
    subjects = Subjects.of(options.requests)
    names = subjects.environments(root)
    environments: tuple[RolledBackEnvironment, ...] = ()
    if names:
        from kitbag_installer.environments.rollback import check_previous, roll_back_environments

        check_previous(root, names)
    turns = roll_back(root, subjects.requests, reporter) if subjects.requests else ()
    if names:
        environments = roll_back_environments(root, names, reporter)
    for path in [path for each in environments for path in each.refused]:
        reporter.warn(f"not made by kitbag and left alone: {path}")
    if options.json:
        lines = [{"link": turn.link, "old": str(turn.old), "new": str(turn.new)} for turn in turns]
        tables = [_as_table(each) for each in environments]
        write_json({"root": root.path, "lines": lines, "environments": tables})
        return 0
    for turn in turns:
        if turn.old == turn.new:
            write_line(f"{turn.new.minor_key} is at {turn.new.version} already")
        else:
            write_line(turned_line(turn.link, str(turn.old), str(turn.new)))
    for each in environments:
        write_line(_line(each))
    for turn in turns:
        highest = highest_of(root, turn.new)
        if highest != turn.new:
            reporter.info(held_line(highest, turn.new))
    return 0


def _as_table(done: RolledBackEnvironment) -> dict[str, Any]:
    return {
        "name": done.name,
        "path": done.path,
        "changes": [change._asdict() for change in done.changes],
        "refused-names": list(done.refused),
    }


def _line(done: RolledBackEnvironment) -> str:
    parts = []
    for change in done.changes[:_SHOWN]:
        if change.old and change.new:
            parts.append(f"{change.name} {change.old} → {change.new}")
        else:
            parts.append(f"{'+' if change.new else '-'}{change.name} {change.new or change.old}")
    if len(done.changes) > _SHOWN:
        parts.append(f"{len(done.changes) - _SHOWN} more")
    return f" ~ {done.name} ({', '.join(parts) or 'the same packages'})"
