"""The links that make builds reachable: minor-version links in the root, names in a bin directory.

A link is *ours* when it points below the root, whoever made it: uv's count, since both tools
share roots. A minor-version link leads to the highest patch, whoever installed it, unless a
rollback holds it at another. ``<root>/.kitbag/bin.json`` remembers the bin directories that were
used, and is written before the first link in one, so that none is forgotten by a run that is cut
short.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.layout import command_names, executable
from kitbag_installer import pins
from kitbag_installer.elsewhere import whose
from kitbag_installer.files import (
    is_absolute,
    remove_leftovers,
    replace_directory_link,
    replace_file,
    replace_link,
)
from kitbag_installer.footprint import make_folders
from kitbag_installer.hosts import this_host
from kitbag_installer.platforms import this_system
from kitbag_installer.trampolines import misled_by_links, trampoline_target, write_trampoline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey, Version
    from kitbag_installer.roots import Root

_BIN_DIRS = "bin.json"


@dataclass(frozen=True)
class BinLinks:
    """What came of the names in a bin directory: each with what it leads to.

    ``refused`` are other people's files.
    """

    made: dict[str, str]
    refused: tuple[str, ...]


def link_minor_versions(root: Root) -> dict[str, str]:
    """Point each minor-version link where it should lead; remove those that have no build.

    CPython only, absolute targets: what uv makes and recognises. Pins that do not hold any more
    are forgotten. Returns link → target.
    """
    wanted = minor_links(root)
    for link, target in wanted.items():
        present = _link_text(link)
        if present != target and (present or not os.path.lexists(link)):
            replace_directory_link(root, target, link)
    _remove_stale_minor_links(root, wanted)
    # Last: a run that is cut short before it has pins too many, which do no harm.
    pins.write_pins(root, _held(root, linked_lines(root), {}))
    return wanted


def minor_links(root: Root, coming: Mapping[BuildKey, str] | None = None) -> dict[str, str]:
    """The minor-version links that a root should have: each to its highest patch, but for pins.

    ``coming`` are builds that will be there too, with their releases.
    """
    coming = coming or {}
    lines = linked_lines(root, coming)
    held = _held(root, lines, coming)
    return {
        os.path.join(root.path, line): root.install_path(
            patches[held[line].patch if line in held else max(patches)]
        )
        for line, patches in lines.items()
    }


def linked_lines(root: Root, coming: Iterable[BuildKey] = ()) -> dict[str, dict[Version, BuildKey]]:
    """The lines that have a link, by its name: the builds of each, those to come included.

    Builds that are for elsewhere get no link; one that is there all the same, uv's, is kept right.
    """
    host = this_host()
    lines: dict[str, dict[Version, BuildKey]] = {}
    away: dict[str, dict[Version, BuildKey]] = {}
    for key in [*root.builds(), *coming]:
        if implementation_of(key).has_minor_link:
            found = away if whose(root, key, host) else lines
            found.setdefault(key.minor_key, {})[key.version] = key
    for line, patches in away.items():
        if line not in lines and _link_text(os.path.join(root.path, line)):
            lines[line] = patches
    return lines


def _held(
    root: Root, lines: Mapping[str, dict[Version, BuildKey]], coming: Mapping[BuildKey, str]
) -> dict[str, pins.Pin]:
    """The pins that hold in ``lines``."""
    found = {}
    for line, pin in pins.read_pins(root).items():
        patches = lines.get(line, {})
        if patches:
            from kitbag_installer.releases import installed_release

            newest = patches[max(patches)]
            release = coming.get(newest) or installed_release(root.install_path(newest))
            if pin.holds(patches, release):
                found[line] = pin
    return found


def turned_links(root: Root, wanted: Mapping[str, str]) -> dict[str, str]:
    """Those minor-version links that lead to another build than ``wanted`` says: link → target."""
    present = {link: _link_text(link) for link in wanted}
    return {link: text for link, text in present.items() if text not in ("", wanted[link])}


def _remove_stale_minor_links(root: Root, wanted: dict[str, str]) -> None:
    with os.scandir(root.path) as entries:
        stale = [
            entry.path
            for entry in entries
            if entry.path not in wanted
            and entry.name.startswith("cpython-")
            and _link_text(entry.path).startswith(root.path + os.sep)
            and not os.path.exists(entry.path)
        ]
    for path in stale:
        os.unlink(path)


def link_commands(
    root: Root, keys: Sequence[BuildKey], bin_dir: str, *, default: bool, force: bool
) -> BinLinks:
    """Make the names of ``keys`` in ``bin_dir``: ``python3.13``, with ``default`` the short ones.

    A name that is a link of ours goes to the highest patch; a dangling link is replaced; anything
    else stays, and is told, unless ``force``. Where a link would mislead the interpreter the name
    is a small script instead. Raises :class:`FileSystemError`.
    """
    wanted: dict[str, str] = {}
    prefixed = set()
    refused = []
    for key in sorted(keys, key=lambda key: key.order()):
        target = _command_target(root, key)
        if implementation_of(key).has_prefix:
            prefixed.add(target)
        if os.path.exists(target):
            for name in command_names(key, default=default):
                wanted[os.path.join(bin_dir, name + this_system.COMMAND_SUFFIX)] = target
    for path in list(wanted):
        if not force and not may_replace(root, path):
            refused.append(path)
            del wanted[path]
    changed = {path: target for path, target in wanted.items() if leads_to(path) != target}
    if changed:
        try:
            make_folders(root, bin_dir)
            remember_bin_dir(root, bin_dir)
            misled = {
                target: (target in prefixed or not this_system.LINKS_PROGRAMS)
                and misled_by_links(root, target)
                for target in {*changed.values()}
            }
            for path, target in changed.items():
                make = write_trampoline if misled[target] else replace_link
                make(root, target, path)
        except OSError as error:
            raise FileSystemError(
                f"{bin_dir}: can't make links there ({error.strerror}); "
                "the builds are installed; name another with --bin-dir, or --no-bin"
            ) from None
    return BinLinks(wanted, tuple(refused))


def prune_links(root: Root, also: Sequence[str] = ()) -> tuple[str, ...]:
    """Remove the bin links of ours that lead to nothing any more; returns them.

    What an interrupted run left beside them goes too. ``also`` are directories where another tool
    may have made such links, besides those that are remembered.
    """
    removed = []
    known = remembered_bin_dirs(root)
    for folder in known:
        remove_leftovers(folder)
    others = [link for folder in also if folder not in known for link in _links_in(folder)]
    for path, text in [*_bin_links(root), *others]:
        if text.startswith(root.path + os.sep) and not os.path.exists(text):
            os.unlink(path)
            removed.append(path)
    return tuple(removed)


def turn_names(root: Root, old: BuildKey, new: BuildKey) -> tuple[str, ...]:
    """Point names that lead straight into ``old`` to the same in ``new``; returns them.

    Both are of one line. What ``new`` does not have stays.
    """
    inside, link = root.install_path(old) + os.sep, root.minor_link(new)
    place = root.install_path(new)
    begin = link if _link_text(link) == place else place
    turned = []
    for path, text in _bin_links(root):
        target = os.path.join(begin, text[len(inside) :])
        if text.startswith(inside) and os.path.exists(target):
            make = replace_link if os.path.islink(path) else write_trampoline
            make(root, target, path)
            turned.append(path)
    return tuple(turned)


def retarget_links(root: Root, old_root: str) -> tuple[str, ...]:
    """After a move of the root: point links that lead below ``old_root`` below ``root`` instead."""
    follow_bin_dirs(root, old_root)
    moved = []
    with os.scandir(root.path) as entries:
        links = [(entry.path, _link_text(entry.path)) for entry in entries]
    for path, text in [*links, *_bin_links(root)]:
        if text.startswith(old_root + os.sep):
            make = replace_link if os.path.islink(path) else write_trampoline
            if os.path.dirname(path) == root.path:
                make = replace_directory_link
            make(root, root.path + text[len(old_root) :], path)
            moved.append(path)
    return tuple(moved)


def remember_bin_dir(root: Root, bin_dir: str) -> None:
    """Note that links of this root are made in ``bin_dir``; raises :class:`OSError`."""
    known = remembered_bin_dirs(root)
    if bin_dir not in known:
        _write_bin_dirs(root, [*known, bin_dir])


def remembered_bin_dirs(root: Root) -> list[str]:
    """The bin directories that links were made in."""
    import json

    try:
        with open(os.path.join(root.own, _BIN_DIRS), encoding="ascii") as file:
            paths = json.load(file)
    except (OSError, ValueError, RecursionError):
        return []
    return list(filter(is_absolute, paths)) if isinstance(paths, list) else []


def follow_bin_dirs(root: Root, old_root: str) -> None:
    """Remember bin directories by where they are now, after a move of the root."""
    known = remembered_bin_dirs(root)
    moved = [_moved_along(root, old_root, path) for path in known]
    if moved != known:
        _write_bin_dirs(root, moved)


def _moved_along(root: Root, old_root: str, path: str) -> str:
    """One inside of the root has moved with it, one beside it may have: its links tell."""
    if path.startswith(old_root + os.sep):
        return root.path + path[len(old_root) :]
    near = os.path.normpath(os.path.join(root.path, os.path.relpath(path, old_root)))
    if os.path.lexists(path) or not os.path.isdir(near):
        return path
    leads_back = any(text.startswith(old_root + os.sep) for _, text in _links_in(near))
    return near if leads_back else path


def _write_bin_dirs(root: Root, paths: Sequence[str]) -> None:
    import json

    os.makedirs(root.own, exist_ok=True)
    text = json.dumps(sorted(set(paths)), indent=1) + "\n"
    replace_file(root, os.path.join(root.own, _BIN_DIRS), text.encode("ascii"), 0o644)


def bin_links(root: Root) -> list[tuple[str, str]]:
    """Every name in the remembered bin directories that leads somewhere, with where it leads."""
    return _bin_links(root)


def _bin_links(root: Root) -> list[tuple[str, str]]:
    """Every link and every script of ours in the remembered bin directories, with its target."""
    return [link for folder in remembered_bin_dirs(root) for link in _links_in(folder)]


def _links_in(folder: str) -> list[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            found = [(entry.path, leads_to(entry.path)) for entry in entries]
    except OSError:
        return []
    return sorted((path, target) for path, target in found if target)


def _command_target(root: Root, key: BuildKey) -> str:
    """Through the minor-version link if that leads to this build; empty if it leads elsewhere."""
    if not implementation_of(key).has_minor_link:
        return os.path.join(root.install_path(key), executable(key))
    link = root.minor_link(key)
    if _link_text(link) == root.install_path(key):
        return os.path.join(link, executable(key))
    return "" if _link_text(link) else os.path.join(root.install_path(key), executable(key))


def may_replace(root: Root, path: str) -> bool:
    """Whether ``path`` is free, a link of ours, or one that leads to nothing."""
    if not os.path.lexists(path):
        return True
    text = leads_to(path)
    return bool(text) and (text.startswith(root.path + os.sep) or not os.path.exists(path))


def leads_to(path: str) -> str:
    """The text of a link, or what a script of ours runs; empty for everything else."""
    return _link_text(path) or trampoline_target(path)


def _link_text(path: str) -> str:
    """The text of a link, or where a junction leads; empty for everything else."""
    return this_system.link_text(path)
