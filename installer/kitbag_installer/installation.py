"""Installs builds from a bundle into a root: the whole of the journey's second half."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, KitbagError, file_system_error
from kitbag_installer import commit, launcher, links, pins, removal
from kitbag_installer.bytecode.modes import UNASKED, BytecodeOptions
from kitbag_installer.elsewhere import check_seen_as, whose
from kitbag_installer.locks import locked
from kitbag_installer.preflight.actions import DONE, IDLE, action_for, is_there
from kitbag_installer.preflight.plans import plan_install
from kitbag_installer.preflight.points import refuse
from kitbag_installer.preflight.probing import probe
from kitbag_installer.staging import StagingOptions
from kitbag_installer.stagings import stage_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.environments.installing import EnvironmentResult, Environments
    from kitbag_installer.hosts import Host
    from kitbag_installer.preflight.plans import Plan
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
    upgrade: bool = False
    """Bring lines that are there up to date: see :mod:`kitbag_installer.upgrading`."""
    prune: bool = False
    """Remove older patches of what was brought up to date."""
    foreign: bool = False
    """Install what is for another kind of machine too: untested, and without links."""
    seen_as: str = ""
    """The path that the root has on the machine that will use it; empty for the one it has here."""
    bytecode: BytecodeOptions = UNASKED


@dataclass
class BuildResult:
    """What happened to one build.

    ``action`` is ``installed``, ``reinstalled``, ``upgraded`` (a newer release of the same
    version), ``present``, ``newer-present`` (an upgrade that would be a step back) or ``failed``.
    """

    build: Build
    action: str
    path: str
    rewritten: int = 0
    elsewhere: str = ""
    """What it is for, if not for use here: ``for windows-x86_64``; such a one gets no links."""
    bytecode: Compiled | None = None
    """What was compiled; ``None`` where nothing was to be."""
    old_release: str = ""
    """Of what was upgraded, the release that had to give way."""
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
    pruned: tuple[BuildKey, ...] = ()
    """Older patches that were removed."""
    turned_links: dict[str, str] = field(default_factory=dict)
    """Minor-version links that led to another build before, each with that."""
    environments: list[EnvironmentResult] = field(default_factory=list)
    """In the order of their names."""

    @property
    def errors(self) -> list[KitbagError]:
        """What went wrong, with builds and with environments."""
        results: list[BuildResult | EnvironmentResult] = [*self.builds, *self.environments]
        return [result.error for result in results if result.error is not None]

    @property
    def failures(self) -> list[BuildResult]:
        """The builds that could not be installed."""
        return [result for result in self.builds if result.error is not None]

    @property
    def there(self) -> list[BuildResult]:
        """Those that are in the root now, whether this install put them there or not."""
        sound = [result for result in self.builds if result.error is None]
        return [r for r in sound if r.action != "newer-present" or is_there(self.root, r.build.key)]


def install_builds(
    bundle: Bundle,
    root: Root,
    requests: Sequence[Request],
    host: Host,
    options: InstallOptions,
    reporter: Reporter,
    names: Sequence[str] = (),
) -> InstallResult:
    """Install what ``requests`` and ``names`` name, or everything that fits ``host``.

    ``names`` are those of environments. A build that is there already is left alone, unless
    ``options.reinstall``, or ``options.upgrade`` and it is an older release; an environment is
    left alone if it is the very same. One that fails does not stop the others; its error is in the
    result. Raises :class:`NoMatch`, :class:`DoesNotFit` (with every point at once),
    :class:`LockTimeout` and :class:`FileSystemError` before anything is written, and
    :class:`IntegrityError` for a damaged ``kitbag.pyz``.
    """
    pyz = bundle.installer()
    plan = plan_install(
        bundle,
        root,
        requests,
        host,
        reinstall=options.reinstall,
        bin_dir=options.bin_dir,
        upgrade=options.upgrade,
        foreign=options.foreign,
        bytecode=options.bytecode.compile is not False,
        names=names,
        seen_as=options.seen_as,
    )
    if options.seen_as:
        keys = [build.key for build in plan.builds]
        seen_as = check_seen_as(options.seen_as, keys)
        options = dataclasses.replace(options, seen_as="" if seen_as == root.path else seen_as)
    refuse(plan.points, root.path, force=options.force, reporter=reporter)
    if options.foreign and bundle.manifest.environments:
        from kitbag_installer.environments.selection import warn_of_foreign

        chosen = [each.environment for each in plan.environments]
        warn_of_foreign(bundle.manifest, chosen, reporter)
    root.prepare()
    with locked(root, reporter):
        try:
            with removal.untouched_on_failure(root), commit.swept(root):
                links.prune_links(root)
                pins.warn_of_damage(root, reporter)
                results, environments = _install_missing(bundle, plan, requests, options, reporter)
                for result in results:
                    result.elsewhere = whose(root, result.build.key, host)
                done = InstallResult(root, results)
                works = any(result.error is None for result in results)
                if works:
                    _connect(done, pyz, options)
                if environments is not None:
                    environments.conclude(done, options, reporter)
                if not works:
                    removal.leave_after_last(root)
                if options.prune:
                    _prune(done, reporter)
                if options.bytecode.compile:
                    from kitbag_installer.bytecode.present import compile_present

                    compile_present(done, requests, host, options, reporter)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return done


def _install_missing(
    bundle: Bundle,
    plan: Plan,
    requests: Sequence[Request],
    options: InstallOptions,
    reporter: Reporter,
) -> tuple[list[BuildResult], Environments | None]:
    builds, root = plan.builds, plan.root
    results = {}
    missing = []
    for build in builds:
        # What an environment stands on need not be new for the environment to be.
        reinstall = options.reinstall and build.key not in plan.needed
        action = action_for(root, build, requests, reinstall=reinstall, upgrade=options.upgrade)
        if action in IDLE:
            results[build.key] = BuildResult(build, action, root.install_path(build.key))
        else:
            missing.append((build, DONE[action]))
    for build, _ in missing:
        _check_place(root.install_path(build.key))
    if missing:
        matters = any(build.case_collisions for build, _ in missing)
        linked = any(build.key.target.os != "windows" for build, _ in missing)
        points = probe(root, case_matters=matters, links_matter=linked)
        refuse(points, root.path, force=options.force, reporter=reporter)
    staging = StagingOptions(
        options.externally_managed, options.seen_as, plan.foreign, options.bytecode, options.jobs
    )
    fresh = [build for build, _ in missing]
    environments = None
    if plan.environments:
        from kitbag_installer.environments.actions import as_it_is_now, check_places
        from kitbag_installer.environments.installing import Environments

        seen_as = options.seen_as
        planned = as_it_is_now(root, plan.environments, seen_as, reinstall=options.reinstall)
        refuse(check_places(root, planned), root.path, force=options.force, reporter=reporter)
        environments = Environments(bundle, root, planned, options.jobs, seen_as)
    makings = environments.makings if environments else ()
    staged = stage_all(bundle, fresh, root, staging, reporter, makings)
    if options.durable and missing:
        commit.flush(root)
    for (build, action), (tree, outcome) in zip(missing, staged):
        place = root.install_path(build.key)
        result = BuildResult(build, action, place)
        if isinstance(outcome, KitbagError):
            result.action, result.error = "failed", outcome
        else:
            result.rewritten, result.bytecode = len(outcome.staged.changed), outcome.bytecode
            for note in outcome.staged.notes:
                reporter.warn(f"{build.key}: {note}")
            if action == "upgraded":
                from kitbag_installer.releases import installed_release

                result.old_release = installed_release(place)
            commit.put_in_place(root, build.key, tree)
        results[build.key] = result
    return [results[build.key] for build in builds], environments


def _check_place(place: str) -> None:
    """Other people's files are never replaced, even where nobody would look for one."""
    if os.path.lexists(place) and (os.path.islink(place) or not os.path.isdir(place)):
        raise FileSystemError(
            f"{place}: something is there that is no build; move it away, then try again"
        )


def _connect(done: InstallResult, pyz: bytes, options: InstallOptions) -> None:
    """Everything outside of the trees: links, names, kitbag itself. Repeating it does no harm."""
    root = done.root
    keys = [result.build.key for result in done.there if not result.elsewhere]
    done.turned_links = links.turned_links(root, links.minor_links(root))
    done.minor_links = links.link_minor_versions(root)
    launcher.leave_kitbag(root, pyz)
    if not options.bin_dir or (done.there and not keys):
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


def _prune(done: InstallResult, reporter: Reporter) -> None:
    from kitbag_installer.upgrading import prune

    wanted = {result.build.key: "" for result in done.there}
    tested = [result.build.key for result in done.there if result.action not in IDLE]
    done.pruned = prune(done.root, wanted, tested, reporter)


def is_foreign(result: BuildResult) -> bool:
    """Whether a build that is present was put there by another tool."""
    from kitbag_installer.receipts import has_receipt

    return result.action == "present" and not has_receipt(result.path)
