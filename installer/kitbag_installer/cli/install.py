"""Install builds and environments from a bundle.

Everything that fits this machine, or what the requests name: unpacked, checked against the
bundle's lists, rewritten for the place where it lands, tested, and put there in one step. Needs
no network. A build that is there already is left alone, and so is an environment, unless the
bundle has another one of its name: that takes its place, and the last one is kept.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import (
    add_output,
    add_requests,
    add_root,
    chosen_bin_dir,
    chosen_bytecode,
    chosen_jobs,
    chosen_root,
)

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.manifest import InstallDefaults
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.installing import EnvironmentResult
    from kitbag_installer.installation import BuildResult, InstallResult

EPILOG = """\
examples:
  kitbag install tools.kitbag                  everything in it that fits this machine
  kitbag install tools.kitbag 3.13 pypy        only these
  kitbag install app.kitbag app                the environment app, with the build that it needs
  kitbag install tools.kitbag --root /opt/py --no-bin
  kitbag install fleet.kitbag --foreign --root image/opt/python --seen-as /opt/python
  kitbag install tools.kitbag --dry-run        would it work, and what would it do
  kitbag install newer.kitbag --upgrade        newer patch releases of what is there
  python3 tools.kitbag install 3.13            the same, with no kitbag installed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from argparse import BooleanOptionalAction

    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a bundle, or a directory it was unzipped to"
    )
    add_requests(parser, "everything that fits this machine", environments=True)
    add_root(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--bin-dir",
        metavar="DIR",
        help="where to link python3.13 and the like (KITBAG_BIN_DIR; otherwise $XDG_BIN_HOME, "
        "$XDG_DATA_HOME/../bin, ~/.local/bin)",
    )
    where.add_argument("--no-bin", action="store_true", help="make no links and no kitbag command")
    where.add_argument(
        "--bin", action="store_true", help="make them, also where the bundle says not to"
    )
    parser.add_argument(
        "--default",
        action=BooleanOptionalAction,
        help="link python and python3 too, not only python3.13 (otherwise as the bundle says; "
        "if it says nothing: no)",
    )
    parser.add_argument(
        "--reinstall",
        action="store_true",
        help="replace builds and environments that are there already",
    )
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="bring what is there up to date: newer patch releases come in beside the older ones, "
        "newer releases of the same version in their place; nothing is turned back",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="with --upgrade: remove the older patch releases that kitbag installed, once the "
        "newest works",
    )
    parser.add_argument(
        "--foreign",
        action="store_true",
        help="install what is for other machines too, for an image or a share: everything in the "
        "bundle, or what the requests name; it is not tested here, and no names lead to it",
    )
    parser.add_argument(
        "--seen-as",
        metavar="DIR",
        help="the path that the root will have on the machine that uses it, if not the one it has "
        "here; no names are made",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files in the bin directory that kitbag did not make, and go on where the "
        "checks before the install only advise against it",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="tell what would be installed, where, and whether it would work; write nothing "
        "(exit status 5 if it would not)",
    )
    parser.add_argument(
        "--externally-managed",
        action=BooleanOptionalAction,
        help="mark the builds so that pip does not install straight into them (the file "
        "EXTERNALLY-MANAGED; otherwise as the bundle says; if it says nothing: yes)",
    )
    parser.add_argument(
        "--compile-bytecode",
        action=BooleanOptionalAction,
        help="compile the standard library and site-packages, and the packages of environments, "
        "also of what is there already (KITBAG_COMPILE_BYTECODE; otherwise only what the bundle "
        "brings along is used; with --no- not even that)",
    )
    parser.add_argument(
        "--durable",
        action="store_true",
        help="bring everything to the disk before it counts as installed",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        help="how many processes unpack and compile at a time (KITBAG_JOBS; otherwise the CPUs)",
    )
    parser.add_argument(
        "--report", metavar="FILE", help="write every digest that was checked to FILE, as JSON"
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.bundle import Bundle
    from kitbag_installer.environments.naming import split_words
    from kitbag_installer.hosts import this_host
    from kitbag_installer.installation import InstallOptions, install_builds

    if options.dry_run and options.report:
        raise UsageError("--dry-run writes nothing; leave --report out")
    if options.prune and not options.upgrade:
        raise UsageError("--prune removes what an upgrade makes superfluous; say --upgrade too")
    if options.seen_as is not None and not options.seen_as:
        raise UsageError("--seen-as is empty; give the path that the root will have")
    started = time.monotonic()
    names, requests = split_words(options.requests)
    root = chosen_root(options)
    jobs = chosen_jobs(options)
    bytecode = chosen_bytecode(options.compile_bytecode)
    with Bundle.open(options.bundle) as bundle:
        said = bundle.manifest.install
        install_options = InstallOptions(
            bin_dir=_bin_dir(options, said),
            default=_first(options.default, said.default, False),
            reinstall=options.reinstall,
            force=options.force,
            externally_managed=_first(options.externally_managed, said.externally_managed, True),
            durable=options.durable,
            jobs=jobs,
            foreign=options.foreign,
            seen_as=options.seen_as or "",
            upgrade=options.upgrade,
            prune=options.prune,
            bytecode=bytecode,
        )
        if options.dry_run:
            from kitbag_installer.cli.dry_run import tell

            return tell(
                bundle, root, requests, this_host(), install_options, reporter, options.json, names
            )
        done = install_builds(bundle, root, requests, this_host(), install_options, reporter, names)
        if options.report:
            from kitbag_installer.reports import install_report, write_report

            write_report(options.report, install_report(bundle, done))
    if options.json:
        from kitbag_installer.cli.terminal import write_json

        write_json(_as_table(done))
    else:
        _render(done, time.monotonic() - started)
    _remark(done, install_options.bin_dir, reporter)
    return _status(done)


def _first(option: bool | None, bundle: bool | None, otherwise: bool) -> bool:
    """What the person says, or else the bundle, or else what is usual."""
    return next((each for each in (option, bundle) if each is not None), otherwise)


def _bin_dir(options: argparse.Namespace, said: InstallDefaults) -> str:
    """The bin directory; empty for none, which a bundle says in vain where one is named."""
    named = options.bin or options.bin_dir is not None or os.environ.get("KITBAG_BIN_DIR")
    return "" if said.bin is False and not named else chosen_bin_dir(options)


def _render(done: InstallResult, seconds: float) -> None:
    import sys

    from kitbag_installer.cli.lines import bytecode_note, summed, turned_line
    from kitbag_installer.cli.terminal import paint, write_line
    from kitbag_installer.preflight.actions import DONE

    fresh = [result for result in done.builds if result.action in DONE.values()]
    made = [each for each in done.environments if each.action not in ("present", "failed")]
    _render_idle(done)
    if fresh or made:
        size = sum(result.build.unpacked_size for result in fresh)
        size += sum(wheel.unpacked_size for each in made for wheel in each.wheels)
        what = summed(len(fresh), len(made), size)
        write_line(f"Installed {what} in {seconds:.1f} s into {done.root.path}")
    for result in fresh:
        sign = paint("+" if result.action == "installed" else "~", "green", sys.stdout)
        notes = [os.path.basename(path) for path in _names_of(done, result)]
        if result.action == "upgraded":
            notes.insert(0, f"release {result.old_release or 'unknown'} → {result.build.release}")
        if result.elsewhere:
            notes.append(result.elsewhere)
        if result.bytecode:
            notes.append(bytecode_note(result.bytecode))
        write_line(f" {sign} {result.build.key}" + (f" ({', '.join(notes)})" if notes else ""))
    _render_environments(made)
    for link, old in done.turned_links.items():
        write_line(turned_line(link, old, done.minor_links[link]))
    for key in done.pruned:
        write_line(f" {paint('-', 'red', sys.stdout)} {key}")


def _render_idle(done: InstallResult) -> None:
    from kitbag_installer.cli.lines import bytecode_note, idle_environment_line, idle_line
    from kitbag_installer.cli.terminal import write_line
    from kitbag_installer.preflight.actions import IDLE

    lines = [
        (idle_line(result.build, result.action, done.root.path), result.bytecode)
        for result in done.builds
        if result.action in IDLE
    ]
    lines += [
        (idle_environment_line(each.environment.name, done.root.path), each.bytecode)
        for each in done.environments
        if each.action == "present"
    ]
    for line, bytecode in lines:
        write_line(line + (f"; {bytecode_note(bytecode)}" if bytecode else ""))


def _render_environments(made: list[EnvironmentResult]) -> None:
    import sys

    from kitbag_installer.cli.lines import bytecode_note, counted
    from kitbag_installer.cli.terminal import paint, write_line

    for each in made:
        sign = paint("+" if each.action == "installed" else "~", "green", sys.stdout)
        notes = [counted(len(each.wheels), "package") or "no packages"]
        notes += [os.path.basename(path) for path in each.links]
        if each.bytecode:
            notes.append(bytecode_note(each.bytecode))
        write_line(f" {sign} {each.environment.name} ({', '.join(notes)})")


def _names_of(done: InstallResult, result: BuildResult) -> list[str]:
    inside = (result.path + os.sep, done.root.minor_link(result.build.key) + os.sep)
    return [path for path, target in done.bin_links.items() if target.startswith(inside)]


def _remark(done: InstallResult, bin_dir: str, reporter: Reporter) -> None:
    from kitbag_installer.cli.lines import foreign_line, held_line, refused_lines, show_failures
    from kitbag_installer.cli.terminal import show_error
    from kitbag_installer.installation import is_foreign
    from kitbag_installer.path_advice import is_on_path, path_advice
    from kitbag_installer.preflight.actions import DONE
    from kitbag_installer.upgrading import held_back

    for result in done.builds:
        if is_foreign(result):
            reporter.info(foreign_line(done.root, result.build))
    for key, held in held_back(done.root, [result.build.key for result in done.there]).items():
        reporter.info(held_line(key, held))
    for line in refused_lines(done.root, done.refused_names):
        reporter.warn(line)
    fresh = any(result.action in DONE.values() for result in done.builds)
    if any(result.elsewhere and result.action in DONE.values() for result in done.builds):
        reporter.info("no names lead to what is for elsewhere; see kitbag installed")
    fresh = fresh or any(each.links and each.action != "present" for each in done.environments)
    if bin_dir and done.command and fresh and not is_on_path(bin_dir, os.environ):
        reporter.info(path_advice(bin_dir, os.environ))
    results: list[BuildResult | EnvironmentResult] = [*done.builds, *done.environments]
    for each in results:
        if each.error is not None:
            show_error(each.error, as_json=False)
        elif each.bytecode is not None:
            show_failures(each.path, each.bytecode)


def _status(done: InstallResult) -> int:
    statuses = [error.exit_status for error in done.errors]
    results: list[BuildResult | EnvironmentResult] = [*done.builds, *done.environments]
    broken = any(result.bytecode and result.bytecode.failures for result in results)
    return max([*statuses, 1 if broken else 0])


def _as_table(done: InstallResult) -> dict[str, Any]:
    from kitbag_installer.reports import build_table, environment_table

    return {
        "root": done.root.path,
        "builds": [build_table(result) for result in done.builds],
        "environments": [environment_table(result) for result in done.environments],
        "links": done.bin_links,
        "minor-links": done.minor_links,
        "turned-links": done.turned_links,
        "pruned": [str(key) for key in done.pruned],
        "refused-names": list(done.refused_names),
        "kitbag": done.command,
    }
