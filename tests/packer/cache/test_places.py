from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_packer.cache.places import default_cache_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tells where it is on Linux")


def place(monkeypatch, **variables: str) -> Path:
    for name in ("HOME", "XDG_CACHE_HOME", "KITBAG_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return default_cache_dir(variables)


def test_the_first_that_says_something_wins(monkeypatch):
    own, xdg, home = "/own", "/xdg", "/home/me"
    assert place(monkeypatch, HOME=home) == Path("/home/me/.cache/kitbag")
    assert place(monkeypatch, HOME=home, XDG_CACHE_HOME="") == Path("/home/me/.cache/kitbag")
    assert place(monkeypatch, HOME=home, XDG_CACHE_HOME=xdg) == Path("/xdg/kitbag")
    assert place(monkeypatch, XDG_CACHE_HOME=xdg) == Path("/xdg/kitbag")
    assert place(monkeypatch, HOME=home, XDG_CACHE_HOME=xdg, KITBAG_CACHE_DIR=own) == Path("/own")
    assert place(monkeypatch, HOME=home, KITBAG_CACHE_DIR="~/c") == Path("/home/me/c")


def test_a_relative_one_is_made_absolute_and_links_stay(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("elsewhere")
    assert place(monkeypatch, KITBAG_CACHE_DIR="link/c") == tmp_path / "link" / "c"


def test_without_a_home_it_says_what_to_do(monkeypatch):
    with pytest.raises(UsageError, match="--cache-dir"):
        place(monkeypatch)
    with pytest.raises(UsageError, match="KITBAG_CACHE_DIR"):
        place(monkeypatch, HOME="", KITBAG_CACHE_DIR="")
