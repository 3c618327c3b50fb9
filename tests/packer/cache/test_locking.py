from __future__ import annotations

import contextlib
import os
import threading

import pytest

from kitbag_bundles.errors import Interrupted
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache.locking import held, held_now, label_of
from support.caches import Messages


class Signal(SilentReporter):
    """Tells when it was told that somebody waits."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.message = ""

    def info(self, message: str) -> None:
        self.message = message
        self.waiting.set()


def test_the_second_waits_and_says_so(tmp_path):
    said, order = Signal(), []

    def second() -> None:
        with held(tmp_path / "x", "cpython-3.13.5", said):
            order.append("second")

    with held(tmp_path / "x", "cpython-3.13.5", SilentReporter()):
        thread = threading.Thread(target=second)
        thread.start()
        assert said.waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert said.message == "waiting for another process that fetches cpython-3.13.5"


def test_waiting_can_be_stopped(tmp_path):
    folder, silent = tmp_path / "x", SilentReporter()
    with held(folder, "a", silent), pytest.raises(Interrupted), held(folder, "a", silent, stopped):
        pass


def stopped() -> bool:
    return True


def test_who_waited_for_a_folder_that_was_removed_makes_it_anew(tmp_path):
    said, folder, got = Signal(), tmp_path / "x", []

    def second() -> None:
        with held(folder, "b", said), held_now(folder) as free:
            got.append((free, label_of(folder)))

    with held(folder, "a", SilentReporter()):
        thread = threading.Thread(target=second)
        thread.start()
        assert said.waiting.wait(10)
        os.unlink(folder / "lock")
        os.rmdir(folder)
    thread.join(10)
    assert got == [(False, "b")]


def test_many_that_remove_the_folder_are_never_two_at_a_time(tmp_path):
    folder, inside, most, done = tmp_path / "x", 0, 0, []

    def work() -> None:
        nonlocal inside, most
        for _ in range(25):
            with held(folder, "a", SilentReporter()):
                inside += 1
                most = max(most, inside)
                done.append(1)
                inside -= 1
                os.unlink(folder / "lock")
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 100
    assert most == 1


def test_whoever_comes_can_lock(tmp_path):
    before = os.umask(0o077)
    try:
        with held(tmp_path / "x", "a", Messages()):
            assert (tmp_path / "x" / "lock").stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(before)


def test_a_link_in_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"), held(tmp_path / "x", "a", SilentReporter()):
        pass
    assert not (tmp_path / "elsewhere").exists()
