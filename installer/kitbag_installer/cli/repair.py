"""Mend damaged builds from the bundle that they came from.

Every file of each build that both the root and the bundle have is held against the bundle's list.
What is missing or changed is replaced; what you added stays. A build that another tool installed
is taken over if it is the same one. Nothing is written where nothing is damaged. If no installed
Python starts any more, "sh BUNDLE repair" brings its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output, add_requests, add_root, chosen_root

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.repairing import Repaired

EPILOG = """\
examples:
  kitbag repair tools.kitbag --root /opt/py
  kitbag repair tools.kitbag 3.13 --dry-run    what is damaged, and could be mended
  python3 tools.kitbag repair --root /opt/py   the same, with no kitbag installed
"""
_SHOWN = 20
_WORDS = {
    "sound": ("sound", "sound"),
    "repaired": ("mended", "would mend"),
    "taken-over": ("taken over; written", "would take over; write"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a bundle, or a directory it was unzipped to"
    )
    add_requests(parser, "every build that both the bundle and the root have")
    add_root(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="tell what is damaged and would be mended; write nothing",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.requests import parse_requests
    from kitbag_installer.cli.terminal import show_error, write_json, write_line
    from kitbag_installer.repairing import repair_builds

    root = chosen_root(options)
    requests = parse_requests(options.requests)
    with Bundle.open(options.bundle) as bundle:
        results = repair_builds(bundle, root, requests, reporter, dry_run=options.dry_run)
    if options.json:
        builds = [_as_table(result) for result in results]
        write_json({"root": root.path, "dry-run": options.dry_run, "builds": builds})
    else:
        for line in (line for result in results for line in _lines(result, options.dry_run)):
            write_line(line)
    for result in results:
        if result.error is not None:
            show_error(result.error, as_json=False)
        elif result.moved_from:
            reporter.warn(f"{result.key} was moved from {result.moved_from}; run kitbag relocate")
    return max((r.error.exit_status for r in results if r.error is not None), default=0)


def _as_table(result: Repaired) -> dict[str, Any]:
    table: dict[str, Any] = {
        "key": str(result.key),
        "path": result.path,
        "action": result.action,
        "mended": list(result.mended),
    }
    if result.error is not None:
        table["error"] = result.error.table()
    return table


def _lines(result: Repaired, dry_run: bool) -> list[str]:
    if result.error is not None:
        return []
    word = _WORDS[result.action][dry_run]
    if result.action == "sound":
        return [f"{result.key}: {word}"]
    count = len(result.mended)
    lines = [f"{result.key}: {word} {count} path{'' if count == 1 else 's'}"]
    lines += [f"  {path or '.'}" for path in result.mended[:_SHOWN]]
    if count > _SHOWN:
        lines.append(f"  and {count - _SHOWN} more; --json tells all")
    return lines
