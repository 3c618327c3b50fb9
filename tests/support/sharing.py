"""What is costly to make and read by many tests: made once in a test run, by whichever worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest


def shared(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return the folder `name` that all workers of this run see; `build(folder)` fills it once.

    Workers that want it at the same time wait for the one that makes it. If that fails, each tries
    anew, so that each reports the failure.
    """
    base = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    place = base / "shared" / name
    place.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = place / ".done"
        if not done.exists():
            build(place)
            done.touch()
    return place


@contextlib.contextmanager
def exclusively(folder: Path) -> Iterator[None]:
    """Keep the other workers of this run out of a shared folder that a test changes for a while."""
    with open(folder / ".in-use", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
