"""The interpreter of an environment, started once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import SmokeTestFailed
from kitbag_installer.environments import smoke

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_what_it_left_running_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(smoke, "_TIMEOUT", 0.2)
    begun = time.monotonic()
    with (
        pytest.raises(SmokeTestFailed, match=r"app: its interpreter did not answer"),
        smoke.Started("app", program(tmp_path, "sleep 5 & wait")) as started,
    ):
        started.check(str(tmp_path), str(tmp_path))
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo oops >&2; exit 3", r"does not run \(oops\)"),
        ("exit 3", r"does not run \(status 3\)"),
        (r"printf '/x\000/y'", "takes '/x' for"),
    ],
)
def test_what_is_no_interpreter_of_it_is_told(tmp_path, text, said):
    with (
        pytest.raises(SmokeTestFailed, match=f"app: its interpreter {said}"),
        smoke.Started("app", program(tmp_path, text)) as started,
    ):
        started.check(str(tmp_path), str(tmp_path))


def test_what_can_not_be_started_is_told(tmp_path):
    with pytest.raises(SmokeTestFailed, match="can't be started"):
        smoke.Started("app", str(tmp_path / "nothing"))
