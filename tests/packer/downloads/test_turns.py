from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest

from kitbag_packer.downloads.retries import Stopped
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.downloads.turns import Turn, Turns

SETTINGS = DownloadSettings(jobs=3, per_host=2)


def test_bounds_hold_whatever_comes() -> None:
    turns = Turns(SETTINGS, threading.Event())
    lock, now, most = threading.Lock(), Counter[str](), Counter[str]()

    def work(number: int) -> None:
        host = "ab"[number % 2]
        turn = Turn(turns, number)
        turn.take(f"http://{host}/x")
        with lock:
            now.update((host, "all"))
            for name in now:
                most[name] = max(most[name], now[name])
        with lock:
            now.subtract((host, "all"))
        turn.give_back()
        turn.give_back()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most["all"] <= 3
    assert most["a"] <= 2
    assert most["b"] <= 2


def test_those_who_wait_get_their_turn_in_order() -> None:
    turns = Turns(replace(SETTINGS, jobs=1), threading.Event())
    first = Turn(turns, 0)
    first.take("http://a/")
    order: list[int] = []

    def work(number: int) -> None:
        turn = Turn(turns, number)
        turn.take("http://a/")
        order.append(number)
        turn.give_back()

    threads = [threading.Thread(target=work, args=(number,)) for number in (3, 1, 2)]
    for thread in threads:
        thread.start()
    while len(turns._waiting) < 3:
        threading.Event().wait(0.001)
    first.give_back()
    for thread in threads:
        thread.join()
    assert order == [1, 2, 3]


def test_a_stop_ends_the_waiting() -> None:
    stop = threading.Event()
    turns = Turns(replace(SETTINGS, jobs=1), stop)
    Turn(turns, 0).take("http://a/")
    stop.set()
    with pytest.raises(Stopped):
        Turn(turns, 1).take("http://b/")


def test_lanes_do_not_take_each_others_turns() -> None:
    turns = Turns(replace(SETTINGS, jobs=9, per_host=1), threading.Event())
    archive, package = Turn(turns, 0), Turn(turns, 1, "packages")
    archive.take("http://a/")
    package.take("http://a/")
    other = Turn(turns, 2, "packages")
    waiting = threading.Thread(target=other.take, args=("http://a/",))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    package.give_back()
    waiting.join(10)
    assert not waiting.is_alive()
