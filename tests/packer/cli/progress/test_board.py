import threading
import time

from kitbag_packer.cli.progress.board import Board, State


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Ears:
    def __init__(self) -> None:
        self.heard = []

    def told(self, event, status):
        self.heard.append((event, status))


def board(count, period=None):
    clock, ears = Clock(), Ears()
    return Board(count, ears, clock, period), clock, ears


def test_seven_hours_at_1_kb_per_second():
    """27.7 MB over the slow link, with a break in every hour."""
    subject, clock, ears = board(1)
    item = subject.track("key", 27_700_000)
    item.begin(27_700_000, 2_500_000)
    for second in range(1, 25_200 + 1):
        clock.now += 1
        item.advance(1000)
        if second % 3600 == 0:
            item.pause("connection reset", 60, 1)
            clock.now += 60
            item.begin(27_700_000, 2_500_000 + second * 1000)
        if second % 500 == 0:
            (status,) = subject.look().each
            assert 950 <= status.rate <= 1050
            assert abs(status.left - (25_200 - second)) < 0.06 * (25_200 - second) + 5
    item.finish()
    (status,) = subject.look().each
    assert (status.state, status.done, status.total) == (State.FINISHED, 27_700_000, 27_700_000)
    assert status.fetched == 25_200_000
    assert status.elapsed == 25_200 + 7 * 60
    assert [event for event, _ in ears.heard].count("paused") == 7


def test_the_whole():
    subject, clock, _ = board(4)
    known, unknown, failing = (
        subject.track(name, size) for name, size in (("a", 1000), ("b", None), ("c", 9000))
    )
    assert not subject.look().surely
    known.begin(1000, 400)
    unknown.begin(None, 0)
    failing.begin(9000, 0)
    failing.advance(100)
    failing.fail("HTTP 404")
    clock.now = 10.0
    known.advance(500)
    unknown.advance(50)
    view = subject.look()
    # What failed is not waited for; a size that nobody knows leaves the time left unknown.
    assert (view.whole.done, view.whole.total, view.whole.left) == (950, 1050, None)
    assert (view.count, view.finished, view.failed, view.open) == (4, 0, 1, 3)
    assert view.whole.fetched == 650
    assert view.whole.rate == 65
    unknown.finish()
    subject.track("d", 100).finish()  # was there already
    view = subject.look()
    assert view.surely
    assert (view.whole.done, view.whole.total, view.finished) == (1050, 1150, 2)
    assert view.whole.left is not None


def test_a_size_that_turns_out_wrong():
    subject, _, _ = board(1)
    item = subject.track("a", 10)
    item.begin(None, 0)
    assert subject.look().each[0].total == 10
    item.advance(15)
    view = subject.look()
    assert (view.each[0].left, view.surely) == (None, False)
    item.begin(20, 0)  # the file changed: from the start
    assert (subject.look().each[0].done, subject.look().each[0].total) == (0, 20)


def test_progress_is_told_once_in_a_period():
    subject, clock, ears = board(1, period=1.0)
    item = subject.track("a", 10**6)
    item.begin(10**6, 0)
    for _ in range(1000):
        clock.now += 0.01
        item.advance(10)
    assert 9 <= [event for event, _ in ears.heard].count("progress") <= 10


def test_a_listener_that_fails_does_not_end_a_download():
    class Broken:
        def told(self, event, status):
            raise ZeroDivisionError

    item = Board(1, Broken(), Clock(), 0.0).track("a", 1)
    item.begin(1, 0)
    item.advance(1)
    item.pause("x", 1, 1)
    item.fail("x")
    item.finish()


def test_threads_lose_nothing():
    ears = Ears()
    subject = Board(8, ears, time.monotonic, 0.01)

    def fetch(number):
        item = subject.track(str(number), 20_000)
        item.begin(20_000, 0)
        for step in range(2000):
            item.advance(10)
            if step % 500 == 499:
                item.pause("reset", 0, 1)
                item.begin(20_000, (step + 1) * 10)
        item.finish()

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        view = subject.look()
        assert view.whole.done <= 160_000
    view = subject.look()
    assert (view.whole.done, view.whole.fetched, view.finished) == (160_000, 160_000, 8)
