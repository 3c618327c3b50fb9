"""Installs environments: between the builds that they belong to and the names that lead to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_installer import commit
from kitbag_installer.environments.actions import DONE
from kitbag_installer.environments.additions import warn_of_additions
from kitbag_installer.environments.bases import base_of
from kitbag_installer.environments.commit import put_in_place
from kitbag_installer.environments.places import environment_path, previous_path
from kitbag_installer.environments.remaking import put_back
from kitbag_installer.environments.staging import Making

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Environment, Wheel
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.bytecode.modes import BytecodeOptions
    from kitbag_installer.environments.actions import PlannedEnvironment
    from kitbag_installer.installation import InstallOptions, InstallResult
    from kitbag_installer.roots import Root


@dataclass
class EnvironmentResult:
    """What happened to one environment.

    ``action`` is ``installed``, ``replaced`` (another one gave way, and is kept for a rollback),
    ``reinstalled``, ``present`` or ``failed``.
    """

    environment: Environment
    wheels: tuple[Wheel, ...]
    action: str
    path: str
    bytecode: Compiled | None = None
    """What was compiled; ``None`` where nothing was to be."""
    links: dict[str, str] = field(default_factory=dict)
    """Its names in the bin directory, each with what it leads to."""
    error: KitbagError | None = None


class Environments:
    """All environments of one install, in the making."""

    def __init__(
        self,
        bundle: Bundle,
        root: Root,
        planned: Sequence[PlannedEnvironment],
        jobs: int,
        seen_as: str,
    ) -> None:
        """Nothing is made yet."""
        self._root = root
        self._planned = planned
        self.makings: list[Making] = []
        """Those that are to be made."""
        for each in planned:
            if each.action in DONE:
                self.makings.append(Making(bundle, each.environment, root, jobs, seen_as))

    def conclude(self, done: InstallResult, options: InstallOptions, reporter: Reporter) -> None:
        """Do what needs the builds and their links, and tell ``done`` what came of it.

        Under the root's lock. Raises :class:`OSError` and :class:`FileSystemError`.
        """
        failed = {result.build.key for result in done.failures}
        done.environments = self.finish(failed, options.bytecode, reporter, durable=options.durable)
        if options.bin_dir:
            made = done.environments
            done.refused_names += expose_all(self._root, made, options.bin_dir, force=options.force)
            for result in made:
                done.bin_links.update(result.links)

    def finish(
        self,
        failed: Collection[BuildKey],
        bytecode: BytecodeOptions,
        reporter: Reporter,
        *,
        durable: bool = False,
    ) -> list[EnvironmentResult]:
        """Do what needs the builds, of which ``failed`` are not there, and put all into place.

        What fails leaves the one that was there before, and does not stop the others. What is
        ``durable`` is on the disk before it is in place. Under the root's lock. Raises
        :class:`OSError`.
        """
        by_name = {making.name: making for making in self.makings}
        results = []
        ready: list[tuple[EnvironmentResult, str, str]] = []
        for each in self._planned:
            result = self._result(each)
            results.append(result)
            making = by_name.get(result.environment.name)
            if making is None:
                continue
            try:
                if making.python in failed:
                    making.discard()
                    raise KitbagError(
                        f"{making.name}: its build {making.python} could not be installed"
                    )
                made = making.finish(base_of(self._root, making.python), bytecode, reporter)
            except KitbagError as error:
                if error.code == "interrupted":
                    raise
                result.action, result.error = "failed", error
            else:
                result.bytecode = made.bytecode
                ready.append((result, made.tree, DONE[each.action]))
        if durable and ready:
            commit.flush(self._root)
        for result, tree, action in ready:
            name = result.environment.name
            if action == DONE["reinstall"]:
                # It is the same one, so the one before it stays what a rollback brings back.
                warn_of_additions(name, result.path, reporter, kept=False)
                put_back(self._root, name, result.path, tree)
            elif put_in_place(self._root, name, tree):
                warn_of_additions(name, previous_path(self._root, name), reporter)
            result.action = action
        return results

    def _result(self, each: PlannedEnvironment) -> EnvironmentResult:
        place = environment_path(self._root, each.environment.name)
        return EnvironmentResult(each.environment, each.wheels, each.action, place)


def expose_all(
    root: Root, results: Sequence[EnvironmentResult], bin_dir: str, *, force: bool
) -> tuple[str, ...]:
    """Make the names of all that are there in ``bin_dir``; returns what others have there.

    One that is for another place gets none. Raises :class:`FileSystemError`.
    """
    from kitbag_installer.environments.exposing import expose
    from kitbag_installer.environments.receipts import read_receipt

    refused: list[str] = []
    for result in results:
        if result.error is not None:
            continue
        receipt = read_receipt(result.path)
        if receipt.foreign and receipt.home != result.path:
            continue
        made = expose(root, receipt, bin_dir, force=force)
        result.links = made.made
        refused += made.refused
    return tuple(refused)
