"""A tiny build that can be compiled: its interpreter hands the compiling to a real one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from . import crafting
from .members import Member, below, text, write_archive
from .tiny import tiny_members, tiny_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIBRARY = "lib/python3.13"
ODD = (f"{LIBRARY}/a b.py", f"{LIBRARY}/new\nline.py", f"{LIBRARY}/bad\udcff.py")
BROKEN = f"{LIBRARY}/broken.py"
TAG = sys.implementation.cache_tag
# The one program that it can't answer by itself.
COMPILES = f"""#!/bin/sh
case "$*" in *source_hash*) exec '{sys.executable}' "$@" ;; esac
"""


def compilable_members(version: str = "3.13.5", *, broken: bool = False) -> list[Member]:
    """The members of the build, without the top folder; one is not Python if ``broken``."""
    minor = ".".join(version.split(".")[:2])
    members = tiny_members(version)
    program = f"bin/python{minor}"
    members = [
        one._replace(data=one.data.replace(b"#!/bin/sh\n", COMPILES.encode(), 1))
        if one.path == program
        else one
        for one in members
    ]
    names = [*(each.replace("3.13", minor) for each in ODD), f"lib/python{minor}/abc.py"]
    members += [text(name, f"x = {number}\n") for number, name in enumerate(names)]
    if broken:
        members.append(text(BROKEN.replace("3.13", minor), "def (:\n"))
    return members


def compilable_bundle(
    path: Path, *versions: str, broken: bool = False, extra: Sequence[Member] = ()
) -> Path:
    """Write a bundle at ``path`` with a build of each version, 3.13.5 if none is named."""
    packed = []
    for version in versions or ("3.13.5",):
        archive = path.parent / tiny_name(version)
        members = [*compilable_members(version, broken=broken), *extra]
        write_archive(below("python", members), archive, ".tar.gz")
        packed.append(crafting.inspected(archive, crafting.host_key(version)))
    return crafting.write(path, *packed)


def count(tree: Path, suffix: str) -> int:
    """How many files with this suffix are in ``tree``."""
    names = (name for _, _, names in os.walk(os.fsencode(tree)) for name in names)
    return sum(name.endswith(os.fsencode(suffix)) for name in names)
