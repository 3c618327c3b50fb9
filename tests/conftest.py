"""Fixtures for all tests: archives to work on, and surroundings that are nobody's real home."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from support.interpreters import Interpreter, packable_interpreters, running_interpreter
from support.pbs import make_pbs_archive
from support.require import require
from support.tiny import make_tiny_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How long one example takes says more about the machine than about the code; the first one of a
# fresh checkout has tables of characters to make. Where a change is judged the examples are the
# same each time, elsewhere they go on looking.
settings.register_profile(
    "kitbag",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=bool(os.environ.get("KITBAG_REQUIRE_ALL")),
)
settings.load_profile("kitbag")

# What the tests themselves read; everything else of kitbag's and uv's is taken away.
_KEPT = frozenset({"KITBAG_REQUIRE_ALL", "KITBAG_TEST_CACHE"})
_FOREIGN = frozenset(
    {
        *("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PYC_INVALIDATION_MODE", "PYTHONHOME"),
        *("PYTHONDONTWRITEBYTECODE", "SOURCE_DATE_EPOCH", "VIRTUAL_ENV"),
    }
)
_HOMES = itertools.count()


def _is_foreign(name: str) -> bool:
    return name in _FOREIGN or (name.startswith(("KITBAG_", "UV_")) and name not in _KEPT)


def _safe_environment(home: Path) -> dict[str, str]:
    """Return variables that keep kitbag, uv and pip inside `home` and off the network."""
    return {
        "HOME": str(home),
        "XDG_BIN_HOME": str(home / ".local" / "bin"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "UV_CACHE_DIR": str(home / ".cache" / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "SHELL": "/bin/sh",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the folder of the tests' homes, and one home for what a whole session shares."""
    folder = tmp_path_factory.mktemp("homes")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if _is_foreign(name):
                patch.delenv(name)
        (folder / "session").mkdir()
        for name, value in _safe_environment(folder / "session").items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(autouse=True)
def home(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test an empty home folder of its own; the real one is out of its reach.

    The umask that a test leaves behind would change what those after it see.
    """
    umask = os.umask(0o022)
    os.umask(umask)
    folder = _homes / str(next(_HOMES))
    folder.mkdir()
    for name, value in _safe_environment(folder).items():
        monkeypatch.setenv(name, value)
    yield folder
    left = os.umask(umask)
    assert left == umask, "the test changed the umask"


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    """The CPython that runs the tests (its base installation, not a virtual environment)."""
    return running_interpreter()


@pytest.fixture(scope="session")
def packable_interpreter() -> Interpreter:
    """The one that runs the tests if archives can be made of it, else the first one that can."""
    found = packable_interpreters((3, 9))
    require(found, "no CPython with a prefix of its own (not a distribution's) on this machine")
    return found[0]


@pytest.fixture(scope="session")
def pbs_archive(packable_interpreter: Interpreter) -> Path:
    """A full-size archive shaped like python-build-standalone's. Kept between runs: read only."""
    return make_pbs_archive(packable_interpreter)


@pytest.fixture(scope="session")
def slim_archive(packable_interpreter: Interpreter) -> Path:
    """The same with some 400 files: starts, and makes a virtual environment. Read only."""
    return make_pbs_archive(packable_interpreter, slim=True)


@pytest.fixture(scope="session")
def tiny_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some twenty files whose interpreter is a shell script. Read only."""
    return make_tiny_archive(tmp_path_factory.mktemp("tiny"))
