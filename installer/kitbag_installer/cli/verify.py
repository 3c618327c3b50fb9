"""Check every byte of a bundle, or every file of what is installed.

With a bundle: its structure, its own digest, every member against SHA256SUMS, every list; of a
damaged one, which members, records and bytes are damaged. With --root, or with nothing at all:
every file of every installed build and environment against its receipt. Exit status 3 if anything
is not what it should be. What is damaged is mended with kitbag repair.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import (
    REQUEST_HELP,
    add_output,
    add_root,
    chosen_root,
    present_root,
)

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.damage import Damage
    from kitbag_bundles.errors import IntegrityError
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.verification import VerifiedEnvironment
    from kitbag_installer.verification import Verified

EPILOG = """\
examples:
  kitbag verify tools.kitbag
  kitbag verify --root /opt/py
  kitbag verify --root /opt/py 3.13 --json
  kitbag verify --root /opt/py app
"""
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="BUNDLE | REQUEST",
        help=f"a bundle; or with --root {REQUEST_HELP}, or names of environments",
    )
    add_root(parser)
    parser.add_argument("--report", metavar="FILE", help="write what was checked to FILE, as JSON")
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    if options.root is not None or not options.subjects or _are_environments(options):
        return _verify_root(options, reporter)
    if len(options.subjects) != 1:
        raise UsageError("name one bundle to verify, or a root with --root DIR")
    return _verify_bundle(options, reporter)


def _are_environments(options: argparse.Namespace) -> bool:
    """Whether all words name environments of the default root, and none of them a file."""
    from kitbag_bundles.errors import KitbagError
    from kitbag_installer.environments.subjects import present_environments

    if any(os.path.lexists(word) for word in options.subjects):
        return False
    try:
        known = present_environments(chosen_root(options))
    except KitbagError:
        return False
    return all(word in known for word in options.subjects)


def _verify_bundle(options: argparse.Namespace, reporter: Reporter) -> int:
    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.errors import IntegrityError, UnsupportedFormat
    from kitbag_installer.cli.show import counted
    from kitbag_installer.cli.terminal import human_size, write_json, write_line

    path = options.subjects[0]
    try:
        with Bundle.open(path) as bundle:
            checked = bundle.verify(reporter)
            manifest = bundle.manifest
    except UnsupportedFormat:
        raise
    except IntegrityError as error:
        return _tell_damage(options, error, reporter)
    table = {
        "report": "kitbag verify",
        "bundle": path,
        "sha256": checked.sha256,
        "builds": [str(build.key) for build in manifest.builds],
        "size": checked.size,
        "members": [
            {"name": each.name, "size": each.size, "sha256": each.sha256, "listed": each.listed}
            for each in checked.members
        ],
        "sound": True,
    }
    _write_report(options, table)
    if options.json:
        write_json(table)
    else:
        write_line(
            f"{path}: sound; {len(checked.members)} members, {human_size(checked.size)}, "
            f"{counted(manifest)}"
        )
    return 0


def _tell_damage(options: argparse.Namespace, error: IntegrityError, reporter: Reporter) -> int:
    """Go on where the first error stopped, and tell everything that is damaged."""
    from kitbag_bundles.damage import diagnose
    from kitbag_bundles.errors import KitbagError
    from kitbag_installer.cli.terminal import show_error, write_json, write_line

    path = options.subjects[0]
    try:
        found = diagnose(path, reporter)
    except KitbagError:
        # Such as a missing volume: the error says all that can be said.
        found = []
    table = {
        "report": "kitbag verify",
        "bundle": path,
        "sound": False,
        "damage": [_damage_table(each) for each in found],
        "error": error.table(),
    }
    _write_report(options, table)
    if options.json:
        write_json(table)
    elif found:
        write_line(f"{path}: damaged")
        for each in found:
            write_line(f"  {_damage_line(each)}")
    return show_error(error, as_json=False)


def _damage_table(damage: Damage) -> dict[str, Any]:
    table: dict[str, Any] = damage._asdict()
    table["parts"] = [
        {"name": os.path.basename(piece.path), "offset": piece.offset, "size": piece.size}
        for piece in table.pop("pieces")
    ]
    return table


def _damage_line(damage: Damage) -> str:
    what = damage.what.replace("-", " ")
    name = f" {damage.name}" if damage.name else ""
    shown = name if name.isprintable() else f" {damage.name!r}"
    place = f", bytes {_range(damage.offset, damage.size)}" if damage.size else ""
    if len(damage.pieces) and damage.what != "volume":
        parts = (
            f"{_range(piece.offset, piece.size)} of {os.path.basename(piece.path)}"
            for piece in damage.pieces
        )
        place += f" ({', '.join(parts)})"
    return f"{what}{shown}{place}: {damage.problem}"


def _range(offset: int, size: int) -> str:
    """The first and the last byte, counted from 0."""
    return f"{offset}-{offset + size - 1}"


def _verify_root(options: argparse.Namespace, reporter: Reporter) -> int:
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.verification import verify_builds

    root = present_root(options)
    subjects = Subjects.of(options.subjects)
    names = subjects.environments(root)
    results = []
    if subjects.means_builds:
        results = verify_builds(root, subjects.requests, reporter)
    environments = []
    if names:
        from kitbag_installer.environments.verification import verify_environments

        environments = verify_environments(root, names, reporter)
    sound = all(result.sound for result in results) and all(each.sound for each in environments)
    table = {
        "report": "kitbag verify",
        "root": root.path,
        "builds": [
            {"key": str(result.key), **_as_table(result), "foreign": result.foreign}
            for result in results
        ],
        "environments": [
            {"name": each.name, "python": each.python, **_as_table(each)} for each in environments
        ],
        "sound": sound,
    }
    _write_report(options, table)
    if options.json:
        write_json(table)
        return 0 if sound else 3
    if not results and not environments:
        write_line(f"nothing is installed in {root.path}")
    lines = [line for result in results for line in _build_lines(result)]
    lines += [line for each in environments for line in _lines(each.name, each)]
    for line in lines:
        write_line(line)
    return 0 if sound else 3


def _write_report(options: argparse.Namespace, table: dict[str, Any]) -> None:
    if options.report:
        from kitbag_installer.reports import write_report

        write_report(options.report, table)


def _as_table(result: Verified | VerifiedEnvironment) -> dict[str, Any]:
    return {
        "path": result.path,
        "sound": result.sound,
        "files": result.files,
        "bytecode": result.bytecode,
        "missing": list(result.missing),
        "changed": list(result.changed),
        "extra": list(result.extra),
        "problem": result.problem,
    }


def _build_lines(result: Verified) -> list[str]:
    if result.foreign:
        return [f"{result.key}: not checked; another tool installed it"]
    return _lines(str(result.key), result)


def _lines(title: str, result: Verified | VerifiedEnvironment) -> list[str]:
    if result.sound:
        added = f", {len(result.extra)} added since" if result.extra else ""
        compiled = f" and {result.bytecode} compiled ones" if result.bytecode else ""
        return [f"{title}: sound; {result.files} files{compiled}{added}"]
    lines = [f"{title}: {result.problem or 'not as it was installed'}"]
    for label, paths in (("missing", result.missing), ("changed", result.changed)):
        lines += [f"  {label}  {path}" for path in paths[:_SHOWN]]
        if len(paths) > _SHOWN:
            lines.append(f"  {label}  and {len(paths) - _SHOWN} more; --json tells all")
    return lines
