"""Installs builds from a bundle into a root: the whole of the journey's second half."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DoesNotFit, FileSystemError, KitbagError, file_system_error
from kitbag_installer import commit, launcher, links
from kitbag_installer.locks import locked
from kitbag_installer.preflight.plans import is_there, plan_install
from kitbag_installer.preflight.points import refuse
from kitbag_installer.preflight.probing import probe
from kitbag_installer.staging import StagingOptions, stage_build
from kitbag_installer.workers import run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class InstallOptions:
    """How to install; ``bin_dir`` empty means no links and no ``kitbag`` command.

    ``force`` replaces other people's files there, and overrides what the preflight only advises.
    """

    bin_dir: str = ""
    default: bool = False
    reinstall: bool = False
    force: bool = False
    externally_managed: bool = True
    durable: bool = False
    jobs: int = 1


@dataclass
class BuildResult:
    """What happened to one build: ``installed``, ``reinstalled``, ``present`` or ``failed``."""

    build: Build
    action: str
    path: str
    rewritten: int = 0
    error: KitbagError | None = None


@dataclass
class InstallResult:
    """What an install did, in the order of the builds' keys."""

    root: Root
    builds: list[BuildResult]
    minor_links: dict[str, str] = field(default_factory=dict)
    bin_links: dict[str, str] = field(default_factory=dict)
    refused_names: tuple[str, ...] = ()
    command: str = ""

    @property
    def failures(self) -> list[BuildResult]:
        """The builds that could not be installed."""
        return [result for result in self.builds if result.error is not None]


def install_builds(
    bundle: Bundle,
    root: Root,
    requests: Sequence[Request],
    host: Host,
    options: InstallOptions,
    reporter: Reporter,
) -> InstallResult:
    """Install what ``requests`` name, or everything that fits ``host``.

    A build that is there already is left alone, unless ``options.reinstall``. One that fails does
    not stop the others; its error is in the result. Raises :class:`NoMatch`, :class:`DoesNotFit`
    (with every point at once), :class:`LockTimeout` and :class:`FileSystemError` before anything is
    written, and :class:`IntegrityError` for a damaged ``kitbag.pyz``.
    """
    if sys.platform == "win32":
        raise DoesNotFit(
            "kitbag can't install on Windows yet; unpack the archive of the build with 'tar -xf'"
        )
    pyz = bundle.installer()
    plan = plan_install(
        bundle, root, requests, host, reinstall=options.reinstall, bin_dir=options.bin_dir
    )
    refuse(plan.points, root.path, force=options.force, reporter=reporter)
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                links.prune_links(root)
                results = _install_missing(bundle, plan.builds, root, options, reporter)
                done = InstallResult(root, results)
                if any(result.error is None for result in results):
                    _connect(done, pyz, options)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return done


def _install_missing(
    bundle: Bundle,
    builds: Sequence[Build],
    root: Root,
    options: InstallOptions,
    reporter: Reporter,
) -> list[BuildResult]:
    results = {}
    missing = []
    for build in builds:
        place = root.install_path(build.key)
        there = is_there(root, build.key)
        if there and not options.reinstall:
            results[build.key] = BuildResult(build, "present", place)
        else:
            missing.append((build, "reinstalled" if there else "installed"))
    for build, _ in missing:
        _check_place(root.install_path(build.key))
    if missing:
        matters = any(build.case_collisions for build, _ in missing)
        points = probe(root, case_matters=matters)
        refuse(points, root.path, force=options.force, reporter=reporter)
    staged = _stage_all(bundle, [build for build, _ in missing], root, options, reporter)
    if options.durable and missing:
        commit.flush(root)
    for (build, action), (tree, outcome) in zip(missing, staged):
        place = root.install_path(build.key)
        result = BuildResult(build, action, place)
        if isinstance(outcome, KitbagError):
            result.action, result.error = "failed", outcome
        else:
            result.rewritten = outcome
            commit.put_in_place(root, build.key, tree)
        results[build.key] = result
    return [results[build.key] for build in builds]


def _check_place(place: str) -> None:
    """Other people's files are never replaced, even where nobody would look for one."""
    if os.path.lexists(place) and not os.path.isdir(place):
        raise FileSystemError(
            f"{place}: something is there that is no build; move it away, then try again"
        )


def _stage_all(
    bundle: Bundle,
    builds: Sequence[Build],
    root: Root,
    options: InstallOptions,
    reporter: Reporter,
) -> list[tuple[str, int | KitbagError]]:
    if not builds:
        return []
    trees = [root.scratch("stage") for _ in builds]
    staging = StagingOptions(externally_managed=options.externally_managed)
    total = sum(build.payload.size for build in builds)
    label = str(builds[0].key) if len(builds) == 1 else f"{len(builds)} builds"
    try:
        with reporter.progress(f"installing {label}", total) as progress:
            tasks = [
                functools.partial(stage_build, bundle, build, root, tree, staging)
                for build, tree in zip(builds, trees)
            ]
            outcomes = run_side_by_side(tasks, options.jobs, progress)
    except BaseException:
        # The workers are gone by now, whatever they were doing.
        for tree in trees:
            commit.remove_tree(tree)
        raise
    return list(zip(trees, outcomes))


def _connect(done: InstallResult, pyz: bytes, options: InstallOptions) -> None:
    """Everything outside of the trees: links, names, kitbag itself. Repeating it does no harm."""
    root = done.root
    keys: list[BuildKey] = [result.build.key for result in done.builds if result.error is None]
    done.minor_links = links.link_minor_versions(root)
    launcher.leave_kitbag(root, pyz)
    if not options.bin_dir:
        return
    made = links.link_commands(
        root, keys, options.bin_dir, default=options.default, force=options.force
    )
    done.bin_links, refused = made.made, list(made.refused)
    links.remember_bin_dir(root, options.bin_dir)
    done.command = launcher.write_command(root, options.bin_dir, force=options.force)
    if not done.command:
        refused.append(os.path.join(options.bin_dir, launcher.COMMAND))
    done.refused_names = tuple(refused)


def is_foreign(result: BuildResult) -> bool:
    """Whether a build that is present was put there by another tool."""
    from kitbag_installer.receipts import has_receipt

    return result.action == "present" and not has_receipt(result.path)
