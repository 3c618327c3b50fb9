import threading
import time
from collections.abc import Iterator

import pytest

from kitbag_bundles.archives.readahead import _DEPTH, Readahead


class Producer:
    """Counts what was asked of it, and tells whether it was closed."""

    def __init__(self, count: int = 10**9, error: BaseException | None = None) -> None:
        self.made = 0
        self.closed = False
        self._count = count
        self._error = error

    def run(self) -> Iterator[int]:
        try:
            for number in range(self._count):
                self.made += 1
                yield number
            if self._error:
                raise self._error
        finally:
            self.closed = True


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kitbag-readahead"]


@pytest.fixture(autouse=True)
def _no_thread_stays():
    assert not threads()
    yield
    assert not threads()


@pytest.mark.parametrize("count", [0, 1, _DEPTH - 1, _DEPTH, _DEPTH + 1, _DEPTH + 2, 500])
def test_everything_arrives_in_order(count):
    producer = Producer(count)
    assert list(Readahead(producer.run())) == list(range(count))
    assert producer.closed


def test_the_end_stays_the_end():
    items = Readahead(Producer(1).run())
    assert list(items) == [0]
    assert list(items) == []
    items.close()


def test_it_runs_ahead_but_not_far():
    producer = Producer()
    items = Readahead(producer.run())
    next(items)
    deadline = time.monotonic() + 10
    while producer.made < _DEPTH + 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.02)
    assert _DEPTH + 1 <= producer.made <= _DEPTH + 3
    items.close()
    assert producer.closed


@pytest.mark.parametrize("taken", [0, 1, 5, 2 * _DEPTH])
def test_it_can_be_closed_early_and_again(taken):
    producer = Producer()
    items = Readahead(producer.run())
    for _ in range(taken):
        next(items)
    items.close()
    items.close()
    assert producer.closed or not producer.made
    assert list(items) == []


def test_one_that_nobody_reads_costs_no_thread():
    Readahead(Producer().run())
    assert not threads()


def test_it_can_be_started_before_the_first_item_is_asked_for():
    producer = Producer()
    items = Readahead(producer.run())
    items.start()
    items.start()
    deadline = time.monotonic() + 10
    while not producer.made and time.monotonic() < deadline:
        time.sleep(0.005)
    assert producer.made
    assert len(threads()) == 1
    assert next(items) == 0
    items.close()


def test_items_may_be_errors_themselves():
    errors = [ValueError("an item"), StopIteration()]
    assert list(Readahead(error for error in errors)) == errors


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), MemoryError()])
def test_an_error_arrives_behind_what_came_before_it(error):
    items = Readahead(Producer(9, error).run())
    assert [next(items) for _ in range(9)] == list(range(9))
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error
    assert list(items) == []


def test_closing_while_the_producer_fails_is_no_error():
    items = Readahead(Producer(3, ValueError("bad")).run())
    next(items)
    items.close()
