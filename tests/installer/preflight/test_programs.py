import os

import pytest

from kitbag_bundles.implementations import Program
from kitbag_installer.preflight.programs import lacking

NODE = Program("node", "Node.js", 18)
NEEDED = "it runs in Node.js 18 or newer, and "


def node(folder, script):
    (folder / "node").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "node").chmod(0o755)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_where_there_is_none(place):
    assert lacking(NODE) == f"{NEEDED}there is no node on PATH"
    (place / "node").mkdir()
    assert lacking(NODE) == f"{NEEDED}there is no node on PATH"


@pytest.mark.parametrize(
    ("script", "clause"),
    [
        ("echo v20.20.2", ""),
        ("echo v18.0.0", ""),
        ("echo 100.1", ""),
        ("echo v16.20.2", "{} is v16.20.2"),
        ("echo v9", "{} is v9"),
        ("echo hello", "{} does not tell its version"),
        ("echo v20.0.0; exit 3", "{} does not tell its version"),
        ("exit 0", "{} does not tell its version"),
        ("printf '\\377\\0'", "{} does not tell its version"),
    ],
)
def test_what_it_says(place, script, clause):
    node(place, script)
    expected = NEEDED + clause.format(place / "node") if clause else ""
    assert lacking(NODE) == expected


def test_one_that_does_not_start(place):
    (place / "node").write_bytes(b"\x7fELF no more")
    (place / "node").chmod(0o755)
    assert os.access(place / "node", os.X_OK)
    assert lacking(NODE) == f"{NEEDED}{place / 'node'} does not start"
