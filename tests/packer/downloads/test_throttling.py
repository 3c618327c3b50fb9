from __future__ import annotations

import threading
import time

import pytest

from kitbag_packer.downloads.throttling import Limiter


@pytest.mark.parametrize(
    ("rate", "piece"), [(1, 1), (1000, 100), (300_000, 30_000), (10**9, 65536), (None, None)]
)
def test_pieces_are_small_where_the_rate_is(rate: int | None, piece: int | None) -> None:
    assert Limiter(rate).piece == piece


def test_the_rate_holds_for_all_threads_together() -> None:
    limiter, stop = Limiter(10_000), threading.Event()

    def take() -> None:
        for _ in range(5):
            limiter.take(100, stop)

    threads = [threading.Thread(target=take) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.39 < time.monotonic() - began < 1.5


def test_nobody_waits_after_the_stop() -> None:
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    Limiter(1).take(1000, stop)
    assert time.monotonic() - began < 1
