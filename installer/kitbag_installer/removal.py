"""Uninstalls builds: out of sight in one step, then the links that led there, then the files.

The interpreter that runs this may be one of them: the ``kitbag`` command takes what is installed.
So everything that is needed after its standard library is gone is imported beforehand.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
from typing import TYPE_CHECKING

from kitbag_bundles.errors import file_system_error
from kitbag_installer import commit, launcher, links
from kitbag_installer.locks import locked
from kitbag_installer.selection import matching_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root

_NEEDED_LATER = (json, shutil, codecs.lookup("ascii"))


def uninstall_builds(
    root: Root, requests: Sequence[Request], reporter: Reporter
) -> tuple[tuple[BuildKey, ...], tuple[str, ...]]:
    """Remove the builds that ``requests`` name, or all; returns their keys and removed bin links.

    With the last build goes kitbag itself. Raises :class:`NoMatch`, :class:`LockTimeout`,
    :class:`FileSystemError`.
    """
    if not os.path.isdir(root.path):
        return matching_keys((), requests), ()
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                # What an interrupted run took out of sight is finished first, so that it is
                # tidied up even if the request names nothing any more.
                _tidy(root)
                keys = matching_keys(tuple(root.builds()), requests)
                trash = [commit.retire(root, key) for key in keys]
                removed = _tidy(root)
                for tree in trash:
                    commit.remove_tree(tree)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return keys, removed


def _tidy(root: Root) -> tuple[str, ...]:
    """Turn or remove the links to what is gone; with the last build goes kitbag itself."""
    links.link_minor_versions(root)
    removed = links.prune_links(root)
    if not any(True for _ in root.builds()):
        _remove_kitbag(root)
    return removed


def _remove_kitbag(root: Root) -> None:
    for bin_dir in links.remembered_bin_dirs(root):
        launcher.remove_command(root, bin_dir)
    commit.remove_tree(root.own)
