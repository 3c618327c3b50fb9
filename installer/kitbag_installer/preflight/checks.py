"""Holds what is to be installed against the place where it shall go; nothing is written.

Each check adds a point for what fails and none for what can't be told: the install itself finds
that out, and leaves the old state behind.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import DoesNotFit
from kitbag_installer.preflight.demand import (
    demand_of_build,
    demand_of_bytecode,
    demand_of_root,
    demand_of_wheels,
    longest_in_environment,
)
from kitbag_installer.preflight.places import allowed, place_of
from kitbag_installer.preflight.points import Point, short
from kitbag_installer.rewriting.prefix import check_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.manifest import Build
    from kitbag_installer.environments.actions import PlannedEnvironment
    from kitbag_installer.preflight.demand import Demand
    from kitbag_installer.preflight.places import Place
    from kitbag_installer.roots import Root

_WITHOUT_LINKS = frozenset({"vfat", "msdos", "exfat"})
_WITHOUT_CASE = frozenset({"vfat", "msdos", "exfat", "hfs"})
_COMPRESSING = frozenset({"btrfs", "zfs", "bcachefs", "ubifs"})
_ELSEWHERE = "choose another root with --root"


class Tree(NamedTuple):
    """A build that is to be unpacked."""

    build: Build
    entries: Sequence[Entry]
    contents_size: int
    """Bytes of the contents list."""
    foreign: bool = False
    """Whether it is for another machine, so that nothing of it runs here."""
    laid_over: bool = True
    """Whether bytecode that the bundle brings along is laid over it."""

    @property
    def has_links(self) -> bool:
        """Whether symbolic links are made for it: in the tree, or to it."""
        linked = self.build.key.target.os != "windows"
        return linked or any(entry.kind == "l" for entry in self.entries)


def check_place(
    root: Root,
    trees: Sequence[Tree],
    installer_size: int,
    bin_dir: str,
    environments: Sequence[PlannedEnvironment] = (),
) -> tuple[list[Point], Place, Demand]:
    """Hold ``trees``, ``environments`` and ``kitbag.pyz`` against the place of ``root``.

    And the names against ``bin_dir``, if that is not empty.
    """
    place = place_of(root.path)
    demand = _demand(root, place, trees, installer_size)
    for each in environments:
        if each.action != "present":
            demand = demand.plus(demand_of_wheels(each.wheels, place.unit))
    points = [
        *_check_path(root, place, trees, environments),
        *_check_obstacles(root, place, trees),
    ]
    if not any(point.code == "occupied" for point in points):
        only_foreign = bool(trees) and all(tree.foreign for tree in trees)
        points += _check_rights(root, place, runs=not only_foreign)
        points += _check_abilities(root, place, trees)
        if not place.read_only:
            points += _check_room(root, place, demand)
    if bin_dir:
        points += _check_bin_dir(bin_dir, place)
    return points, place, demand


def check_needs(build: Build) -> list[Point]:
    """The loader and the shared libraries that ``build`` needs of this system."""
    needs = build.needs
    points = []
    if needs.interpreter and not os.path.exists(needs.interpreter):
        points.append(
            Point(
                "loader",
                f"{build.key}: needs the system's loader {needs.interpreter}, which is not there; "
                "choose a build for this system's C library",
            )
        )
    elif needs.libraries and build.key.target.os == "linux":
        from kitbag_installer.preflight.libraries import missing_libraries

        missing = missing_libraries(needs.libraries, needs.interpreter)
        if missing:
            points.append(
                Point(
                    "libraries",
                    f"{build.key}: needs shared libraries that were not found, "
                    f"{', '.join(missing)}; install them, or choose another build",
                    advice=True,
                )
            )
    return points


def _demand(root: Root, place: Place, trees: Sequence[Tree], installer_size: int) -> Demand:
    below = root.path[len(place.folder) :].strip("/")
    missing = below.count("/") + 1 if below else 0
    demand = demand_of_root(missing, installer_size, len(trees), place.unit)
    for tree in trees:
        demand = demand.plus(demand_of_build(tree.entries, tree.contents_size, place.unit))
        bytecode = tree.build.bytecode if tree.laid_over else None
        if bytecode is not None:
            demand = demand.plus(demand_of_bytecode(bytecode, tree.entries, place.unit))
    return demand


def _check_path(
    root: Root, place: Place, trees: Sequence[Tree], environments: Sequence[PlannedEnvironment]
) -> list[Point]:
    try:
        check_home(root.path)
    except DoesNotFit as error:
        return [Point("path-text", str(error))]
    points = []
    above = len(os.fsencode(root.path))
    scratch = len(os.path.basename(root.scratch("stage"))) + len("/.temp")
    inside = [
        max(scratch, len(f"/{tree.build.key}")) + 1 + tree.build.longest_path for tree in trees
    ]
    for each in environments:
        if each.action != "present":
            length = longest_in_environment(each.environment, each.wheels)
            inside.append(max(scratch, len(f"/envs/{each.environment.name}")) + 1 + length)
    longest = above + max(inside, default=scratch)
    if longest > place.longest_path:
        points.append(
            Point(
                "path-length",
                f"{short(root.path)}: the longest path in it would have {longest} bytes, and the "
                f"system takes {place.longest_path}; choose a root with a shorter path",
            )
        )
    new = os.fsencode(root.path[len(place.folder) :]).split(b"/")
    names = [*new, *(str(tree.build.key).encode() for tree in trees)]
    for tree in trees:
        if tree.build.longest_path > place.longest_name:
            names += {os.fsencode(entry.path.rpartition("/")[2]) for entry in tree.entries}
    name = max(names, key=len)
    if len(name) > place.longest_name:
        points.append(
            Point(
                "name-length",
                f"{short(root.path)}: the name {short(os.fsdecode(name))} has {len(name)} bytes, "
                f"and the file system takes {place.longest_name}; {_ELSEWHERE}",
            )
        )
    return points


def _check_obstacles(root: Root, place: Place, trees: Sequence[Tree]) -> list[Point]:
    if place.obstacle:
        return [Point("occupied", f"{place.obstacle}: not a directory; {_ELSEWHERE}")]
    if place.folder != root.path:
        return []
    messages = [
        f"{path}: not a directory; {_ELSEWHERE}"
        for path in (root.temp, root.own)
        if os.path.lexists(path) and not os.path.isdir(path)
    ]
    if os.path.isdir(root.lock_file):
        messages.append(f"{root.lock_file}: not a file; {_ELSEWHERE}")
    homes = [root.install_path(tree.build.key) for tree in trees]
    messages += [
        f"{path}: something is there that is no build; move it away, then try again"
        for path in homes
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path))
    ]
    return [Point("occupied", message) for message in messages]


def _check_rights(root: Root, place: Place, *, runs: bool) -> list[Point]:
    points = []
    if place.read_only:
        message = f"{short(root.path)}: Read-only file system; {_ELSEWHERE}"
        points.append(Point("read-only", message))
    else:
        points += [
            Point("permission", f"{path}: Permission denied; check who owns it, or {_ELSEWHERE}")
            for path in _closed(root, place)
        ]
    if place.no_exec and runs:
        message = "programs may not run there, the file system is mounted noexec"
        points.append(Point("noexec", f"{short(root.path)}: {message}; {_ELSEWHERE}"))
    return points


def _closed(root: Root, place: Place) -> list[str]:
    """The nearest thing to ``root`` that may not be written, or those in it."""
    if not place.can_write or place.folder != root.path:
        return [] if place.can_write else [place.folder]
    folders = [path for path in (root.temp, root.own) if os.path.isdir(path)]
    closed = [path for path in folders if not allowed(path, os.W_OK | os.X_OK)]
    if os.path.exists(root.lock_file) and not allowed(root.lock_file, os.R_OK | os.W_OK):
        closed.append(root.lock_file)
    return closed


def _check_abilities(root: Root, place: Place, trees: Sequence[Tree]) -> list[Point]:
    points = []
    if place.kind in _WITHOUT_LINKS and any(tree.has_links for tree in trees):
        points.append(without_links(root.path, place.kind))
    if place.kind in _WITHOUT_CASE and any(tree.build.case_collisions for tree in trees):
        points.append(without_case(root.path))
    return points


def without_links(path: str, kind: str = "") -> Point:
    """The point that symbolic links can't be made."""
    why = f"{kind} has no symbolic links" if kind else "symbolic links can't be made there"
    return Point("symlinks", f"{short(path)}: {why}; {_ELSEWHERE}")


