"""Fixtures for the tests of downloads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache import Cache
from support.downloading import CERTIFICATES, PROXIES, Fetching, Notes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", SilentReporter())


@pytest.fixture
def fetching(cache: Cache) -> Iterator[Fetching]:
    made = Fetching(cache, Notes())
    yield made
    assert made.notes.open == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("download-")]


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies and no certificates of this machine's user."""
    for name in (*PROXIES, *CERTIFICATES, "NETRC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
