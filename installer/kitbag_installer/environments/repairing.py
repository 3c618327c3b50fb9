"""Mends installed environments from a bundle that holds the same wheels.

A damaged environment is made anew beside the old one, from the bundle's checked wheels, and takes
its place in one step; what a person added comes along, and the one before it stays what it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import IntegrityError, KitbagError, NoMatch, file_system_error
from kitbag_installer import commit, mending
from kitbag_installer.bytecode.modes import TIMESTAMP, BytecodeOptions
from kitbag_installer.environments.additions import (
    bring_along,
    guessed_extra,
    keep_owner,
    without_rivals,
)
from kitbag_installer.environments.bases import base_of
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.receipts import (
    read_contents,
    read_receipt,
    receipt_or_none,
    receipt_text,
)
from kitbag_installer.environments.remaking import put_back
from kitbag_installer.environments.staging import Making
from kitbag_installer.environments.verification import misplaced, missing_interpreter
from kitbag_installer.locks import locked
from kitbag_installer.receiptlists import RECEIPT, read_bytecode
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.verification import Expected, TreeCheck
from kitbag_installer.workers import run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Environment
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root


class RepairedEnvironment(NamedTuple):
    """What was done to one environment; paths are relative to it.

    ``action`` is ``sound`` (nothing to do), ``repaired`` or ``failed``. ``moved_from`` is the path
    that it is written for, if it was moved and is neither relocated nor made anew.
    """

    name: str
    path: str
    action: str
    mended: tuple[str, ...] = ()
    error: KitbagError | None = None
    moved_from: str = ""


class _Found(NamedTuple):
    """What an environment is to be, and what is wrong with it."""

    environment: Environment
    receipt: EnvironmentReceipt | None
    damaged: tuple[str, ...]
    extra: tuple[str, ...]
    """What a person added; where the receipt is damaged nobody can tell yet."""
    mode: str
    """How its compiled files are made again; empty where kitbag made none."""


def mendable(bundle: Bundle, root: Root, names: Sequence[str]) -> tuple[str, ...]:
    """Those of ``names`` of which ``bundle`` has the same environment that is installed."""
    found = []
    for name in names:
        with contextlib.suppress(NoMatch):
            _wanted(bundle, root, name, receipt_or_none(environment_path(root, name)))
            found.append(name)
    return tuple(found)


def repair_environments(
    bundle: Bundle,
    root: Root,
    names: Sequence[str],
    jobs: int,
    reporter: Reporter,
    *,
    dry_run: bool = False,
) -> list[RepairedEnvironment]:
    """Mend the environments ``names``; with ``dry_run`` only tell what would be.

    One that can't be mended does not stop the others. Raises :class:`LockTimeout` and
    :class:`FileSystemError`.
    """
    if dry_run:
        return [_attempt(bundle, root, name, jobs, reporter, dry_run=True) for name in names]
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                return [
                    _attempt(bundle, root, name, jobs, reporter, dry_run=False) for name in names
                ]
        except OSError as error:
            raise file_system_error(error, root.path) from None


def _attempt(
    bundle: Bundle, root: Root, name: str, jobs: int, reporter: Reporter, *, dry_run: bool
) -> RepairedEnvironment:
    place = environment_path(root, name)
    try:
        opened = () if dry_run else _open_folders(place)
        found = _examine(bundle, root, name, reporter)
        mended = tuple(sorted({*opened, *found.damaged}))
        receipt = found.receipt
        moved_from = receipt.home if receipt and misplaced(place, receipt) else ""
        if receipt and not moved_from and missing_interpreter(receipt):
            raise KitbagError(f"{name}: {missing_interpreter(receipt)}")
        if not mended:
            return RepairedEnvironment(name, place, "sound", moved_from=moved_from)
        if found.damaged and not dry_run:
            # It is made for where it is now.
            _mend(bundle, root, found, jobs, reporter)
            moved_from = ""
        return RepairedEnvironment(name, place, "repaired", mended, moved_from=moved_from)
    except OSError as error:
        failure: KitbagError = file_system_error(error, place)
    except KitbagError as error:
        if error.code == "interrupted":
            raise
        failure = error
    return RepairedEnvironment(name, place, "failed", error=failure)


def _open_folders(place: str) -> tuple[str, ...]:
    """Let directories be looked into that can't be; in place, as there is no other way."""
    opened = mending.open_folders(place, ())
    try:
        entries = read_contents(place, read_receipt(place))
    except IntegrityError:
        return opened
    folders = [entry.path for entry in entries if entry.kind == "d"]
    return (*opened, *mending.open_folders(place, folders))


