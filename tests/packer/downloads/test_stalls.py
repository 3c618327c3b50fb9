from __future__ import annotations

from kitbag_packer.downloads.stalls import Meter


def test_a_drip_is_noticed_after_the_window_and_not_before() -> None:
    meter = Meter(32, 60.0)
    assert [meter.add(1.0, 1) for _ in range(59)] == [False] * 59
    assert meter.add(1.0, 1)


def test_a_slow_but_steady_link_is_fine() -> None:
    meter = Meter(32, 60.0)
    assert not any(meter.add(1.0, 33) for _ in range(1000))


def test_an_old_burst_does_not_excuse_a_stall_for_ever() -> None:
    meter = Meter(32, 60.0)
    meter.add(1.0, 10_000_000)
    assert any(meter.add(1.0, 0) for _ in range(66))


def test_only_waiting_counts() -> None:
    meter = Meter(32, 60.0)
    assert not any(meter.add(0.0, 1) for _ in range(1000))


def test_a_minimum_of_nothing_switches_it_off() -> None:
    meter = Meter(0, 60.0)
    assert not any(meter.add(60.0, 0) for _ in range(10))
