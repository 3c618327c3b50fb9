"""Which environments are installed in a root, and what they are, at first sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.environments.places import environment_path, previous_environments
from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.environments.verification import misplaced, missing_interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class InstalledEnvironment:
    """One installed environment; ``problem`` says in a clause what is wrong at first sight."""

    name: str
    path: str
    receipt: EnvironmentReceipt | None
    """``None`` where it can't be read."""
    has_previous: bool
    """Whether there is one that a rollback brings back."""
    problem: str = ""
    elsewhere: str = ""
    """The path that it was made for, if not for use here."""


def list_environments(root: Root, names: Sequence[str]) -> list[InstalledEnvironment]:
    """Describe the environments ``names`` without starting anything."""
    kept = previous_environments(root) if names else ()
    return [_describe(root, name, name in kept) for name in names]


def _describe(root: Root, name: str, has_previous: bool) -> InstalledEnvironment:
    path = environment_path(root, name)
    try:
        receipt = read_receipt(path)
    except IntegrityError as error:
        return InstalledEnvironment(name, path, None, has_previous, str(error))
    problem = misplaced(path, receipt) or missing_interpreter(receipt)
    elsewhere = receipt.home if receipt.foreign and receipt.home != path else ""
    return InstalledEnvironment(name, path, receipt, has_previous, problem, elsewhere)
