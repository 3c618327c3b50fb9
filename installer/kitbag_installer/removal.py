"""Uninstalls builds: out of sight in one step, then the links that led there, then the files.

The interpreter that runs this may be one of them: the ``kitbag`` command takes what is installed.
So everything that is needed after its standard library is gone is imported beforehand.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles import environments as _names
from kitbag_bundles import requests as _requests
from kitbag_bundles.errors import IntegrityError, KitbagError, NoMatch, file_system_error
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer import commit, footprint, launcher, links, receipts
from kitbag_installer.environments import commit as environments
from kitbag_installer.environments.bases import bereft, stranded
from kitbag_installer.environments.naming import check_names
from kitbag_installer.environments.subjects import present_environments
from kitbag_installer.hosts import this_host
from kitbag_installer.inventory import maker_of
from kitbag_installer.locks import locked
from kitbag_installer.selection import matching_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root

_NEEDED_LATER = (json, shutil, codecs.lookup("ascii"), _names, _requests)


class Uninstalled(NamedTuple):
    """What went: builds, names in bin directories, environments; and other tools' builds, which
    stay."""

    keys: tuple[BuildKey, ...]
    links: tuple[str, ...]
    left: tuple[BuildKey, ...]
    environments: tuple[str, ...] = ()


def uninstall_builds(
    root: Root,
    requests: Sequence[Request],
    reporter: Reporter,
    bin_dirs: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Uninstalled:
    """Remove the builds that ``requests`` name and the environments ``names``.

    Without any of both all goes that kitbag installed. A build of another tool goes only if its
    full key is given, and one that an environment needs only together with that. With the last
    build of kitbag's goes kitbag itself, and everything that it made around its builds.
    ``bin_dirs`` are looked through for links to what is gone, besides those where kitbag made
    links. Raises :class:`NoMatch`, :class:`KitbagError` for builds that are needed,
    :class:`LockTimeout`, :class:`FileSystemError`.
    """
    try:
        if not os.path.isdir(root.path):
            footprint.remove_leftovers(root)
            check_names(names, (), root.path)
            return Uninstalled(matching_keys((), requests), (), ())
        root.prepare()
        with locked(root, reporter), commit.swept(root):
            # What an interrupted run took out of sight is finished first, so that it is
            # tidied up even if the request names nothing any more.
            removed = _tidy(root, bin_dirs)
            try:
                keys = () if names and not requests else _chosen(root, requests, reporter)
                gone = _environments(root, requests, names)
                _check_needed(root, keys, gone)
                for name, key in (stranded(root, keys) if requests else {}).items():
                    if name not in gone:
                        reporter.warn(
                            f"{name}: the one before needs {key}; kitbag rollback can't bring it "
                            "back until that is installed again"
                        )
                trash = [tree for name in gone for tree in environments.retire(root, name)]
                trash += [commit.retire(root, key) for key in keys]
                removed += _tidy(root, bin_dirs)
                for tree in trash:
                    commit.remove_tree(tree)
            finally:
                left = tuple(sorted(root.builds(), key=lambda key: key.order()))
                leave_after_last(root)
    except OSError as error:
        raise file_system_error(error, root.path) from None
    return Uninstalled(keys, removed, left, gone)


def _environments(root: Root, requests: Sequence[Request], names: Sequence[str]) -> tuple[str, ...]:
    """The environments to remove; raises :class:`NoMatch`."""
    known = present_environments(root)
    check_names(names, known, root.path)
    return tuple(sorted(names)) if names or requests else known


def _check_needed(root: Root, keys: Sequence[BuildKey], gone: Sequence[str]) -> None:
    """Raise :class:`KitbagError` if what stays would have no interpreter without ``keys``."""
    needed = {name: key for name, key in bereft(root, keys).items() if name not in gone}
    if needed:
        name, key = min(needed.items())
        more = f", and {len(needed) - 1} more" if len(needed) > 1 else ""
        raise KitbagError(
            f"{key} is needed by the environment {name}{more}; uninstall that too: "
            f"kitbag uninstall {' '.join(sorted(needed))} {key}"
        )


def leave_after_last(root: Root) -> None:
    """Take away kitbag itself and what it made in and around the root, if no build of its is there.

    Nor an environment. Under the root's lock. Raises :class:`OSError`.
    """
    environments.remove_folders(root)
    if footprint.has_own_builds(root):
        return
    for bin_dir in links.remembered_bin_dirs(root):
        launcher.remove_command(root, bin_dir)
    footprint.leave(root)


@contextlib.contextmanager
def untouched_on_failure(root: Root) -> Iterator[None]:
    """Leave the root as it was found if the work fails and no build of kitbag's is there."""
    try:
        yield
    except BaseException:
        # What went wrong is what has to be told.
        with contextlib.suppress(OSError):
            leave_after_last(root)
        raise


