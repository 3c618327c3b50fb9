"""Why none of a package's wheels fits, told from their tags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.tags import Tag

    from kitbag_packer.environments.platforms import Platform

__all__ = ["why_none_fits"]

_LEVELLED = re.compile(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(.+)", re.ASCII)
_LEGACY = re.compile(r"manylinux(?:1|2010|2014)_(.+)", re.ASCII)
_SYSTEMS = {"manylinux": "glibc", "musllinux": "musl", "macosx": "macOS"}
_SHOWN = 8


def why_none_fits(filenames: Iterable[str], platform: Platform) -> str:
    """A clause without its subject, ``has wheels for win_amd64, but none for macos-aarch64-none``.

    ``filenames`` are those of wheels, none of which fits.
    """
    found = [tag for filename in filenames for tag in parse_wheel_filename(filename)[3]]
    pythons = {(tag.interpreter, tag.abi) for tag in platform.tags if tag.platform != "any"}
    systems = {tag.platform for tag in platform.tags}
    elsewhere = {tag.platform for tag in found if (tag.interpreter, tag.abi) in pythons}
    here = [tag for tag in found if tag.platform in systems]
    made_for = platform.made_for
    if elsewhere:
        newer = _newer(elsewhere, systems)
        if newer:
            return f"has wheels for {newer} and later, and they are chosen for {_level(systems)}"
        return f"has wheels for {_families(elsewhere)}, but none for {made_for.target}"
    if here:
        python = str(platform).partition(" on ")[0]
        return f"has wheels for {_pythons(here)}, but none for {python}"
    families = _families({tag.platform for tag in found})
    return f"has wheels for {_pythons(found)} on {families}, but none for {platform}"


def _newer(offered: Iterable[str], taken: Iterable[str]) -> str:
    """The least system among ``offered`` that is only too new for what is ``taken``."""
    ours = {(found[1], found[4]) for found in map(_LEVELLED.fullmatch, taken) if found}
    levels = [
        (int(found[2]), int(found[3]), _SYSTEMS[found[1]])
        for found in map(_LEVELLED.fullmatch, offered)
        if found and (found[1], found[4]) in ours
    ]
    return "{2} {0}.{1}".format(*min(levels)) if levels else ""


def _level(taken: Iterable[str]) -> str:
    """The newest system that wheels are taken for, ``glibc 2.28``."""
    found = [match for match in map(_LEVELLED.fullmatch, taken) if match]
    return "{2} {0}.{1}".format(
        *max((int(each[2]), int(each[3]), _SYSTEMS[each[1]]) for each in found)
    )


def _families(platforms: Iterable[str]) -> str:
    """Platform tags without their versions: ``macosx_arm64, manylinux_x86_64, win_amd64``."""
    plain = (_LEVELLED.sub(r"\1_\4", platform) for platform in platforms)
    return _listed({_LEGACY.sub(r"manylinux_\1", platform) for platform in plain})


def _pythons(tags: Iterable[Tag]) -> str:
    """What Pythons tags are for: ``cp39, cp313t, cp37-abi3``."""
    return _listed({_python(tag) for tag in tags})


def _python(tag: Tag) -> str:
    if tag.abi == "none" or tag.abi == tag.interpreter:
        return tag.interpreter
    return tag.abi if tag.abi.startswith(tag.interpreter) else f"{tag.interpreter}-{tag.abi}"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names, key=lambda name: (re.sub(r"\d.*", "", name), len(name), name))
    rest = len(ordered) - _SHOWN
    return ", ".join(ordered[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
