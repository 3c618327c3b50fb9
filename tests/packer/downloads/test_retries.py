from __future__ import annotations

import contextlib
from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.downloads.retries import (
    Attempts,
    Failure,
    GaveUp,
    seconds_of,
    status_failure,
)
from kitbag_packer.downloads.settings import DownloadSettings

SETTINGS = DownloadSettings(retries=8, first_pause=1.0, longest_pause=60.0)
PASSING = Failure("broke", passing=True)
LASTING = Failure("is gone", passing=False)


def attempts(*urls: str, **settings: float) -> Attempts:
    return Attempts(urls or ("a",), replace(SETTINGS, **settings), lambda: 1.0)  # type: ignore[arg-type]


def tried(attempts: Attempts) -> list[str]:
    """The addresses in the order of the tries, until all patience is gone."""
    seen = []
    with contextlib.suppress(GaveUp):
        while True:
            seen.append(attempts.url)
            attempts.failed(PASSING, progressed=False)
    return seen


def test_pauses_double_up_to_the_longest() -> None:
    tries = attempts()
    assert [tries.failed(PASSING, progressed=False) for _ in range(7)] == [1, 2, 4, 8, 16, 32, 60]
    with pytest.raises(GaveUp):
        tries.failed(PASSING, progressed=False)


@given(st.floats(0, 1), st.integers(0, 6))
def test_jitter_stays_within_half(jitter: float, number: int) -> None:
    tries = Attempts(["a"], SETTINGS, lambda: jitter)
    pauses = [tries.failed(PASSING, progressed=False) for _ in range(7)]
    assert min(2**number, 60) / 2 <= pauses[number] <= min(2**number, 60)


def test_a_link_that_brings_something_each_time_is_never_given_up() -> None:
    tries = attempts()
    for _ in range(1000):
        assert tries.failed(PASSING, progressed=True) == 1
        assert tries.failed(PASSING, progressed=False) == 1
    assert tries.fruitless == 1


def test_what_will_not_pass_hands_over_at_once() -> None:
    tries = attempts("a", "b")
    assert tries.failed(LASTING, progressed=False) == 0
    assert tries.url == "b"
    with pytest.raises(GaveUp):
        tries.failed(LASTING, progressed=False)
    assert list(tries.reasons) == ["a", "b"]


def test_fruitless_tries_move_on_and_come_back() -> None:
    assert "".join(tried(attempts("a", "b"))) == "aabbaabb"


def test_every_address_gets_its_chance() -> None:
    assert set(tried(attempts("a", "b", "c", retries=1))) == {"a", "b", "c"}


def test_a_server_may_ask_for_ten_times_the_longest_pause() -> None:
    for asked, got in ((30.0, 30.0), (1e6, 600.0), (0.0, 1.0)):
        failure = Failure("is busy", passing=True, wait=asked)
        assert attempts().failed(failure, progressed=False) == got


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (formatdate(1060, usegmt=True), 60.0),
        (formatdate(900, usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("²", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert seconds_of(text, now=1000) == seconds


@given(st.text())
def test_any_retry_after_is_read_without_an_error(text: str) -> None:
    seconds = seconds_of(text)
    assert seconds is None or seconds >= 0


def test_only_what_may_pass_waits() -> None:
    assert status_failure(503, "5").wait == 5.0
    assert status_failure(404, "5").wait is None
    assert status_failure(599, "").reason == "answered 599"
