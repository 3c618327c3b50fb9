"""Installs the tiny builds of a bundle by calling the installer itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import this_host
from kitbag_installer.installation import InstallOptions, install_builds
from kitbag_installer.roots import Root

if TYPE_CHECKING:
    from pathlib import Path


def install_tiny(bundle: Path, place: Path, *requests: str, **options: object) -> Root:
    """Install what ``requests`` name (or all) from ``bundle`` in a root at ``place``."""
    root = Root(str(place))
    with Bundle.open(bundle) as opened:
        done = install_builds(
            opened,
            root,
            parse_requests(requests),
            this_host(),
            InstallOptions(**options),  # type: ignore[arg-type]
            SilentReporter(),
        )
    assert not done.failures, done.failures[0].error
    return root
