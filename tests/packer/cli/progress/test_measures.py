import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.cli.progress.measures import (
    Countdown,
    Rate,
    show_again,
    show_amount,
    show_rate,
    show_share,
    show_time,
    time_left,
)


def test_a_slow_link_has_a_steady_rate():
    """At 1 KB/s packets come every one and a half seconds."""
    rate = Rate()
    rate.start(0.0)
    seen = []
    for second in range(1, 1200):
        now = second / 2
        if second % 3 == 0:
            rate.add(1500, now)
        if now > 60:
            seen.append(rate.value(now))
    assert all(930 <= value <= 1070 for value in seen)
    assert show_rate(1000.4) == "1.0 kB/s"
    assert show_rate(32.7) == "33 B/s"


def test_it_is_told_neither_too_early_nor_from_too_long_ago():
    rate = Rate(30)
    assert rate.value(0.0) is None
    rate.start(0.0)
    assert rate.value(29.0) is None  # nothing arrived yet: the server may be slow to answer
    assert rate.value(31.0) == 0
    rate.add(1_000_000, 31.0)
    assert rate.value(32.0) > 0
    for second in range(32, 63):
        rate.add(100, float(second))
    assert 95 <= rate.value(62.0) <= 105  # the fast start is forgotten
    assert rate.value(93.0) == 0


def test_a_burst_at_the_start_is_no_rate():
    rate = Rate()
    rate.start(5.0)
    rate.add(10_000_000, 5.001)
    assert rate.value(5.01) is None
    assert rate.value(6.0) == pytest.approx(10_000_000)


def test_waits_do_not_count():
    rate = Rate()
    rate.start(0.0)
    for second in range(1, 11):
        rate.add(1000, float(second))
    rate.stop(10.0)
    assert rate.value(500.0) == pytest.approx(1000)
    rate.start(500.0)
    assert rate.value(500.0) == pytest.approx(1000)
    rate.add(1000, 501.0)
    assert rate.value(501.0) == pytest.approx(1000)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 10**9)), max_size=80))
def test_a_rate_is_never_absurd(steps):
    rate, now = Rate(), 0.0
    rate.start(now)
    for pause, count in steps:
        now += pause
        rate.add(count, now)
        value = rate.value(now)
        assert value is None or (math.isfinite(value) and value >= 0)


def test_memory_is_bounded():
    rate = Rate()
    for step in range(100_000):
        rate.add(1, step / 1000)
    assert len(rate._samples) <= 100


def test_time_left_does_not_flicker():
    clock = Countdown()
    shown = [clock.left(1000 - now + (now % 7) * 10, float(now)) for now in range(300)]
    assert all(later <= sooner for sooner, later in itertools.pairwise(shown))
    assert clock.left(3000, 300.0) == 3000  # the link became slower
    assert clock.left(None, 301.0) is None
    assert clock.left(10, 302.0) == 10


@pytest.mark.parametrize(
    ("done", "total", "rate", "left"),
    [(0, None, 10, None), (0, 100, None, None), (0, 100, 0.0, None), (101, 100, 5, None),
     (50, 100, 5, 10)],
)  # fmt: skip
def test_time_left_is_told_only_where_it_is_known(done, total, rate, left):
    assert time_left(done, total, rate) == left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 s"), (12.4, "12 s"), (59.4, "59 s"), (60, "1 min"), (277, "4 min 30 s"),
        (599, "9 min 50 s"), (3599, "59 min"), (7 * 3600, "7 h"), (24_630, "6 h 50 min"),
        (86400, "1 day"), (3 * 86400 + 4 * 3600, "3 days 4 h"), (12.4 * 86400, "12 days"),
        (1e12, "more than 99 days"),
    ],
)  # fmt: skip
def test_times_in_words(seconds, text):
    assert show_time(seconds) == text


def test_the_next_try_in_words():
    assert show_again(12.2, 2) == "again in 12 s (try 3)"
    assert show_again(0.0, 1) == "again now (try 2)"


def test_amounts_in_words():
    assert show_amount(12_300_000, 27_700_000) == "12.3 of 27.7 MB"
    assert show_amount(900_000, 27_700_000) == "900.0 kB of 27.7 MB"
    assert show_amount(12_300_000, None) == "12.3 MB"
    assert show_amount(12_300_000, 27_700_000, at_least=True) == "12.3 of 27.7+ MB"
    assert show_amount(5, 4) == "5 B"
    assert show_share(999, 1000) == "99%"
    assert (show_share(0, 0), show_share(5, None), show_share(5, 4)) == ("100%", "", "")
