"""Brings back the environment that was there before, its names included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import KitbagError, NoMatch, SmokeTestFailed, file_system_error
from kitbag_installer import commit, links
from kitbag_installer.environments import commit as environments
from kitbag_installer.environments.exposing import expose, withdraw
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.places import environment_path, previous_path
from kitbag_installer.environments.receipts import has_receipt, read_receipt, receipt_or_none
from kitbag_installer.environments.smoke import Started
from kitbag_installer.environments.verification import misplaced, missing_interpreter
from kitbag_installer.hosts import this_host
from kitbag_installer.locks import locked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root


class Change(NamedTuple):
    """A package that is another one than before; a version is empty where it is not there."""

    name: str
    old: str
    new: str


class RolledBackEnvironment(NamedTuple):
    """An environment that changed places with the one before it, and what that changed."""

    name: str
    path: str
    changes: tuple[Change, ...]
    refused: tuple[str, ...]
    """Files in bin directories that have a name that it would have, and are not kitbag's."""


def roll_back_environments(
    root: Root, names: Sequence[str], reporter: Reporter
) -> tuple[RolledBackEnvironment, ...]:
    """Let each of ``names`` and the one before it change places, after all of those were tested.

    Doing it twice changes nothing. Raises :class:`NoMatch` where there is none before,
    :class:`IntegrityError`, :class:`SmokeTestFailed`, :class:`LockTimeout`,
    :class:`FileSystemError`.
    """
    if not names:
        return ()
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                for name in names:
                    _test(root, name)
                return tuple(_turn(root, name) for name in names)
        except OSError as error:
            raise file_system_error(error, root.path) from None


def check_previous(root: Root, names: Sequence[str]) -> None:
    """Raise :class:`NoMatch` unless there is one before each of the environments ``names``."""
    for name in names:
        if not has_receipt(previous_path(root, name)):
            raise NoMatch(f"{name}: no other one was there before; install a bundle that has it")


def _test(root: Root, name: str) -> None:
    """What comes back must run; raises :class:`KitbagError`."""
    check_previous(root, [name])
    tree = previous_path(root, name)
    receipt = read_receipt(tree)
    if receipt.foreign or this_host().unfit(receipt.python):
        return
    problem = misplaced(environment_path(root, name), receipt) or missing_interpreter(receipt)
    if problem:
        raise KitbagError(f"{name}: the one before can't be brought back: {problem}")
    program = os.path.join(tree, layout_of(receipt.python).python)
    try:
        with Started(name, program) as started:
            started.check(tree, receipt.base)
    except SmokeTestFailed as error:
        raise SmokeTestFailed(f"{error}; it stays as it is") from None


def _turn(root: Root, name: str) -> RolledBackEnvironment:
    place = environment_path(root, name)
    # A rollback is also a way out where the present one is damaged.
    old = receipt_or_none(place)
    new = read_receipt(previous_path(root, name))
    folders = _bin_dirs_of(root, place, old)
    # Before it, so that no name ever leads to nothing.
    withdraw(root, name, keep=frozenset(new.expose))
    environments.roll_back(root, name)
    refused: list[str] = []
    if new.home == place:
        for folder in folders:
            refused += expose(root, new, folder, force=False).refused
    return RolledBackEnvironment(name, place, _changes(old, new), tuple(refused))


def _bin_dirs_of(root: Root, place: str, old: EnvironmentReceipt | None) -> list[str]:
    """The directories that its names are in; where it wants none, all that are known."""
    inside = place + os.sep
    found = {os.path.dirname(path) for path, to in links.bin_links(root) if to.startswith(inside)}
    if not found and old is not None and not old.expose:
        found.update(links.remembered_bin_dirs(root))
    return sorted(found)


def _changes(old: EnvironmentReceipt | None, new: EnvironmentReceipt) -> tuple[Change, ...]:
    before = {wheel.name: wheel.version for wheel in old.wheels} if old else {}
    after = {wheel.name: wheel.version for wheel in new.wheels}
    return tuple(
        Change(name, before.get(name, ""), after.get(name, ""))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
