"""Makes a lock: what still fits is kept, the rest is looked up, and every archive is measured."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_bundles.requests import parse_requests
from kitbag_packer.recipes.fitting import misfit, pins_by_want
from kitbag_packer.recipes.lock import CatalogPin, Lock, Pin, choices_of
from kitbag_packer.recipes.measuring import Measuring
from kitbag_packer.recipes.wants import ALL, Want, builds_wanted, meant, named_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_packer.bootstrap import Plan
    from kitbag_packer.cache import Cache
    from kitbag_packer.catalogs.model import Catalog, Offer
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.reporting import PackerReporter
    from kitbag_packer.resolution import Choice


def make_lock(
    recipe: Recipe,
    previous: Lock | None,
    *,
    upgrade: bool,
    catalogs: Sequence[Catalog],
    mirrors: Sequence[str],
    settings: DownloadSettings,
    cache: Cache,
    reporter: PackerReporter,
) -> Lock:
    """The lock of ``recipe``; nothing is written but what had to be fetched into ``cache``.

    Pins of ``previous`` that still fit are kept as they are, unless ``upgrade``. An archive is
    fetched only where nobody tells its size, or its SHA-256 and the recipe allows that. Raises
    what :func:`kitbag_packer.resolution.resolve` raises, and :class:`DownloadError`.
    """
    before = None if upgrade else previous
    lock = _lock_builds(recipe, previous, before, catalogs, mirrors, settings, cache, reporter)
    if not recipe.environments:
        return lock
    from kitbag_packer.recipes.resolving import pin_environments

    found = pin_environments(recipe, lock, before, settings, cache, reporter)
    return replace(lock, environments=found)


def _lock_builds(
    recipe: Recipe,
    previous: Lock | None,
    before: Lock | None,
    catalogs: Sequence[Catalog],
    mirrors: Sequence[str],
    settings: DownloadSettings,
    cache: Cache,
    reporter: PackerReporter,
) -> Lock:
    """The builds; those of ``before`` that still fit are kept, ``previous`` knows catalogs."""
    asked = builds_wanted(recipe)
    kept = _kept(before, recipe, asked) if before else {}
    found = [(want, pin) for want in asked for pin in kept.get(want, ())]
    chosen = _choose([want for want in asked if want not in kept], recipe, catalogs)
    fresh = []
    for want, choice in chosen:
        # One build, one archive: what is locked already goes before a later release of it.
        pin = _pinned(before, choice, want, recipe) if before else None
        if pin is None:
            fresh.append((want, choice))
        else:
            found.append((want, pin))
    _check_environments(recipe, [pin for _, pin in found], [choice.offer for _, choice in fresh])
    offers = list(dict.fromkeys(choice.offer for _, choice in fresh))
    measured = Measuring(mirrors, settings, cache, reporter).run(offers)
    known = {catalog.name: catalog.digest for catalog in catalogs}
    for want, choice in fresh:
        offer = choice.offer
        size, sha256 = measured[offer]
        found.append((want, _pin(offer, want, size, sha256, known.get(offer.catalog, ""))))
    told = [*(previous.catalogs if previous else ()), *_catalog_pins(catalogs, recipe)]
    lock = Lock.of(_merge(found), told, bytecode=recipe.bytecode)
    if not recipe.bootstrap:
        return lock
    kept_pins = tuple(pin for pin in before.pins if pin.bootstrap) if before else ()
    pins, plan = _bootstraps(lock, kept_pins, recipe, catalogs, reporter)
    added = [choice.offer for choice in plan.added]
    measured = Measuring(mirrors, settings, cache, reporter).run(added)
    for offer in added:
        want = Want("", str(offer.key.target), "")
        pin = _pin(offer, want, *measured[offer], known.get(offer.catalog, ""))
        pins.append(replace(pin, requests=(), bootstrap=True))
    bare = [str(short.target) for short in plan.left]
    return Lock.of([*lock.pins, *pins], told, bare, bytecode=recipe.bytecode)


def _check_environments(recipe: Recipe, pins: Iterable[Pin], offers: Iterable[Offer]) -> None:
    """Raise what :func:`pairs` raises before anything is fetched for nothing."""
    if not recipe.environments or recipe.wheelhouse_only:
        return
    from kitbag_packer.environments.carrying import made_for, pairs

    places = [made_for(pin.key, pin.release) for pin in pins]
    places += [made_for(offer.key, offer.release) for offer in offers]
    pairs([each.spec(recipe.folder) for each in recipe.environments], places)


def _bootstraps(
    lock: Lock,
    before: Iterable[Pin],
    recipe: Recipe,
    catalogs: Sequence[Catalog],
    reporter: PackerReporter,
) -> tuple[list[Pin], Plan]:
    """What starts the bundle of ``lock``: of ``before`` what still helps, and what to add."""
    from kitbag_packer.bootstrap import Bootstrap, complete, needed, offers_of, tell
    from kitbag_packer.starting import Runtime

    have, named = offers_of(choices_of(lock)), meant(recipe)
    locked = {pin.key for pin in lock.pins}
    kept: list[Pin] = []
    for pin in before:
        (choice,) = choices_of(replace(lock, pins=(pin,)))
        runtime = Runtime.promised(choice.offer)
        allowed = recipe.allow_unverified or not pin.unverified
        if allowed and pin.key not in locked and needed(runtime, have, named):
            kept.append(pin)
            have.append(runtime)
    how = Bootstrap(
        tuple(catalogs),
        named,
        allow_unverified=recipe.allow_unverified,
        remedy="bootstrap = false in [bundle] leaves it out",
    )
    plan = complete(have, how)
    tell(plan, how, reporter)
    return kept, plan


def _kept(previous: Lock, recipe: Recipe, asked: Iterable[Want]) -> dict[Want, list[Pin]]:
    pinned = pins_by_want(previous, recipe)
    kept = {}
    for want in asked:
        pins = pinned.get((want.request, want.target), [])
        if pins and not any(misfit(pin, want, recipe) for pin in pins):
            kept[want] = pins
    return kept


def _pinned(previous: Lock, choice: Choice, want: Want, recipe: Recipe) -> Pin | None:
    """The archive that is locked for the build of ``choice``, if it will do."""
    for pin in previous.pins:
        if pin.key == choice.offer.key and not misfit(pin, want, recipe):
            return pin
    return None


def _choose(
    missing: Sequence[Want], recipe: Recipe, catalogs: Sequence[Catalog]
) -> list[tuple[Want, Choice]]:
    """What to take for every want; several builds for one that is about all targets."""
    from kitbag_packer.resolution import resolve

    def ask(requests: Iterable[str], targets: Sequence[str], flavor: str) -> tuple[Choice, ...]:
        return resolve(
            parse_requests(tuple(requests)),
            targets,
            catalogs,
            flavor=flavor,
            allow_unverified=recipe.allow_unverified,
        )

    named = named_targets(recipe)
    answers: dict[tuple[str, str, str], Choice] = {}
    for (requests, flavor), targets in _groups(missing).items():
        for choice in ask(requests, targets, flavor):
            answers[choice.request, str(choice.target), flavor] = choice
    found = []
    for want in missing:
        if want.target == ALL:
            everywhere = ask([want.request], [ALL], want.flavor)
            others = [each for each in everywhere if str(each.target) not in named]
            if not others:
                raise NoMatch(
                    f"{want.request!r} has builds for none but the targets that the recipe names; "
                    "leave 'all' out"
                )
            found += [(want, each) for each in others]
        else:
            # Of two requests for one build the answer names the first alone.
            answer = answers.get((want.request, want.target, want.flavor))
            if answer is None:
                answer = ask([want.request], [want.target], want.flavor)[0]
            found.append((want, answer))
    return found


def _groups(missing: Iterable[Want]) -> Mapping[tuple[tuple[str, ...], str], list[str]]:
    """Targets by the requests and the flavor for them, so that few questions answer everything."""
    by_target: dict[tuple[str, str], list[str]] = {}
    for want in missing:
        if want.target != ALL:
            by_target.setdefault((want.target, want.flavor), []).append(want.request)
    groups: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (target, flavor), requests in by_target.items():
        groups.setdefault((tuple(requests), flavor), []).append(target)
    return groups


def _pin(offer: Offer, want: Want, size: int, sha256: str, catalog: str) -> Pin:
    return Pin(
        key=offer.key,
        requests=(want.request,),
        target=want.target,
        asked_flavor=want.flavor,
        url=offer.canonical,
        filename=offer.filename,
        flavor=offer.flavor,
        release=offer.release,
        size=size,
        sha256=sha256,
        catalog=catalog,
        unverified=not offer.sha256,
    )


def _merge(found: Iterable[tuple[Want, Pin]]) -> list[Pin]:
    """One pin for each archive, with all requests that stand for it now."""
    requests: dict[Pin, set[str]] = {}
    for want, pin in found:
        plain = replace(pin, requests=(), target=want.target, bootstrap=False)
        requests.setdefault(plain, set()).add(want.request)
    pins = [replace(pin, requests=tuple(sorted(texts))) for pin, texts in requests.items()]
    digests: dict[str, str] = {}
    for pin in pins:
        if digests.setdefault(str(pin.key), pin.sha256) != pin.sha256:
            raise UsageError(
                f"the recipe asks for {pin.key} in two flavors, and a bundle has room for one"
            )
    return pins


def _catalog_pins(catalogs: Iterable[Catalog], recipe: Recipe) -> list[CatalogPin]:
    return [
        CatalogPin(catalog.digest, _public_name(catalog.name, recipe), catalog.date)
        for catalog in catalogs
    ]


def _public_name(name: str, recipe: Recipe) -> str:
    """The name without the places of one machine: a file as the recipe has it, or its name."""
    plain = name.removeprefix("file://")
    if "://" in plain or not Path(plain).is_absolute():
        return name
    for written, place in zip(recipe.catalogs, recipe.catalog_places, strict=True):
        relative = "://" not in written and not Path(written).is_absolute()
        if relative and Path(plain) == Path(os.path.abspath(os.path.expanduser(place))):
            return written
    return Path(plain).name
