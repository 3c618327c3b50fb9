"""The names of an environment's programs in a bin directory.

They are links like those of builds (:mod:`kitbag_installer.links`), so what prunes, counts and
moves those does the same with these.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError
from kitbag_installer import links
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.places import environment_path
from kitbag_installer.files import replace_link
from kitbag_installer.footprint import make_folders
from kitbag_installer.launcher import COMMAND
from kitbag_installer.platforms import this_system
from kitbag_installer.trampolines import write_trampoline

if TYPE_CHECKING:
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root


def expose(root: Root, receipt: EnvironmentReceipt, bin_dir: str, *, force: bool) -> links.BinLinks:
    """Make the names that ``receipt`` wants in ``bin_dir``; those of others there stay.

    Its names that it does not want any more are removed, in every directory that is remembered.
    Under the root's lock. Raises :class:`FileSystemError`.
    """
    home = environment_path(root, receipt.name)
    wanted = {}
    refused = []
    for program in receipt.expose:
        target = program_path(root, receipt, program)
        path = os.path.join(bin_dir, program + this_system.COMMAND_SUFFIX)
        if may_have(path, home, force=force):
            wanted[path] = target
        else:
            refused.append(path)
    try:
        withdraw(root, receipt.name, keep=set(receipt.expose))
        changed = {path: to for path, to in wanted.items() if links.leads_to(path) != to}
        if changed:
            make_folders(root, bin_dir)
            links.remember_bin_dir(root, bin_dir)
        for path, target in changed.items():
            make = replace_link if this_system.LINKS_PROGRAMS else write_trampoline
            make(root, target, path)
    except OSError as error:
        raise FileSystemError(
            f"{bin_dir}: can't make links there ({error.strerror}); the environment "
            f"{receipt.name} is installed; name another with --bin-dir, or --no-bin"
        ) from None
    return links.BinLinks(wanted, tuple(refused))


def withdraw(root: Root, name: str, keep: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """Remove the names that lead into the environment ``name``, but for ``keep``; returns them.

    Raises :class:`OSError`.
    """
    inside = environment_path(root, name) + os.sep
    suffix = this_system.COMMAND_SUFFIX
    gone = []
    for path, target in links.bin_links(root):
        program = os.path.basename(path)
        if suffix and program.endswith(suffix):
            program = program[: -len(suffix)]
        if target.startswith(inside) and program not in keep:
            os.unlink(path)
            gone.append(path)
    return gone


def program_path(root: Root, receipt: EnvironmentReceipt, program: str) -> str:
    """The file of one of its programs."""
    home, layout = environment_path(root, receipt.name), layout_of(receipt.python)
    suffix = ".cmd" if layout.windows and f"{program}.cmd" in receipt.programs else ""
    return os.path.join(home, layout.programs, program + suffix)


def may_have(path: str, home: str, *, force: bool) -> bool:
    """Whether the environment at ``home`` may have the name ``path`` in a bin directory.

    If nothing is there, a link into this environment, or one that leads to nothing; what others
    have, other environments too, only by ``force``; and the name of kitbag itself never.
    """
    if os.path.basename(path) == COMMAND:
        return False
    if force or not os.path.lexists(path):
        return True
    text = links.leads_to(path)
    return bool(text) and (text.startswith(home + os.sep) or not os.path.exists(path))
