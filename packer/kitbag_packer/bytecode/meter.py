"""One progress for work that goes on in several threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kitbag_bundles.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Progress


class Meter:
    """One progress for all builds, in bytes of source; for any thread."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = False

    def add(self, size: int) -> None:
        """``size`` more bytes are done; raises :class:`Interrupted` once all is to end."""
        with self._lock:
            if self._stopped:
                raise Interrupted("stopped")
            self._progress.advance(size)

    def stop(self) -> None:
        """Let whoever reports next end its work."""
        with self._lock:
            self._stopped = True

    def of(self, sizes: Sequence[int]) -> Progress:
        """A progress in files, for work on files of these sizes, in their order."""
        return _Files(self, sizes)


class _Files:
    def __init__(self, meter: Meter, sizes: Sequence[int]) -> None:
        self._meter = meter
        self._left = iter(sizes)

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, count: int) -> None:
        self._meter.add(sum(size for _, size in zip(range(count), self._left, strict=False)))
