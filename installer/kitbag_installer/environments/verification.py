"""Holds installed environments against their receipts, file by file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.receipts import has_receipt, read_contents, read_receipt
from kitbag_installer.receiptlists import read_bytecode
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class VerifiedEnvironment:
    """What was found out about one environment; the fields are those of a build's ``Verified``."""

    name: str
    path: str
    python: str
    """The key of its build; empty where the receipt can't be read."""
    files: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]
    problem: str = ""
    bytecode: int = 0

    @property
    def sound(self) -> bool:
        """Whether everything that was installed is still as it was."""
        return not (self.missing or self.changed or self.problem)


def verify_environments(
    root: Root, names: Sequence[str], reporter: Reporter
) -> list[VerifiedEnvironment]:
    """Check the environments ``names`` of ``root``."""
    return [_verify(root, name, reporter) for name in names]


def _verify(root: Root, name: str, reporter: Reporter) -> VerifiedEnvironment:
    from kitbag_installer.verification import MEND, Expected, TreeCheck

    path = environment_path(root, name)
    if not has_receipt(path):
        lost = f"{os.path.join(path, RECEIPT_DIR)} has no receipt any more; {MEND}"
        return VerifiedEnvironment(name, path, "", 0, (), (), (), lost)
    try:
        receipt = read_receipt(path)
        entries = read_contents(path, receipt)
    except IntegrityError as error:
        return VerifiedEnvironment(name, path, "", 0, (), (), (), str(error))
    bytecode: dict[str, str] = {}
    problem = misplaced(path, receipt) or missing_interpreter(receipt)
    try:
        bytecode = read_bytecode(path, receipt)
    except IntegrityError as error:
        problem = str(error)
    check = TreeCheck(path, Expected.of(entries, {}, {}, {}, bytecode))
    total = sum(entry.size for entry in entries)
    with reporter.progress(f"verifying {name}", total) as progress:
        check.run(progress)
    compiled = len(check.read & bytecode.keys())
    return VerifiedEnvironment(
        name,
        path,
        str(receipt.python),
        files=len(check.read) - compiled,
        missing=tuple(check.missing),
        changed=tuple(check.changed),
        extra=tuple(check.extra()),
        problem=problem,
        bytecode=compiled,
    )


def misplaced(path: str, receipt: EnvironmentReceipt) -> str:
    """Where the environment at ``path`` was before it was moved, as a clause; mostly empty."""
    if receipt.home == path or receipt.foreign:
        return ""
    return f"it was moved here from {receipt.home}; run kitbag relocate"


def missing_interpreter(receipt: EnvironmentReceipt) -> str:
    """Which build its interpreter should be of, as a clause, if that is not there."""
    from kitbag_bundles.implementations import implementation_of

    program = os.path.join(
        receipt.base, implementation_of(receipt.python).executable(receipt.python)
    )
    if receipt.foreign or os.path.exists(program):
        return ""
    return f"its interpreter {program} is not there; install {receipt.python} again"
