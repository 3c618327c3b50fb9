"""CPython's own regression tests of what an install decides, on a tree that was packed and moved.

Each test that passes with the installation that was packed has to pass with what kitbag made of
it: packed with its tests, installed from the bundle, moved elsewhere and relocated.

One thing is known to differ. Where libpython is a library of its own, the interpreter finds it
beside itself, as python-build-standalone's did until May 2025; so a *copy* of the interpreter
(``venv --copies``) does not, and ``test_venv`` is told where it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from support.interpreters import packable_interpreters
from support.journey import kitbag, only_build
from support.require import require

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Interpreter

TESTS = (
    "test_sysconfig",
    "test_venv",
    "test_site",
    "test_ensurepip",
    "test_zipimport",
    "test_compileall",
    "test_py_compile",
    "test_distutils",
)


def _suite(interpreter: Path, tests: list[str], folder: Path, **variables: str) -> dict[str, str]:
    """Run regression tests; returns ``passed``, ``skipped`` or ``failed`` by the test's name."""
    folder.mkdir()
    report = folder / "report.xml"
    log = folder / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        **variables,
    }
    with log.open("wb") as output:
        subprocess.run(
            [interpreter, "-m", "test", "-j2", "--timeout=240", f"--junit-xml={report}", *tests],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            timeout=280,
            check=False,
        )
    assert report.exists(), log.read_text(errors="replace")[-4000:]
    outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # our own children wrote it
        outcome = "passed"
        if case.find("skipped") is not None or case.get("status") == "notrun":
            outcome = "skipped"
        elif case.find("failure") is not None or case.find("error") is not None:
            outcome = "failed"
        outcomes[case.get("name", "")] = outcome
    return outcomes


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("interpreter", packable_interpreters(), ids=lambda one: one.full_version)
def test_what_passes_at_the_source_passes_after_the_move(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    tests = [name for name in TESTS if _has(interpreter.stdlib / "test", name)]
    require(len(tests) >= 5, f"the regression tests of CPython {interpreter.full_version}")
    bundle = tmp_path / "tested.kitbag"
    kitbag("pack", "--from", interpreter.path, "--with-tests", "-o", bundle)
    kitbag("install", bundle, "--root", tmp_path / "first", "--no-bin")
    (tmp_path / "first").rename(tmp_path / "moved")
    kitbag("relocate", "--root", tmp_path / "moved")
    tree = only_build(tmp_path / "moved")

    plain = [name for name in tests if name not in ("test_venv", "test_distutils")]
    there = _suite(interpreter.path, [*plain, "test_venv"], tmp_path / "there")
    here = _suite(tree.python, plain, tmp_path / "here")
    where = {"LD_LIBRARY_PATH": str(tree.home / "lib")} if interpreter.shared else {}
    here |= _suite(tree.python, ["test_venv"], tmp_path / "venv", **where)
    if "test_distutils" in tests:
        bare = {"PYTHONPATH": str(_without_docutils(tmp_path / "bare"))}
        there |= _suite(interpreter.path, ["test_distutils"], tmp_path / "there-distutils", **bare)
        here |= _suite(tree.python, ["test_distutils"], tmp_path / "distutils", **bare)
    worse = {
        name: here.get(name, "missing")
        for name, outcome in there.items()
        if outcome == "passed" and here.get(name) != "passed"
    }
    assert not worse
    assert sum(outcome == "passed" for outcome in here.values()) > 150
    shutil.rmtree(tmp_path / "moved")


def _without_docutils(folder: Path) -> Path:
    """What keeps an installed docutils, which only one of the two may have, from being used."""
    folder.mkdir()
    (folder / "docutils.py").write_text("raise ImportError\n", encoding="ascii")
    return folder


def _has(folder: Path, test: str) -> bool:
    return (folder / f"{test}.py").exists() or (folder / test / "__init__.py").exists()
