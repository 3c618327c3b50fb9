"""Mend damaged builds and environments from the bundle that they came from.

Every file of each build that both the root and the bundle have is held against the bundle's list.
What is missing or changed is replaced; what you added stays. A build that another tool installed
is taken over if it is the same one. Nothing is written where nothing is damaged. If no installed
Python starts any more, "sh BUNDLE repair" brings its own. A damaged environment is made anew from
its wheels; packages that you added to it stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import (
    add_output,
    add_requests,
    add_root,
    chosen_jobs,
    chosen_root,
)

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.repairing import RepairedEnvironment
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.repairing import Repaired
    from kitbag_installer.roots import Root

EPILOG = """\
examples:
  kitbag repair tools.kitbag --root /opt/py
  kitbag repair tools.kitbag 3.13 --dry-run    what is damaged, and could be mended
  kitbag repair app.kitbag app
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
    add_requests(parser, "everything that both the bundle and the root have", environments=True)
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
    from kitbag_installer.cli.terminal import show_error, write_json, write_line
    from kitbag_installer.environments.subjects import Subjects

    root = chosen_root(options)
    subjects = Subjects.of(options.requests)
    with Bundle.open(options.bundle) as bundle:
        builds, environments = _repair(bundle, root, subjects, options, reporter)
    if options.json:
        write_json(
            {
                "root": root.path,
                "dry-run": options.dry_run,
                "builds": [{"key": str(each.key), **_as_table(each)} for each in builds],
                "environments": [{"name": each.name, **_as_table(each)} for each in environments],
            }
        )
    results: list[tuple[str, Repaired | RepairedEnvironment]] = [
        *((str(each.key), each) for each in builds),
        *((each.name, each) for each in environments),
    ]
    for title, result in results:
        for line in [] if options.json else _lines(title, result, options.dry_run):
            write_line(line)
    for title, result in results:
        if result.error is not None:
            show_error(result.error, as_json=False)
        elif result.moved_from:
            reporter.warn(f"{title} was moved from {result.moved_from}; run kitbag relocate")
    return max((r.error.exit_status for _, r in results if r.error is not None), default=0)


def _repair(
    bundle: Bundle,
    root: Root,
    subjects: Subjects,
    options: argparse.Namespace,
    reporter: Reporter,
) -> tuple[list[Repaired], list[RepairedEnvironment]]:
    """Builds first, since environments need them."""
    from kitbag_bundles.errors import NoMatch
    from kitbag_installer.repairing import repair_builds

    names = subjects.environments(root)
    if names and not subjects.names:
        from kitbag_installer.environments.repairing import mendable

        all_names, names = names, mendable(bundle, root, names)
        for name in sorted({*all_names}.difference(names)):
            reporter.info(f"{name} is passed over: it is not the one that {bundle.path} has")
    builds: list[Repaired] = []
    if subjects.means_builds:
        try:
            builds = repair_builds(
                bundle, root, subjects.requests, reporter, dry_run=options.dry_run
            )
        except NoMatch:
            if subjects.requests or not names:
                raise
    if not names:
        return builds, []
    from kitbag_installer.environments.repairing import repair_environments

    jobs = chosen_jobs(options)
    done = repair_environments(bundle, root, names, jobs, reporter, dry_run=options.dry_run)
    return builds, done


def _as_table(result: Repaired | RepairedEnvironment) -> dict[str, Any]:
    table: dict[str, Any] = {
        "path": result.path,
        "action": result.action,
        "mended": list(result.mended),
    }
    if result.error is not None:
        table["error"] = result.error.table()
    return table


def _lines(title: str, result: Repaired | RepairedEnvironment, dry_run: bool) -> list[str]:
    if result.error is not None:
        return []
    word = _WORDS[result.action][dry_run]
    if result.action == "sound":
        return [f"{title}: {word}"]
    count = len(result.mended)
    lines = [f"{title}: {word} {count} path{'' if count == 1 else 's'}"]
    lines += [f"  {path or '.'}" for path in result.mended[:_SHOWN]]
    if count > _SHOWN:
        lines.append(f"  and {count - _SHOWN} more; --json tells all")
    return lines
