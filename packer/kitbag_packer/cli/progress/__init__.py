"""How the connected side shows what it does: bars, plain lines or JSON events, all on stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from kitbag_packer.reporting import PackerReporter


def reporter_for(options: argparse.Namespace) -> PackerReporter:
    """The reporter that suits ``--json``, ``--quiet`` and what stderr is."""
    quiet = bool(getattr(options, "quiet", False))
    if getattr(options, "json", False):
        from kitbag_packer.cli.progress.events import EventReporter

        return EventReporter(quiet=quiet)
    if quiet:
        from kitbag_packer.cli.progress.plain import QuietLineReporter

        return QuietLineReporter()
    if sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from kitbag_packer.cli.progress.screen import ScreenReporter

        return ScreenReporter()
    from kitbag_packer.cli.progress.plain import LineReporter

    return LineReporter()
