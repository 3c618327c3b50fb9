"""Pins the environments of a recipe: what still fits is kept, the rest is planned and measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.requests import Request
from kitbag_packer.environments.carrying import made_for, pairs, versions_on
from kitbag_packer.recipes.sourcing import changed, chosen_by
from kitbag_packer.recipes.wants import wants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.cache import Cache
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.environments.model import For, Spec
    from kitbag_packer.recipes.lock import Lock
    from kitbag_packer.recipes.packages import EnvironmentPin
    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.reporting import PackerReporter


def pin_environments(
    recipe: Recipe,
    lock: Lock,
    before: Lock | None,
    settings: DownloadSettings,
    cache: Cache,
    reporter: PackerReporter,
) -> tuple[EnvironmentPin, ...]:
    """The environments of ``recipe`` for the builds of ``lock``.

    Those of ``before`` that still fit stay as they are. Raises what planning raises,
    :class:`UsageError` and :class:`DownloadError`.
    """
    from kitbag_packer.environments.planning import plan
    from kitbag_packer.recipes.pinning import measured, pinned

    options = {each.name: each for each in recipe.environments}
    kept: list[EnvironmentPin] = []
    missing: list[tuple[Spec, For]] = []
    locked = {_identity(pin): pin for pin in before.environments} if before else {}
    for spec, place in wanted(recipe, lock):
        pin = locked.get((spec.name, str(place.key or f"{place.version} on {place.target}")))
        if pin is None or any(changed(pin, options[spec.name], recipe.folder)):
            missing.append((spec, place))
        else:
            kept.append(pin)
    chosen = {
        name: chosen_by(options[name], recipe.folder)
        for name in dict.fromkeys(spec.name for spec, _ in missing)
    }
    planned = plan(missing, settings, reporter)
    sizes = measured(planned, recipe.folder, cache, settings, reporter)
    fresh = [pinned(each, chosen[each.spec.name], recipe.folder, sizes) for each in planned]
    return tuple(sorted([*kept, *fresh], key=lambda pin: pin.order()))


def wanted(recipe: Recipe, lock: Lock) -> list[tuple[Spec, For]]:
    """Every environment of ``recipe``, with each build of ``lock`` that it is for.

    Raises :class:`NoMatch` for one that is for none.
    """
    if recipe.wheelhouse_only:
        places = [
            place
            for want in wants(recipe)
            for place in versions_on([Request.parse(want.request)], [want.target])
        ]
    else:
        places = [made_for(pin.key, pin.release) for pin in lock.pins if not pin.bootstrap]
    return pairs((each.spec(recipe.folder) for each in recipe.environments), places)


def environment_differences(lock: Lock, recipe: Recipe) -> Iterator[str]:
    """Every place where the environments of ``lock`` do not go with ``recipe``."""
    options = {each.name: each for each in recipe.environments}
    locked = {_identity(pin): pin for pin in lock.environments}
    try:
        asked = wanted(recipe, lock)
    except NoMatch as error:
        # Of builds that are about to change, or of a recipe that is wrong: planning will say.
        yield str(error)
        return
    for spec, place in asked:
        title = str(place.key or f"{place.version} on {place.target}")
        pin = locked.pop((spec.name, title), None)
        if pin is None:
            yield f"environment {spec.name} for {title} is not locked"
            continue
        for reason in changed(pin, options[spec.name], recipe.folder):
            yield f"environment {pin.title} is locked {reason}"
    for pin in locked.values():
        yield f"environment {pin.title} is locked, which nothing asks for"


def _identity(pin: EnvironmentPin) -> tuple[str, str]:
    return pin.name, str(pin.python or f"{pin.version} on {pin.target}")
