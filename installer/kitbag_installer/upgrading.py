"""Upgrades, and the way back: which build of each line is the one in use.

A *line* is what shares a minor-version link: implementation, minor version, variant and target. A
newer patch comes in beside the older ones and takes over the link in one step. A rollback turns
the link to an older patch and remembers that (:mod:`kitbag_installer.pins`), so that a later run
does not turn it forward again; what is newer than everything that was there when it happened does.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import (
    FileSystemError,
    IntegrityError,
    KitbagError,
    NoMatch,
    file_system_error,
)
from kitbag_installer import commit, links, pins, reports
from kitbag_installer.environments.bases import bound_builds
from kitbag_installer.locks import locked
from kitbag_installer.platforms import this_system
from kitbag_installer.receipts import has_receipt
from kitbag_installer.releases import installed_release
from kitbag_installer.selection import matching_keys
from kitbag_installer.smoke import smoke_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root

# The interpreter that runs this may be pruned: what is needed after that is imported before.
_NEEDED_LATER = (json, shutil, reports, codecs.lookup("ascii"), codecs.lookup("utf-8"))


class RolledBack(NamedTuple):
    """A line that was turned back: its link, where it led, and where it leads now."""

    link: str
    old: BuildKey
    new: BuildKey


def roll_back(
    root: Root, requests: Sequence[Request], reporter: Reporter
) -> tuple[RolledBack, ...]:
    """Turn each line that ``requests`` name to the patch before the one in use.

    A request with a patch turns its line to that very patch, older or newer. Each build is tested
    before any link is turned. Raises :class:`NoMatch` if nothing older is installed,
    :class:`SmokeTestFailed`, :class:`LockTimeout`, :class:`FileSystemError`.
    """
    if not os.path.isdir(root.path):
        matching_keys((), requests)
        return ()
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                pins.warn_of_damage(root, reporter)
                turns = _choose(root, requests)
                for turn in turns:
                    smoke_test(turn.new, root.install_path(turn.new))
                # The pins come first: cut short in between, the next run turns the links.
                _pin(root, turns)
                links.link_minor_versions(root)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return turns


def _choose(root: Root, requests: Sequence[Request]) -> tuple[RolledBack, ...]:
    lines = links.linked_lines(root)
    wanted = links.minor_links(root)
    installed = tuple(root.builds())
    turns: dict[str, RolledBack] = {}
    for request in requests:
        matched = matching_keys(installed, [request])
        found: dict[str, RolledBack] = {}
        for line in dict.fromkeys(key.minor_key for key in matched):
            if line not in lines:
                continue
            link = os.path.join(root.path, line)
            if os.path.lexists(link) and not this_system.link_text(link):
                raise FileSystemError(
                    f"{link}: something is there that is no link; move it away, then try again"
                )
            patches = lines[line]
            by_path = {root.install_path(key): key for key in patches.values()}
            current = by_path.get(this_system.link_text(link)) or by_path[wanted[link]]
            to = [
                key
                for key in matched
                if key.minor_key == line and (request.names_patch or key.version < current.version)
            ]
            if to:
                found[line] = RolledBack(link, current, max(to, key=lambda key: key.version))
        if not found:
            raise NoMatch(_nothing_older(request, matched, lines))
        turns.update(found)
    return tuple(turns[line] for line in sorted(turns))


def _nothing_older(
    request: Request, matched: Sequence[BuildKey], lines: Mapping[str, object]
) -> str:
    have = ", ".join(map(str, matched))
    if not any(key.minor_key in lines for key in matched):
        return (
            f"nothing to roll back for {request.text!r}: only CPython has links that lead from one "
            f"patch to another, and only where it is for this machine; installed: {have}"
        )
    return (
        f"nothing older is installed for {request.text!r}; installed: {have}; "
        "install the older patch beside it first"
    )


def _pin(root: Root, turns: Sequence[RolledBack]) -> None:
    """Remember what was turned; a line at its highest patch needs no pin."""
    lines = links.linked_lines(root)
    known = pins.read_pins(root)
    for turn in turns:
        line = turn.new.minor_key
        newest = max(lines[line])
        if turn.new.version == newest:
            known.pop(line, None)
        else:
            release = installed_release(root.install_path(lines[line][newest]))
            known[line] = pins.Pin(turn.new.version, newest, release)
    pins.write_pins(root, known)


def highest_of(root: Root, key: BuildKey) -> BuildKey:
    """The highest patch of the line of ``key`` that is installed; ``key`` if all have gone."""
    patches = links.linked_lines(root).get(key.minor_key, {key.version: key})
    return patches[max(patches)]


def held_back(root: Root, keys: Iterable[BuildKey]) -> dict[BuildKey, BuildKey]:
    """Those of ``keys`` that a rollback keeps from their line's link: key → what it leads to."""
    lines, wanted = links.linked_lines(root), links.minor_links(root)
    known = pins.read_pins(root)
    found = {}
    for key in keys:
        pin = known.get(key.minor_key)
        held = lines.get(key.minor_key, {}).get(pin.patch) if pin else None
        if not held or held.version >= key.version:
            continue
        if wanted.get(root.minor_link(key)) == root.install_path(held):
            found[key] = held
    return found


