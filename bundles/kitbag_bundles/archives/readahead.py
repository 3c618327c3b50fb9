"""Runs a producer of chunks in a thread of its own, a bounded way ahead of the consumer.

Decompression and hashing let go of the interpreter's lock, so the consumer writes files on one
core while the next chunks are made on another. Memory is bounded by the depth of the queue.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

_DEPTH = 24
_END = object()


class _Failure:
    """An error on its way to the consumer, as an item."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Readahead:
    """An iterator over ``producer``'s items; :meth:`close` stops the producer early.

    The thread starts with :meth:`start` or with the first item that is asked for, so that an
    archive that nobody reads leaves none behind.
    """

    def __init__(self, producer: Generator[Any, None, None]) -> None:
        self._producer = producer
        self._queue: queue.Queue[Any] = queue.Queue(_DEPTH)
        self._stop = False
        self._done = False
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Readahead:
        return self

    def __next__(self) -> Any:
        if self._done:
            raise StopIteration
        thread = self.start()
        item = self._queue.get()
        if item is not _END and not isinstance(item, _Failure):
            return item
        self._done = True
        thread.join()
        if isinstance(item, _Failure):
            raise item.error
        raise StopIteration

    def start(self) -> threading.Thread:
        """Let the producer begin, if it has not."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="kitbag-readahead", daemon=True)
            self._thread.start()
        return self._thread

    def close(self) -> None:
        """Stop the producer and wait for its thread."""
        self._stop = True
        self._done = True
        while self._thread is not None and self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _run(self) -> None:
        last: Any = _END
        try:
            for item in self._producer:
                self._queue.put(item)
                if self._stop:
                    break
        except BaseException as error:  # noqa: BLE001  # handed to the consumer, whatever it is
            last = _Failure(error)
        finally:
            self._producer.close()
        self._queue.put(last)
