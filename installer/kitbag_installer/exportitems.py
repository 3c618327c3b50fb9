"""Files of a bundle that an export has as they are: archives and wheels."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.container import CHUNK
from kitbag_bundles.errors import DigestMismatch, UsageError
from kitbag_bundles.volumes import accused
from kitbag_installer.environments.wheelhouse import place_of_wheel
from kitbag_installer.mirrors import place_of
from kitbag_installer.placing import has_content, written

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Wheel
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Progress


class Item(NamedTuple):
    """A file of the bundle, and where it goes."""

    place: str
    """Relative to the export."""
    size: int
    sha256: str
    called: str
    """As a message names it: ``archive of cpython-3.13.5-linux-x86_64-gnu``."""
    member: str
    open: Callable[[], io.BufferedReader]
    accuse: Callable[[], str]


def archive_item(bundle: Bundle, build: Build) -> Item:
    """The archive of a build."""
    payload = build.payload
    return Item(
        place_of(build),
        payload.size,
        payload.sha256,
        f"archive of {build.key}",
        payload.member,
        functools.partial(bundle.open_payload, build),
        functools.partial(bundle.accuse_payload, build),
    )


def wheel_item(bundle: Bundle, wheel: Wheel) -> Item:
    """A wheel."""
    return Item(
        place_of_wheel(wheel),
        wheel.size,
        wheel.sha256,
        "wheel",
        wheel.member,
        functools.partial(bundle.open_wheel, wheel),
        functools.partial(bundle.accuse_wheel, wheel),
    )


def action_for(folder: str, directory: str, item: Item, *, force: bool) -> str:
    """What is to be done: ``written``, ``replaced``, or ``present``.

    Raises :class:`UsageError` where another file is in the place, unless ``force``.
    """
    path = path_in(folder, item.place)
    if not os.path.lexists(path):
        return "written"
    if has_content(path, item.size, item.sha256):
        return "present"
    if not force:
        raise UsageError(
            f"{path_in(directory, item.place)} is there and is not the {item.called} that the "
            "bundle has; --force replaces it"
        )
    return "replaced"


def write_item(folder: str, bundle: Bundle, item: Item, progress: Progress) -> None:
    """Write it to its place below ``folder``; raises :class:`DigestMismatch`."""
    import hashlib

    digest = hashlib.sha256()
    view = memoryview(bytearray(min(CHUNK, item.size + 1)))
    with written(path_in(folder, item.place)) as file, item.open() as stream:
        while True:
            count = stream.readinto(view)
            if not count:
                break
            digest.update(view[:count])
            file.write(view[:count])
            progress.advance(count)
        if digest.hexdigest() != item.sha256:
            damaged = DigestMismatch(
                f"{bundle.path}: {item.member} does not have its SHA-256; "
                "the bundle is damaged, copy it again"
            )
            raise accused(damaged, item.accuse())


def path_in(folder: str, place: str) -> str:
    """The path of ``place`` below ``folder``."""
    return os.path.join(folder, *place.split("/"))