def prunable(root: Root, wanted: Mapping[BuildKey, str]) -> tuple[BuildKey, ...]:
    """The older patches that ``wanted`` builds, with their releases, make superfluous.

    Only what kitbag installed, of lines whose newest patch is among ``wanted`` and in use; and not
    what an environment needs that can't follow.
    """
    try:
        installed = sorted(root.builds(), key=lambda key: key.order())
        targets = links.minor_links(root, wanted)
        bound = bound_builds(root)
    except FileSystemError:
        return ()
    newest = {key.minor_key: key for key in wanted}
    for key in sorted([*installed, *wanted], key=lambda key: key.version):
        rival = newest.get(key.minor_key)
        if rival is not None and key.version > rival.version:
            newest[key.minor_key] = key
    return tuple(
        key
        for key in installed
        if (best := newest.get(key.minor_key)) is not None
        and best in wanted
        and key.version < best.version
        and targets.get(root.minor_link(best)) in (None, root.install_path(best))
        and has_receipt(root.install_path(key))
        and root.install_path(key) not in bound
    )


def kept_for_additions(root: Root, keys: Iterable[BuildKey]) -> dict[BuildKey, str]:
    """Those of ``keys`` that have files in them which a person added: key → a line about it."""
    from kitbag_installer.verification import additions

    kept = {}
    for key in keys:
        place = root.install_path(key)
        try:
            found = additions(place)
        except IntegrityError as error:
            kept[key] = f"{error}; {key} is kept"
            continue
        if found:
            count = f"{len(found)} files" if len(found) > 1 else "a file"
            kept[key] = (
                f"{place}: is kept, it has {count} that kitbag did not install, such as "
                f"{found[0]}; 'kitbag uninstall {key}' removes it with all that is in it"
            )
    return kept


def prune(
    root: Root, wanted: Mapping[BuildKey, str], tested: Iterable[BuildKey], reporter: Reporter
) -> tuple[BuildKey, ...]:
    """Remove what is :func:`prunable`, after what takes its place was tested; returns the keys.

    What a person added something to is kept, with a warning. ``tested`` are builds that ran a
    moment ago. Under the root's lock, after the links were turned.
    """
    sound = set(tested)
    heirs = {key.minor_key: key for key in sorted(wanted, key=lambda key: key.version)}
    gone = []
    superfluous = prunable(root, wanted)
    kept = kept_for_additions(root, superfluous)
    for line in kept.values():
        reporter.warn(line)
    for key in superfluous:
        if key in kept:
            continue
        heir = heirs[key.minor_key]
        if heir not in sound:
            try:
                smoke_test(heir, root.install_path(heir))
            except KitbagError as error:
                reporter.warn(f"{error}; {key} is kept")
                continue
            sound.add(heir)
        links.turn_names(root, key, heir)
        gone.append(key)
    trash = [commit.retire(root, key) for key in gone]
    links.prune_links(root)
    for tree in trash:
        commit.remove_tree(tree)
    return tuple(gone)