def without_case(path: str) -> Point:
    """The point that names are the same which differ only in case."""
    return Point(
        "case",
        f"{short(path)}: upper and lower case are the same there, and a build has files whose "
        f"names differ in nothing else; {_ELSEWHERE}",
    )


def _check_room(root: Root, place: Place, demand: Demand) -> list[Point]:
    """What an interrupted run left is counted as free: it is swept before anything is unpacked."""
    short_of_space = place.free is not None and place.free < demand.size
    short_of_inodes = place.inodes is not None and place.inodes < demand.inodes
    if not short_of_space and not short_of_inodes:
        return []
    from kitbag_installer.preflight.leftovers import leftovers

    points = []
    size, inodes = leftovers(root)
    free, left = (place.free or 0) + size, (place.inodes or 0) + inodes
    if short_of_space and free < demand.size:
        points.append(
            Point(
                "space",
                f"{short(root.path)}: {_kilobytes(demand.size)} are needed there and "
                f"{_kilobytes(free, down=True)} are free; free some space, or {_ELSEWHERE}",
                advice=free >= demand.least or place.kind in _COMPRESSING,
            )
        )
    if short_of_inodes and left < demand.inodes:
        points.append(
            Point(
                "inodes",
                f"{short(root.path)}: {demand.inodes:,} inodes are needed there and {left:,} are "
                f"free; remove some files, or {_ELSEWHERE}",
                advice=left >= demand.least_inodes,
            )
        )
    return points


def _check_bin_dir(bin_dir: str, place: Place) -> list[Point]:
    """Builds work without their names in a bin directory, so this is advice."""
    other = place_of(bin_dir)
    why = ""
    if other.obstacle:
        why = f"{other.obstacle} is not a directory"
    elif other.read_only:
        why = "Read-only file system"
    elif not other.can_write and other.folder != place.folder:
        why = "Permission denied"
    if not why:
        return []
    what = "name another with --bin-dir, or say --no-bin"
    return [Point("bin-dir", f"{bin_dir}: can't make links there ({why}); {what}", advice=True)]


def _kilobytes(count: int, *, down: bool = False) -> str:
    return f"{count // 1000 if down else -(-count // 1000):,} kB"
