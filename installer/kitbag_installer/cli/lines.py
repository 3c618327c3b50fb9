"""Lines that more than one verb writes about builds and links."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.cli.terminal import human_size, paint, show_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.manifest import Build
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.roots import Root


def idle_line(build: Build, action: str, root: str) -> str:
    """A build that an install leaves out."""
    if action == "newer-present":
        release = f" (release {build.release})" if build.release else ""
        return f"{build.key}{release} is older than what is installed in {root}"
    return f"{build.key} is already installed in {root}"


def idle_environment_line(name: str, root: str) -> str:
    """An environment that an install leaves out."""
    return f"{name} is already installed in {root}"


def refused_lines(root: Root, names: Sequence[str]) -> list[str]:
    """Of names that were not made in a bin directory: which of them strangers have, and which not.

    The others belong to another environment, to a build or to kitbag, or will do so.
    """
    from kitbag_installer.launcher import COMMAND, may_write_command
    from kitbag_installer.links import leads_to

    ours = [
        path
        for path in dict.fromkeys(names)
        if not os.path.lexists(path)
        or leads_to(path).startswith(root.path + os.sep)
        or (os.path.basename(path) == COMMAND and may_write_command(path))
    ]
    strange = [path for path in dict.fromkeys(names) if path not in ours]
    lines = []
    if strange:
        listed = ", ".join(strange)
        lines.append(f"not made by kitbag and left alone: {listed}; --force replaces them")
    if ours:
        lines.append(
            "left to the build, the other environment or the kitbag that has the name: "
            f"{', '.join(ours)}; pack the environment with other names to expose"
        )
    return lines


def counted(count: int, word: str) -> str:
    """``2 builds``; empty for none."""
    return f"{count} {word}{'s' if count > 1 else ''}" if count else ""


def summed(builds: int, environments: int, size: int) -> str:
    """``2 builds and 1 environment (154.2 MB)``."""
    parts = [counted(builds, "build"), counted(environments, "environment")]
    return f"{' and '.join(part for part in parts if part)} ({human_size(size)})"


def bytecode_note(done: Compiled) -> str:
    """What was compiled of one build: ``compiled 1106 files``."""
    if done.compiled:
        more = f", {_files(done.fresh)} up to date" if done.fresh else ""
        return f"compiled {_files(done.compiled)}{more}"
    return "bytecode up to date" if done.fresh or not done.failures else "nothing compiled"


def show_failures(path: str, done: Compiled) -> int:
    """Name each file of the build at ``path`` that would not compile; returns an exit status."""
    for source, why in sorted(done.failures.items()):
        error = KitbagError(f"{os.path.join(path, source)}: can't be compiled: {why}")
        show_error(error, as_json=False)
    return KitbagError.exit_status if done.failures else 0


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


def turned_line(link: str, old: str, new: str) -> str:
    """A minor-version link that leads from one patch to another: `` ~ link (3.13.5 → 3.13.7)``."""
    sign = paint("~", "green", sys.stdout)
    return f" {sign} {os.path.basename(link)} ({_patch(old)} → {_patch(new)})"


def foreign_line(root: Root, build: Build) -> str:
    """A build of another tool that an install found in the place of ``build``."""
    from kitbag_installer.releases import installed_release, is_newer_release

    line = f"{build.key} was installed by another tool; --reinstall replaces it"
    have = installed_release(root.install_path(build.key))
    if have and is_newer_release(build.release, have):
        return f"{line}, release {have}, by release {build.release}"
    return line


def held_line(key: BuildKey, held: BuildKey) -> str:
    """A line that a rollback holds at a lower patch."""
    return (
        f"{key.minor_key} stays at {held.version}, where a rollback turned it; "
        f"kitbag rollback {_request(key)} turns it to {key.version}"
    )


def _patch(target: str) -> str:
    """What tells the builds of one line from each other: the version, if it is a build's path."""
    name = os.path.basename(target)
    key = BuildKey.try_parse(name)
    return str(key.version) if key else name


def _request(key: BuildKey) -> str:
    return f"{key.version}+{key.variant}" if key.variant else str(key.version)
