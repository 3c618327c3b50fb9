"""What is different between two locks: build by build, environment by environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.recipes.lock import Lock, Pin
    from kitbag_packer.recipes.packages import EnvironmentPin

ADDED, REMOVED, UPDATED, KEPT = "added", "removed", "updated", "kept"


@dataclass(frozen=True)
class Changes:
    """Each in the order of the keys."""

    added: tuple[Pin, ...]
    removed: tuple[Pin, ...]
    updated: tuple[tuple[Pin, Pin], ...]
    """The old and the new one, in the order of the new ones."""
    kept: tuple[Pin, ...]


@dataclass(frozen=True)
class EnvironmentChange:
    """What became of one environment."""

    pin: EnvironmentPin
    """The new one, or the one that is gone."""
    what: str
    """``added``, ``removed``, ``updated`` or ``kept``."""
    packages: tuple[str, ...] = ()
    """Of one that was updated, what changed, each in a few words: ``numpy 2.1.0, was 2.0.1``."""


def environment_changes(previous: Lock | None, lock: Lock) -> tuple[EnvironmentChange, ...]:
    """What became of every environment of either lock, in their order."""
    before = {pin.title: pin for pin in previous.environments} if previous else {}
    after = {pin.title: pin for pin in lock.environments}
    found = []
    for pin in sorted((before | after).values(), key=lambda pin: pin.order()):
        old, new = before.get(pin.title), after.get(pin.title)
        if old is None or new is None:
            found.append(EnvironmentChange(pin, ADDED if new else REMOVED))
        elif old.packages == new.packages:
            found.append(EnvironmentChange(pin, KEPT))
        else:
            found.append(EnvironmentChange(pin, UPDATED, tuple(_packages(old, new))))
    return tuple(found)


def _packages(old: EnvironmentPin, new: EnvironmentPin) -> Iterator[str]:
    before = {package.name: package for package in old.packages}
    after = {package.name: package for package in new.packages}
    for name in sorted(before | after):
        was, now = before.get(name), after.get(name)
        called = f"{name} {(now or was).version}".strip()  # type: ignore[union-attr]
        if was is None:
            yield f"{called} is new"
        elif now is None:
            yield f"{called} is gone"
        elif was.version != now.version:
            yield f"{called}, was {was.version or 'without a version'}"
        elif was != now:
            yield f"{called} comes from another place"


def changes(previous: Lock | None, lock: Lock) -> Changes:
    """What became of the builds of ``previous`` in ``lock``.

    A build is updated if another archive takes its place: one with the same key, or else one that
    the same request on the same target stands for now.
    """
    before = list(previous.pins) if previous else []
    digests = {(pin.key, pin.sha256) for pin in before}
    kept = tuple(pin for pin in lock.pins if (pin.key, pin.sha256) in digests)
    stays = {pin.key for pin in kept}
    gone = [pin for pin in before if pin.key not in stays]
    fresh = [pin for pin in lock.pins if pin.key not in stays]
    updated: list[tuple[Pin, Pin]] = []
    for same in (_same_build, _same_request):
        for pin in list(fresh):
            old = next((each for each in gone if same(each, pin)), None)
            if old is not None:
                gone.remove(old)
                fresh.remove(pin)
                updated.append((old, pin))
    return Changes(
        added=tuple(fresh),
        removed=tuple(gone),
        updated=tuple(sorted(updated, key=lambda pair: pair[1].order())),
        kept=kept,
    )


def _same_build(old: Pin, new: Pin) -> bool:
    return old.key == new.key


def _same_request(old: Pin, new: Pin) -> bool:
    same = bool({*old.requests} & {*new.requests}) or (old.bootstrap and new.bootstrap)
    return old.key.target == new.key.target and same
