"""Compiles what an install finds there already: the builds, and then the environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_installer.preflight.actions import IDLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.bytecode.inplace import Result
    from kitbag_installer.environments.installing import EnvironmentResult
    from kitbag_installer.hosts import Host
    from kitbag_installer.installation import BuildResult, InstallOptions, InstallResult


def compile_present(
    done: InstallResult,
    requests: Sequence[Request],
    host: Host,
    options: InstallOptions,
    reporter: Reporter,
) -> None:
    """Compile what is stale in what was there before, and tell ``done`` what came of it.

    Under the root's lock. Raises :class:`OSError` if a receipt can't be written.
    """
    _compile_builds(done, requests, host, options, reporter)
    present = [each for each in done.environments if each.action == "present"]
    if present:
        _compile_environments(done, present, host, options, reporter)


def _compile_builds(
    done: InstallResult,
    requests: Sequence[Request],
    host: Host,
    options: InstallOptions,
    reporter: Reporter,
) -> None:
    from kitbag_installer.bytecode.inplace import compile_in_place
    from kitbag_installer.bytecode.sources import why_not_compiled
    from kitbag_installer.bytecode.tasks import warn_of_skipped

    reasons = {result.build.key: why_not_compiled(result.build.key, host) for result in done.there}
    warn_of_skipped({key: why for key, why in reasons.items() if why}, requests, reporter)
    present = [
        result for result in done.there if result.action in IDLE and not reasons[result.build.key]
    ]
    keys = [result.build.key for result in present]
    outcomes = compile_in_place(done.root, keys, options.bytecode, options.jobs, reporter)
    for result, outcome in zip(present, outcomes):
        _tell(result, outcome)


def _compile_environments(
    done: InstallResult,
    present: Sequence[EnvironmentResult],
    host: Host,
    options: InstallOptions,
    reporter: Reporter,
) -> None:
    from kitbag_installer.environments.inplace import compile_in_place
    from kitbag_installer.environments.receipts import read_receipt

    # What is for another place finds its interpreter only there.
    here = [each for each in present if read_receipt(each.path).home == each.path]
    names = [each.environment.name for each in here]
    outcomes = compile_in_place(done.root, names, host, options.bytecode, options.jobs, reporter)
    for result, outcome in zip(here, outcomes):
        _tell(result, outcome.result)


def _tell(result: BuildResult | EnvironmentResult, outcome: Result) -> None:
    if isinstance(outcome, KitbagError):
        result.action, result.error = "failed", outcome
    else:
        result.bytecode = outcome
