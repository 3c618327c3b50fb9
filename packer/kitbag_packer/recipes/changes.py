"""What is different between two locks, build by build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitbag_packer.recipes.lock import Lock, Pin


@dataclass(frozen=True)
class Changes:
    """Each in the order of the keys."""

    added: tuple[Pin, ...]
    removed: tuple[Pin, ...]
    updated: tuple[tuple[Pin, Pin], ...]
    """The old and the new one, in the order of the new ones."""
    kept: tuple[Pin, ...]


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
