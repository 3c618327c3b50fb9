"""Whether a lock goes with its recipe and with this kitbag; and if not, where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles import __version__
from kitbag_bundles.requests import Request
from kitbag_packer.errors import StaleLock
from kitbag_packer.flavors import parse_flavor
from kitbag_packer.recipes.lock import choices_of, installer_digest
from kitbag_packer.recipes.wants import ALL, Want, builds_wanted, meant, named_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.recipes.lock import Lock, Pin
    from kitbag_packer.recipes.recipe import Recipe

_REMEDY = "bring it up to date with kitbag lock"


def check(lock: Lock, recipe: Recipe) -> None:
    """Raise :class:`StaleLock`, which says where, if ``lock`` does not go with ``recipe``."""
    found = list(differences(lock, recipe))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise StaleLock(f"the lock does not go with its recipe: {found[0]}{more}; {_REMEDY}")


def check_kitbag(lock: Lock, *, relock: bool = False) -> str:
    """Whether this kitbag would pack the bytes that the lock was made for.

    Empty if so. Otherwise a remark where ``relock`` allows it, and else :class:`StaleLock`.
    """
    if lock.kitbag != __version__:
        what = f"the lock was made by kitbag {lock.kitbag}, and this is {__version__}"
        remedy = f"use kitbag {lock.kitbag}"
    elif lock.installer_sha256 != installer_digest():
        what = f"the lock was made by another kitbag {lock.kitbag}: its kitbag.pyz differs"
        remedy = "use that one"
    else:
        return ""
    if relock:
        return f"{what}; the bundle is not the same bytes"
    raise StaleLock(f"{what}; {remedy}, or accept other bytes with --relock or kitbag lock")


def differences(lock: Lock, recipe: Recipe) -> Iterator[str]:
    """Every place where ``lock`` does not go with ``recipe``, in the order of the recipe."""
    pinned = pins_by_want(lock, recipe)
    for want in builds_wanted(recipe):
        pins = pinned.pop((want.request, want.target), [])
        if not pins:
            yield f"{want.request!r} on {_called(want.target)} is not locked"
        for pin in pins:
            reason = misfit(pin, want, recipe)
            if reason:
                yield f"{pin.key} is locked for {want.request!r}, but {reason}"
    for (request, target), pins in pinned.items():
        where = _called(target)
        yield f"{pins[0].key} is locked for {request!r} on {where}, which nothing asks for"
    yield from _starting(lock, recipe)
    if lock.bytecode != recipe.bytecode:
        yield f"[bundle] bytecode is {str(recipe.bytecode).lower()}, and was not when it was locked"
    if recipe.environments or lock.environments:
        from kitbag_packer.recipes.resolving import environment_differences

        yield from environment_differences(lock, recipe)


def _starting(lock: Lock, recipe: Recipe) -> Iterator[str]:
    """Where the builds that are locked for starting alone are too many, or too few."""
    from kitbag_packer.bootstrap import machines, needed, offers_of
    from kitbag_packer.starting import Runtime, shortfall

    locked = choices_of(lock)
    asked = offers_of(choice for choice in locked if not choice.bootstrap)
    named = meant(recipe)
    for pin, choice in zip(lock.pins, locked, strict=True):
        if not pin.bootstrap:
            continue
        where = f"{pin.key} is locked for starting the bundle"
        if not recipe.bootstrap:
            yield f"{where}, but [bundle] bootstrap is false"
        elif not needed(Runtime.promised(choice.offer), asked, named):
            yield f"{where}, which starts without it"
        elif pin.unverified and not recipe.allow_unverified:
            yield f"{where}, but nobody published its SHA-256, and allow-unverified is off"
    if recipe.bootstrap:
        everything = offers_of(locked)
        for target in machines(everything, named):
            if shortfall(everything, target) and str(target) not in lock.needs_python:
                yield f"no build is locked to start the bundle with on {target}"


def _called(target: str) -> str:
    return "all targets" if target == ALL else target


def misfit(pin: Pin, want: Want, recipe: Recipe) -> str:
    """Why ``pin`` is not what ``want`` asks for; empty if it is."""
    if not Request.parse(want.request).matches(pin.key):
        return "it does not satisfy that"
    if want.target not in (ALL, str(pin.key.target)):
        return f"it is not for {want.target}"
    if pin.asked_flavor != want.flavor:
        return f"in flavor {pin.asked_flavor or '(best)'}, not {want.flavor or '(best)'}"
    flavor = parse_flavor(want.flavor)
    if flavor.binds(pin.key.implementation) and pin.flavor != flavor.kind:
        return f"its flavor is {pin.flavor}, not {want.flavor}"
    if pin.unverified and not recipe.allow_unverified:
        return "nobody published its SHA-256, and allow-unverified is off"
    return ""


def pins_by_want(lock: Lock, recipe: Recipe) -> dict[tuple[str, str], list[Pin]]:
    """Pins by what they were asked for: request, and target or ``all``.

    What was pinned for all targets counts for one alone where the recipe names that one now.
    """
    named = named_targets(recipe)
    found: dict[tuple[str, str], list[Pin]] = {}
    for pin in lock.pins:
        own = str(pin.key.target)
        target = own if pin.target == ALL and own in named else pin.target
        for request in pin.requests:
            found.setdefault((request, target), []).append(pin)
    return found
