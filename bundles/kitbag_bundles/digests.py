"""Work on chunks of bytes on a second thread, while the first one reads the next.

``hashlib`` and ``zlib`` let go of the interpreter lock over large chunks, so two digests of the
same bytes cost hardly more time than one.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_WAITING = 2


class Buffers:
    """Buffers used in turn, enough of them for the chunks that one :class:`Beside` holds."""

    def __init__(self, size: int) -> None:
        # Those that wait, the one being worked on, the one being filled.
        self._views = [memoryview(bytearray(size)) for _ in range(_WAITING + 2)]

    def next(self) -> memoryview:
        """A buffer whose earlier bytes nobody needs any more."""
        self._views.append(self._views.pop(0))
        return self._views[-1]


class Beside(Generic[_T]):
    """Calls ``work`` with every item on a thread of its own, in order.

    A context manager; when it ends without an error, all items are done. An error of ``work`` is
    raised in :meth:`submit` or at the end.
    """

    def __init__(self, work: Callable[[_T], None]) -> None:
        self._work = work
        self._queue: queue.Queue[list[_T]] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Beside[_T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._queue.put([])
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def submit(self, item: _T) -> None:
        """Hand over ``item``; waits while too many are waiting already."""
        if self._error is not None:
            raise self._error
        self._queue.put([item])

    def _run(self) -> None:
        while batch := self._queue.get():
            if self._error is None:
                try:
                    self._work(batch[0])
                except BaseException as error:  # noqa: BLE001 - raised again by the first thread
                    self._error = error


def file_sha256(path: str) -> str:
    """SHA-256 of a file in hex; raises :class:`FileSystemError`."""
    import hashlib

    from kitbag_bundles.errors import FileSystemError

    digest = hashlib.sha256()
    view = memoryview(bytearray(1 << 20))
    try:
        with open(path, "rb", buffering=0) as stream:
            while count := stream.readinto(view):
                digest.update(view[:count])
    except OSError as error:
        raise FileSystemError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()
