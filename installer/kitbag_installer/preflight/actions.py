"""What an install does with a build of the bundle, by what is in the root already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.keys import BuildKey
from kitbag_bundles.layout import executable
from kitbag_installer.preflight.points import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.manifest import Build
    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root

IDLE = ("present", "newer-present")
"""The actions that unpack nothing."""
DONE = {"install": "installed", "reinstall": "reinstalled", "upgrade": "upgraded"}
"""What each of the others is called afterwards."""


def is_there(root: Root, key: BuildKey) -> bool:
    """Whether a build with this key is installed, by whatever tool; a link to one is none."""
    place = root.install_path(key)
    return (
        os.path.isdir(place)
        and not os.path.islink(place)
        and os.path.exists(os.path.join(place, executable(key)))
    )


def action_for(
    root: Root, build: Build, requests: Sequence[Request], *, reinstall: bool, upgrade: bool
) -> str:
    """``install``, ``reinstall``, ``present``, or with ``upgrade`` one of two more.

    ``upgrade`` is a newer release in the place of an older one of the same version; a build of
    another tool gives way only where a request is its whole key. ``newer-present`` is a build that
    would be a step back: an older release, or a lower patch that nobody asked for as such.
    """
    key, place = build.key, root.install_path(build.key)
    if not is_there(root, key):
        asked = any(request.names_patch and request.matches(key) for request in requests)
        return "newer-present" if upgrade and not asked and _has_higher(root, key) else "install"
    if reinstall or not upgrade:
        return "reinstall" if reinstall else "present"
    from kitbag_installer.receipts import has_receipt
    from kitbag_installer.releases import installed_release, is_newer_release

    have = installed_release(place)
    if is_newer_release(build.release, have):
        return "upgrade" if has_receipt(place) or _is_named(key, requests) else "present"
    return "newer-present" if is_newer_release(have, build.release) else "present"


def _has_higher(root: Root, key: BuildKey) -> bool:
    return any(
        other.minor_key == key.minor_key and other.version > key.version for other in root.builds()
    )


def check_additions(root: Root, build: Build) -> list[Point]:
    """What a person added to the installed ``build``, and would lose by an upgrade in its place."""
    from kitbag_bundles.errors import IntegrityError
    from kitbag_installer.receipts import has_receipt
    from kitbag_installer.verification import additions

    place = root.install_path(build.key)
    if not has_receipt(place):
        return []
    try:
        found = additions(place)
    except IntegrityError as error:
        return [Point("additions", str(error))]
    if not found:
        return []
    count = f"{len(found)} files" if len(found) > 1 else "a file"
    return [
        Point(
            "additions",
            f"{place}: has {count} that kitbag did not install, such as {found[0]}, which a newer "
            "release in its place would drop; move them into a virtual environment, or say "
            "--reinstall to do without them",
        )
    ]


def _is_named(key: BuildKey, requests: Sequence[Request]) -> bool:
    return any(BuildKey.try_parse(request.text.strip().lower()) == key for request in requests)
