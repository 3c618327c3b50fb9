"""Compile installed builds, standard library and site-packages, and environments to bytecode.

Only what is stale is compiled, by the interpreters it is for; a second run has nothing to do. How
an interpreter finds out that a compiled file is stale says PYC_INVALIDATION_MODE: timestamp (the
default), checked-hash or unchecked-hash. Builds of other tools that share the root are compiled
too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_installer.cli.options import (
    add_output,
    add_requests,
    add_root,
    chosen_bytecode,
    chosen_jobs,
    present_root,
)

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  kitbag compile                               everything in the root
  kitbag compile app
  kitbag compile 3.13 --root /opt/py
  PYC_INVALIDATION_MODE=unchecked-hash kitbag compile
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "all", environments=True)
    add_root(parser)
    parser.add_argument(
        "--jobs",
        metavar="N",
        help="how many processes compile at a time (KITBAG_JOBS; otherwise the CPUs)",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.errors import KitbagError
    from kitbag_installer.bytecode.inplace import compile_builds
    from kitbag_installer.cli.lines import bytecode_note, show_failures
    from kitbag_installer.cli.terminal import show_error, write_json, write_line
    from kitbag_installer.environments.inplace import compile_environments
    from kitbag_installer.environments.subjects import Subjects
    from kitbag_installer.hosts import this_host

    root = present_root(options)
    bytecode = chosen_bytecode(compile=True)
    subjects = Subjects.of(options.requests)
    names = subjects.environments(root)
    jobs = chosen_jobs(options)
    builds = []
    if subjects.means_builds:
        builds = compile_builds(root, subjects.requests, this_host(), bytecode, jobs, reporter)
    environments = compile_environments(root, names, this_host(), bytecode, jobs, reporter)
    if options.json:
        from kitbag_installer.reports import compile_report

        write_json(compile_report(root, builds, environments))
    elif not builds and not environments:
        write_line(f"nothing to compile in {root.path}")
    status = 0
    outcomes = [(str(build.key), build.path, build.result) for build in builds]
    outcomes += [(each.name, each.path, each.result) for each in environments]
    for title, path, result in outcomes:
        if isinstance(result, KitbagError):
            status = max(status, show_error(result, as_json=False))
            continue
        if not options.json:
            write_line(f"{title}: {bytecode_note(result)}")
        status = max(status, show_failures(path, result))
    return status
