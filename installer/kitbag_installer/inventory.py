"""What is installed in a root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_bundles.layout import executable
from kitbag_installer.receipts import has_receipt, read_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class Installed:
    """One installed build. ``home`` is the path that it was rewritten for, empty if another tool
    installed it; ``problem`` says in a clause what is wrong at first sight.
    """

    key: BuildKey
    path: str
    executable: str
    release: str
    home: str
    current: bool
    problem: str

    @property
    def by_kitbag(self) -> bool:
        """Whether kitbag installed it, so that it can be verified and relocated."""
        return bool(self.home)


def list_installed(root: Root, keys: Sequence[BuildKey] | None = None) -> list[Installed]:
    """Describe ``keys``, or every build in ``root``, without starting anything."""
    if keys is None:
        keys = sorted(root.builds(), key=lambda key: key.order())
    return [_describe(root, key) for key in keys]


def _describe(root: Root, key: BuildKey) -> Installed:
    path = root.install_path(key)
    program = os.path.join(path, executable(key))
    release = home = problem = ""
    if has_receipt(path):
        try:
            receipt = read_receipt(path)
            release, home = receipt.release, receipt.home
        except IntegrityError as error:
            problem = str(error)
    else:
        release = _build_file(path)
    if not problem and home and home != path:
        problem = f"it was moved here from {home}; run kitbag relocate"
    if not problem and not os.path.exists(program):
        problem = "its interpreter is missing; install it again with --reinstall"
    link = root.minor_link(key)
    current = os.path.islink(link) and os.readlink(link) == path
    return Installed(key, path, program, release, home, current, problem)


def _build_file(path: str) -> str:
    try:
        with open(os.path.join(path, "BUILD"), encoding="ascii", errors="replace") as file:
            return file.read(100).strip()
    except OSError:
        return ""
