"""What the core tells its caller while it works; how it is shown is not the core's business."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """One piece of long work, measured in bytes; used as a context manager."""

    def __enter__(self) -> Progress:
        """Begin."""
        ...

    def __exit__(self, *exc: object) -> None:
        """End, whatever happened."""
        ...

    def advance(self, count: int) -> None:
        """Say that ``count`` more bytes are done."""
        ...


class Reporter(Protocol):
    """The sink for messages and progress."""

    def info(self, message: str) -> None:
        """Tell of a step that a person may like to see."""
        ...

    def warn(self, message: str) -> None:
        """Tell of something that did not stop the work but deserves a look."""
        ...

    def progress(self, label: str, total: int) -> Progress:
        """Start a piece of work of ``total`` bytes."""
        ...


class _SilentProgress:
    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, count: int) -> None:
        pass


class SilentReporter:
    """Says nothing."""

    def info(self, message: str) -> None:
        """Drop the message."""

    def warn(self, message: str) -> None:
        """Drop the message."""

    def progress(self, label: str, total: int) -> Progress:
        """Count nothing."""
        return _SilentProgress()
