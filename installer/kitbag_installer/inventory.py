"""What is installed in a root."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_bundles.layout import executable, find_library
from kitbag_installer.elsewhere import whose
from kitbag_installer.hosts import this_host
from kitbag_installer.pins import read_pins
from kitbag_installer.platforms import this_system
from kitbag_installer.receipts import has_receipt, read_receipt
from kitbag_installer.releases import build_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root

OTHER_TOOL = "another tool"


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
    elsewhere: str = ""
    """What it is for, if not for use here, as a clause: ``for windows-x86_64``."""
    pinned: bool = False
    """Whether a rollback holds the minor-version link at this build."""
    maker: str = "kitbag"
    """Who installed it, as :func:`maker_of` has it."""

    @property
    def by_kitbag(self) -> bool:
        """Whether kitbag installed it, so that it can be verified and relocated."""
        return bool(self.home)


def list_installed(root: Root, keys: Sequence[BuildKey] | None = None) -> list[Installed]:
    """Describe ``keys``, or every build in ``root``, without starting anything."""
    if keys is None:
        keys = sorted(root.builds(), key=lambda key: key.order())
    host = this_host()
    return [_describe(root, key, host) for key in keys]


def _describe(root: Root, key: BuildKey, host: Host) -> Installed:
    path = root.install_path(key)
    program = os.path.join(path, executable(key))
    release = home = problem = ""
    foreign = False
    if has_receipt(path):
        try:
            receipt = read_receipt(path)
            release, home, foreign = receipt.release, receipt.home, receipt.foreign
        except IntegrityError as error:
            problem = str(error)
    else:
        release = build_file(path)
    if not problem and home and home != path and not foreign:
        problem = f"it was moved here from {home}; run kitbag relocate"
    if not problem and not os.path.exists(program):
        problem = "its interpreter is missing; install it again with --reinstall"
    link = root.minor_link(key)
    current = this_system.link_text(link) == path
    pin = read_pins(root).get(key.minor_key)
    pinned = pin is not None and pin.patch == key.version
    elsewhere = whose(root, key, host)
    maker = maker_of(path, key)
    return Installed(key, path, program, release, home, current, problem, elsewhere, pinned, maker)


def maker_of(path: str, key: BuildKey) -> str:
    """Who installed the build ``key`` at ``path``: ``kitbag``, ``uv`` or ``another tool``.

    uv's have its own sentence in ``EXTERNALLY-MANAGED`` and a ``BUILD``; either alone may be
    somebody else's.
    """
    if has_receipt(path):
        return "kitbag"
    library = find_library(key, lambda name: os.path.isdir(os.path.join(path, name)))
    try:
        with open(os.path.join(path, library, "EXTERNALLY-MANAGED"), "rb") as file:
            text = file.read(4096).decode("utf-8", "replace")
    except OSError:
        text = ""
    by_uv = re.search(r"\bmanaged by uv\b", text)
    return "uv" if by_uv and build_file(path) else OTHER_TOOL