def _wanted(
    bundle: Bundle, root: Root, name: str, receipt: EnvironmentReceipt | None
) -> Environment:
    """What the bundle has of the environment ``name``; raises :class:`NoMatch`."""
    manifest = bundle.manifest
    found = [each for each in manifest.environments if each.name == name and each.python]
    if not found:
        offer = ", ".join(sorted({each.name for each in manifest.environments})) or "none"
        raise NoMatch(f"{bundle.path} has no environment {name!r}; it has {offer}")
    if receipt is None:
        builds = set(root.builds())
        here = [each for each in found if each.python in builds]
        if here:
            return max(here, key=lambda each: each.order())
        raise NoMatch(
            f"{name}: its receipt is damaged, and no build of {bundle.path} that it could belong "
            "to is installed; install it again with 'kitbag install BUNDLE NAME'"
        )
    wheels = [(wheel.filename, wheel.sha256) for wheel in receipt.wheels]
    for each in found:
        has = [(wheel.filename, wheel.sha256) for wheel in manifest.wheels_of(each)]
        if each.python == receipt.python and has == wheels:
            # What is exposed may have changed since: that is for an install.
            return dataclasses.replace(each, expose=receipt.expose, run=receipt.run)
    raise NoMatch(
        f"{name} is another one than {bundle.path} has; mend it from its own bundle, or let "
        f"'kitbag install {bundle.path} {name}' replace it"
    )


def _examine(bundle: Bundle, root: Root, name: str, reporter: Reporter) -> _Found:
    place = environment_path(root, name)
    receipt = receipt_or_none(place)
    environment = _wanted(bundle, root, name, receipt)
    if receipt is None:
        return _Found(environment, None, (f"{RECEIPT_DIR}/{RECEIPT}",), (), "")
    damaged: list[str] = []
    bytecode: dict[str, str] = {}
    try:
        bytecode = read_bytecode(place, receipt)
    except IntegrityError:
        damaged.append(f"{RECEIPT_DIR}/bytecode.tsv")
    try:
        entries = read_contents(place, receipt)
    except IntegrityError:
        damaged.append(f"{RECEIPT_DIR}/contents.tsv")
        mode = _mode(place, bytecode) if receipt.bytecode_sha256 else ""
        return _Found(environment, None, tuple(damaged), (), mode)
    check = TreeCheck(place, Expected.of(entries, {}, {}, {}, bytecode))
    total = sum(entry.size for entry in entries)
    with reporter.progress(f"verifying {name}", total) as progress:
        check.run(progress)
    damaged += [*check.missing, *check.changed]
    mode = _mode(place, bytecode) if receipt.bytecode_sha256 else ""
    return _Found(environment, receipt, tuple(damaged), tuple(check.extra()), mode)


def _mode(place: str, bytecode: Collection[str]) -> str:
    """In which mode kitbag compiled; what is the usual one where nothing of that is left."""
    from kitbag_installer.bytecode.renewal import mode_of

    for path in bytecode:
        full = os.path.join(place, path)
        if os.path.isfile(full):
            return mode_of(full)
    return TIMESTAMP


def _mend(bundle: Bundle, root: Root, found: _Found, jobs: int, reporter: Reporter) -> None:
    """Put an environment into place that is as it is meant to be."""
    environment, receipt = found.environment, found.receipt
    assert environment.python is not None
    place = environment_path(root, environment.name)
    foreign = receipt is not None and receipt.foreign
    seen_as = os.path.dirname(os.path.dirname(receipt.home)) if receipt and foreign else ""
    making = Making(bundle, environment, root, jobs, seen_as)
    with reporter.progress(f"repairing {environment.name}", making.weight) as progress:
        making.take(run_side_by_side(making.tasks(), jobs, progress))
    options = BytecodeOptions(bool(found.mode), found.mode or TIMESTAMP)
    made = making.finish(base_of(root, environment.python), options, reporter)
    try:
        if receipt is not None:
            # The bundle that it came from stays the one that it was.
            kept = dataclasses.replace(made.receipt, bundle=receipt.bundle)
            _rewrite_receipt(made.tree, kept)
        extra = found.extra if receipt is not None else guessed_extra(place, made.tree, environment)
        names = {wheel.name for wheel in made.receipt.wheels}
        extra, rivals = without_rivals(place, made.tree, environment, extra, names)
        if rivals:
            reporter.warn(
                f"{environment.name}: {', '.join(rivals)} gave way to what the bundle has; install "
                "it again if you want it instead"
            )
        bring_along(place, made.tree, extra)
        keep_owner(place, made.tree)
        put_back(root, environment.name, place, made.tree)
    except BaseException:
        commit.remove_tree(made.tree)
        raise


def _rewrite_receipt(tree: str, receipt: EnvironmentReceipt) -> None:
    now = read_receipt(tree)
    path = os.path.join(tree, RECEIPT_DIR, RECEIPT)
    with open(path, "wb") as file:
        file.write(receipt_text(dataclasses.replace(receipt, bytecode_sha256=now.bytecode_sha256)))