def finish_leaving(root: Root) -> None:
    """Take away what an uninstall had to leave because a bundle's header was still at work.

    If others are at work that is for the next uninstall.
    """
    with contextlib.suppress(KitbagError, OSError), locked(root, SilentReporter(), timeout=0):
        leave_after_last(root)


def _tidy(root: Root, bin_dirs: Sequence[str]) -> tuple[str, ...]:
    """Turn or remove the links to what is gone."""
    links.link_minor_versions(root)
    return links.prune_links(root, bin_dirs)


def _chosen(root: Root, requests: Sequence[Request], reporter: Reporter) -> tuple[BuildKey, ...]:
    """The builds to remove; raises :class:`NoMatch`."""
    keys = sorted(root.builds(), key=lambda key: key.order())
    own = [key for key in keys if receipts.has_receipt(root.install_path(key))]
    if not requests:
        return tuple(own)
    chosen = set()
    for request in requests:
        named = BuildKey.try_parse(request.text.strip().lower())
        if named in keys:
            chosen.add(named)
            if named not in own:
                maker = maker_of(root.install_path(named), named)
                reporter.info(f"{named} was not installed by kitbag but by {maker}; it was named")
            continue
        found = request.choose([key for key in own if _is_meant(root, request, key)])
        if not found:
            raise NoMatch(_why_not(root, request, keys, own))
        chosen.update(found)
        for key in request.choose([key for key in keys if key not in own]):
            reporter.info(
                f"{key} stays: it was installed by {maker_of(root.install_path(key), key)}"
            )
    return tuple(key for key in keys if key in chosen)


def _is_meant(root: Root, request: Request, key: BuildKey) -> bool:
    """What is there for another machine is meant only where the request says for which."""
    return bool(request.os or request.arch or request.libc) or not _is_foreign(root, key)


def _is_foreign(root: Root, key: BuildKey) -> bool:
    """Whether it was put here for another kind of machine."""
    try:
        foreign = receipts.read_receipt(root.install_path(key)).foreign
    except IntegrityError:
        return False
    return foreign and bool(this_host().unfit(key))


def _why_not(
    root: Root, request: Request, keys: Sequence[BuildKey], own: Sequence[BuildKey]
) -> str:
    found = request.choose(keys)
    if not found:
        have = ", ".join(map(str, keys)) or "nothing"
        return f"nothing installed matches {request.text!r}; installed: {have}"
    reasons = []
    for key in found:
        maker = maker_of(root.install_path(key), key)
        if key in own:
            reasons.append(f"{key} is for another machine; name its full key to remove it")
        elif maker == "uv":
            reasons.append(
                f"{key} was installed by uv; remove it with 'uv python uninstall {key}', "
                "or name its full key"
            )
        else:
            reasons.append(f"{key} was installed by {maker}; name its full key to remove it")
    return f"nothing that kitbag installed matches {request.text!r}: " + "; ".join(reasons)
