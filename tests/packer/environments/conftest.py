"""Fixtures for the tests of environments: a bounded environment in which the real uv works."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache import Cache
from support.downloading import CERTIFICATES, PROXIES, Fetching, Notes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables of nobody: no index but those that a test names, a cache of its own."""
    home = tmp_path / "nobody"
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "XDG_CONFIG_DIRS": str(home / "xdg"),
        "UV_CACHE_DIR": str(home / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_HTTP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }


@pytest.fixture
def fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetching:
    """The downloader, without proxies and certificates of this machine's user."""
    for name in (*PROXIES, *CERTIFICATES, "NETRC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return Fetching(Cache(tmp_path / "cache", SilentReporter()), Notes())
