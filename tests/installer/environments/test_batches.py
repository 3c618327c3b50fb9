"""Wheels shared out among processes."""

from __future__ import annotations

from kitbag_bundles.environments import Wheel
from kitbag_installer.environments.batches import batches


def test_batches_hold_every_wheel_once_and_large_ones_alone():
    def wheel(name: str, size: int) -> Wheel:
        return Wheel(name, name, "1", 1, "", "", False, size, 10, 10)

    wheels = [wheel(f"w{number}", 1000 * number) for number in range(30)]
    wheels.append(wheel("big", 9_000_000))
    for count in (1, 2, 8):
        lists = batches(wheels, count)
        assert sorted(each.filename for part in lists for each in part) == sorted(
            each.filename for each in wheels
        )
        assert (len(lists) == 1) == (count == 1)
        if count > 1:
            assert [each.filename for each in lists[0]] == ["big"]
    assert batches([], 4) == []
