"""What downloads tell while they go on; how it is shown is not their business."""

from __future__ import annotations

from typing import Protocol


class Track(Protocol):
    """One download, as its watcher sees it. Methods are called from the thread that fetches."""

    def begin(self, total: int | None, done: int) -> None:
        """Bytes flow from now on: ``done`` of ``total`` are there already.

        Called again after every interruption; ``total`` is ``None`` while nobody knows it.
        """
        ...

    def advance(self, count: int) -> None:
        """``count`` more bytes arrived."""
        ...

    def pause(self, reason: str, seconds: float, attempt: int) -> None:
        """The link failed because of ``reason``; the next try comes in ``seconds``.

        ``attempt`` counts the tries since the last byte of progress, from 1.
        """
        ...

    def finish(self) -> None:
        """It is there and it is right."""
        ...

    def fail(self, reason: str) -> None:
        """It was given up."""
        ...


class Watcher(Protocol):
    """All downloads of one command; a context manager around them."""

    def __enter__(self) -> Watcher:
        """Begin."""
        ...

    def __exit__(self, *exc: object) -> None:
        """End, whatever happened."""
        ...

    def track(self, label: str, total: int | None) -> Track:
        """Announce a download of ``total`` bytes; it may wait for its turn before it begins."""
        ...


class _SilentTrack:
    def begin(self, total: int | None, done: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def pause(self, reason: str, seconds: float, attempt: int) -> None:
        pass

    def finish(self) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


class SilentWatcher:
    """Shows nothing."""

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def track(self, label: str, total: int | None) -> Track:
        """A track that drops everything."""
        return _SilentTrack()
