"""What a test needs from the machine: without it the test is skipped, or fails on request.

``KITBAG_REQUIRE_ALL=1`` turns every skip into a failure, so that a machine which should have
everything cannot quietly test less.
"""

from __future__ import annotations

import os
import shutil

import pytest


def require(condition: object, reason: str) -> None:
    """Go on if ``condition`` is true; otherwise skip the test, or fail it."""
    if condition:
        return
    if os.environ.get("KITBAG_REQUIRE_ALL") == "1":
        pytest.fail(f"KITBAG_REQUIRE_ALL=1, but this machine lacks: {reason}")
    pytest.skip(reason)


def require_command(name: str) -> str:
    """The full path of an external command."""
    path = shutil.which(name)
    require(path, f"needs the command {name!r}")
    assert path is not None
    return path
