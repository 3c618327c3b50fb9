from __future__ import annotations

import importlib.util
import os
import platform
import sys
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.bytecode.interpreters import ask, on_this_machine
from support.bundled import host_key
from support.handover import KEY

if TYPE_CHECKING:
    from pathlib import Path


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_this_one_tells_what_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    found = ask(sys.executable)
    assert found is not None
    assert found.magic == int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    assert found.tag == sys.implementation.cache_tag
    assert (found.version, found.about) == (platform.python_version(), sys.version)
    assert found.name == f"cpython-{found.version}"


@pytest.mark.parametrize("text", ["exit 1", "echo nonsense", "echo {}", "echo '[1]'", "exit 0"])
def test_what_is_no_interpreter(tmp_path: Path, text: str) -> None:
    assert ask(script(tmp_path / "bin" / "python3.13", text)) is None
    assert ask(tmp_path / "missing") is None


def test_the_running_one_comes_first_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"python{KEY.version.minor_text}"
    script(tmp_path / "broken" / name, "exit 3")
    script(tmp_path / "one" / name, f'exec "{sys.executable}" "$@"')
    folders = (".", tmp_path / "missing", tmp_path / "broken", tmp_path / "one")
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
    assert [each.path for each in on_this_machine(KEY)] == [sys.executable]


def test_others_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin" / "python3.98t", f'exec "{sys.executable}" "$@"')
    script(tmp_path / "bin" / "python3.98", "exit 1")
    script(tmp_path / "bin" / "python3.99", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", "")
    found = list(on_this_machine(host_key("3.98.1")))
    assert [each.about for each in found] == [sys.version]
    assert list(on_this_machine(host_key("3.97.1"))) == []
