"""What an install does with an environment, by what is in the root already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.environments.places import environment_path, environments_folder
from kitbag_installer.environments.receipts import is_ours, read_receipt
from kitbag_installer.preflight.points import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.environments import Environment, Wheel
    from kitbag_installer.roots import Root

DONE = {"install": "installed", "replace": "replaced", "reinstall": "reinstalled"}
"""What each action that does something is called afterwards."""


class PlannedEnvironment(NamedTuple):
    """An environment of the bundle, and what becomes of it."""

    environment: Environment
    wheels: tuple[Wheel, ...]
    action: str
    """``install``, ``replace`` (another one is there), ``reinstall`` or ``present``."""


def action_for(
    root: Root, environment: Environment, wheels: Sequence[Wheel], seen_as: str, *, reinstall: bool
) -> str:
    """What an install does with ``environment``.

    ``seen_as`` is the path that the root will have; empty for its own.
    """
    place = environment_path(root, environment.name)
    if not is_ours(place):
        return "install"
    try:
        receipt = read_receipt(place)
    except IntegrityError:
        return "replace"
    home = f"{seen_as.rstrip('/')}{place[len(root.path) :]}" if seen_as else place
    wanted = [(wheel.filename, wheel.sha256) for wheel in wheels]
    same = (
        receipt.python == environment.python
        and [(wheel.filename, wheel.sha256) for wheel in receipt.wheels] == wanted
        and (receipt.expose, receipt.run, receipt.home)
        == (environment.expose, environment.run, home)
    )
    if not same:
        return "replace"
    return "reinstall" if reinstall else "present"


def as_it_is_now(
    root: Root, planned: Sequence[PlannedEnvironment], seen_as: str, *, reinstall: bool
) -> tuple[PlannedEnvironment, ...]:
    """``planned`` anew: another process may have had the lock since."""
    return tuple(
        each._replace(
            action=action_for(root, each.environment, each.wheels, seen_as, reinstall=reinstall)
        )
        for each in planned
    )


def check_places(root: Root, planned: Sequence[PlannedEnvironment]) -> list[Point]:
    """Other people's files are never replaced: where something is in the way."""
    points = []
    folder = environments_folder(root)
    if planned and os.path.lexists(folder) and not os.path.isdir(folder):
        message = f"{folder}: not a directory; choose another root with --root"
        return [Point("occupied", message)]
    for each in planned:
        place = environment_path(root, each.environment.name)
        if each.action == "install" and os.path.lexists(place):
            points.append(
                Point(
                    "occupied",
                    f"{place}: something is there that kitbag did not make; move it away, then "
                    "try again",
                )
            )
    return points
