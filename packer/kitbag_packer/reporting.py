"""The packer's reporter: what :mod:`kitbag_bundles.reporting` has, and a watcher of downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kitbag_bundles.reporting import Reporter, SilentReporter

if TYPE_CHECKING:
    from kitbag_packer.downloads.watching import Watcher

__all__ = ["PackerReporter", "QuietReporter", "Reporter"]


class PackerReporter(Reporter, Protocol):
    """The sink for messages and progress of the connected side."""

    def downloads(self, count: int) -> Watcher:
        """A watcher for ``count`` downloads."""
        ...


class QuietReporter(SilentReporter):
    """Says nothing."""

    def downloads(self, count: int) -> Watcher:
        """Show nothing."""
        from kitbag_packer.downloads.watching import SilentWatcher

        return SilentWatcher()
