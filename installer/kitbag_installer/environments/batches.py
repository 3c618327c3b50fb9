"""Shares wheels out among processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.environments import Wheel


def batches(wheels: Sequence[Wheel], count: int) -> list[list[Wheel]]:
    """``wheels`` in lists that take about as long to unpack, the longest first."""
    weights = {wheel.filename: weight_of(wheel) for wheel in wheels}
    fair = sum(weights.values()) // (count * 3) + 1 if count > 1 else sum(weights.values()) + 1
    found: list[list[Wheel]] = []
    load = fair
    for wheel in sorted(wheels, key=lambda wheel: -weights[wheel.filename]):
        if load + weights[wheel.filename] > fair:
            found.append([])
            load = 0
        found[-1].append(wheel)
        load += weights[wheel.filename]
    return found


def weight_of(wheel: Wheel) -> int:
    """How long it takes: making a file costs as much as unpacking so many bytes."""
    return wheel.unpacked_size + 20_000 * wheel.files
