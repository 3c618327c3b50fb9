"""Through which path an environment finds its interpreter, and who would miss a build."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.implementations import implementation_of
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.places import (
    environment_path,
    installed_environments,
    previous_environments,
    previous_path,
)
from kitbag_installer.environments.receipts import receipt_or_none
from kitbag_installer.environments.subjects import present_environments
from kitbag_installer.platforms import this_system

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root


def base_of(root: Root, key: BuildKey) -> str:
    """Where a new environment of the build ``key`` finds its interpreter.

    The minor-version link where it leads to an interpreter, so that the environment follows a
    later patch; otherwise the build itself.
    """
    adapter = implementation_of(key)
    link = root.minor_link(key)
    if (
        adapter.has_minor_link
        and this_system.link_text(link)
        and os.path.exists(os.path.join(link, adapter.executable(key)))
    ):
        return link
    return root.install_path(key)


def bereft(root: Root, going: Collection[BuildKey]) -> dict[str, BuildKey]:
    """The environments that would have no interpreter without the builds ``going``.

    Each with the one of them that it was made with, or that its link leads to; where its receipt
    can't be read, the one that its interpreter is in.
    """
    return {**_running_on(root, going), **_needing(root, going, _installed(root))}


def stranded(root: Root, going: Collection[BuildKey]) -> dict[str, BuildKey]:
    """As :func:`bereft`, of those that a rollback would bring back."""
    return _needing(root, going, _previous(root))


def _running_on(root: Root, going: Collection[BuildKey]) -> dict[str, BuildKey]:
    """Environments with a damaged receipt whose interpreter is one of ``going`` now."""
    found = {}
    for name in present_environments(root):
        tree = environment_path(root, name)
        if receipt_or_none(tree) is not None:
            continue
        for key in going:
            program = os.path.join(tree, layout_of(key).python)
            place = os.path.realpath(root.install_path(key))
            if os.path.realpath(program).startswith(place + os.sep):
                found[name] = key
    return found


def _needing(
    root: Root, going: Collection[BuildKey], receipts: Iterator[EnvironmentReceipt]
) -> dict[str, BuildKey]:
    staying = [key for key in root.builds() if key not in going]
    found = {}
    for receipt in receipts:
        line = os.path.basename(receipt.base)
        if line == receipt.python.minor_key != str(receipt.python):
            if not any(key.minor_key == line for key in staying):
                missing = [key for key in going if key.minor_key == line]
                if missing:
                    found[receipt.name] = max(missing, key=lambda key: key.version)
        elif receipt.python in going:
            found[receipt.name] = receipt.python
    return found


def bound_builds(root: Root) -> frozenset[str]:
    """The paths of builds that environments find themselves, and not through a link.

    Such an environment follows no other patch, so its build has to stay; also for a rollback.
    """
    return frozenset(receipt.base for receipt in (*_installed(root), *_previous(root)))


def _installed(root: Root) -> Iterator[EnvironmentReceipt]:
    for name in installed_environments(root):
        receipt = receipt_or_none(environment_path(root, name))
        if receipt is not None:
            yield receipt


def _previous(root: Root) -> Iterator[EnvironmentReceipt]:
    for name in previous_environments(root):
        receipt = receipt_or_none(previous_path(root, name))
        if receipt is not None:
            yield receipt
