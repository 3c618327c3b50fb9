"""Check in depth whether what is installed works, and tell what cures what does not.

Each interpreter is started and tries everything that tends to break: TLS and its certificates,
databases, compression, the terminal, environments with pip, building a C extension. Paths, links,
PATH and the root itself are looked at too. Nothing is changed. Every fault and every advice comes
with its cure. Exit status 1 if there are faults. It does not read every file: that is what kitbag
verify is for.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import (
    add_output,
    add_requests,
    add_root,
    chosen_jobs,
    present_root,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.doctor.examination import Diagnosis
    from kitbag_installer.doctor.findings import Finding

EPILOG = """\
examples:
  kitbag doctor
  kitbag doctor 3.13 --root /opt/py
  kitbag doctor app
  kitbag doctor --all-checks
  kitbag doctor --json
"""
_COLORS = {"fault": "red", "advice": "yellow", "ok": "green"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "all", environments=True)
    add_root(parser)
    parser.add_argument(
        "--all-checks", action="store_true", help="tell also what was checked and is right"
    )
    parser.add_argument(
        "--time-limit",
        metavar="SECONDS",
        help="how long one check may take before it counts as hung (default: 60)",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        help="how many builds to examine at a time (KITBAG_JOBS; default: as many as there are "
        "CPUs)",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_installer.doctor.examination import LIMIT, DoctorOptions, examine
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.hosts import this_host

    root = present_root(options)
    limit = _seconds(options.time_limit) if options.time_limit is not None else LIMIT
    subjects = Subjects.of(options.requests)
    names = subjects.environments(root)
    diagnosis = examine(
        root,
        subjects.requests,
        this_host(),
        os.environ,
        DoctorOptions(jobs=chosen_jobs(options), limit=limit),
        reporter,
        names,
        builds=subjects.means_builds,
    )
    if options.json:
        write_json(_table(diagnosis))
    else:
        for line in _lines(diagnosis, everything=options.all_checks):
            write_line(line)
    return 0 if diagnosis.healthy else 1


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # A comparison that "nan" fails too.
    if not 0 < seconds < 86400:
        raise UsageError(f"--time-limit {text!r} is no number of seconds; write 1 or more")
    return seconds


def _table(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "root": diagnosis.root,
        "healthy": diagnosis.healthy,
        "faults": _count(diagnosis, "fault"),
        "advice": _count(diagnosis, "advice"),
        "findings": [finding._asdict() for finding in diagnosis.findings],
        "builds": [
            {
                "key": str(build.key),
                "path": build.path,
                "by-kitbag": build.by_kitbag,
                "findings": [finding._asdict() for finding in build.findings],
            }
            for build in diagnosis.builds
        ],
        "environments": [
            {
                "name": each.name,
                "path": each.path,
                "findings": [finding._asdict() for finding in each.findings],
            }
            for each in diagnosis.environments
        ],
    }


def _count(diagnosis: Diagnosis, severity: str) -> int:
    return sum(finding.severity == severity for finding in diagnosis.all_findings())


def _lines(diagnosis: Diagnosis, *, everything: bool) -> list[str]:
    from kitbag_installer.cli.lines import counted

    nothing = f"nothing is installed in {diagnosis.root}"
    if not diagnosis.findings:
        return [nothing]
    lines = _group(diagnosis.root, diagnosis.findings, everything)
    if not diagnosis.builds and not diagnosis.environments:
        return [*lines, nothing]
    for build in diagnosis.builds:
        lines += _group(str(build.key), build.findings, everything)
    for each in diagnosis.environments:
        lines += _group(each.name, each.findings, everything)
    faults, advice = _count(diagnosis, "fault"), _count(diagnosis, "advice")
    parts = [
        counted(len(diagnosis.builds), "build"),
        counted(len(diagnosis.environments), "environment"),
    ]
    what = " and ".join(part for part in parts if part)
    summary = f"{what}: {_counted(faults, 'fault')}"
    if advice:
        summary += f", {_counted(advice, 'point')} of advice"
    lines.append(summary)
    if any(_is_about_files(finding) for finding in diagnosis.all_findings()):
        lines.append("kitbag verify tells which files are missing or changed")
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _is_about_files(finding: Finding) -> bool:
    return finding.severity == "fault" and finding.cure.startswith("kitbag repair")


def _group(title: str, findings: Sequence[Finding], everything: bool) -> list[str]:
    from kitbag_installer.cli.terminal import paint

    shown = [finding for finding in findings if everything or finding.severity != "ok"]
    if not shown:
        return [f"{title}: {paint('healthy', 'green', sys.stdout)}"]
    lines = [paint(f"{title}:", "bold", sys.stdout)]
    for finding in shown:
        # Padded before it is painted: colours take no room.
        label = paint(f"{finding.severity:<6}", _COLORS[finding.severity], sys.stdout)
        lines.append(f"  {label}  {finding.check}: {finding.message}")
        if finding.cure:
            lines.append(f"          cure: {finding.cure}")
    return lines
