import json
import os
from pathlib import Path

import pytest

from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny

OLD, NEW = host_key("3.13.5"), host_key("3.13.7")
LINE = NEW.minor_key


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("b") / "x.kitbag", "3.13.5", "3.13.7")


@pytest.fixture
def root(tmp_path, bundle):
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"))


def test_what_is_turned_is_told_and_until_when(capfd, root):
    done = run_kitbag(capfd, "rollback", "3.13", "--root", root.path)
    assert (done.status, done.out) == (0, f" ~ {LINE} (3.13.7 → 3.13.5)\n")
    assert done.err == (
        f"kitbag: {LINE} stays at 3.13.5, where a rollback turned it; "
        "kitbag rollback 3.13.7 turns it to 3.13.7\n"
    )
    assert os.readlink(root.minor_link(NEW)) == root.install_path(OLD)
    done = run_kitbag(capfd, "rollback", "3.13.5", "--root", root.path, "-q")
    assert done == (0, f"{LINE} is at 3.13.5 already\n", "")
    done = run_kitbag(capfd, "rollback", "3.13.7", "--root", root.path)
    assert done == (0, f" ~ {LINE} (3.13.5 → 3.13.7)\n", "")


def test_json(capfd, root):
    assert run_kitbag(capfd, "rollback", "3.13", "--root", root.path, "--json").json == {
        "root": root.path,
        "lines": [{"link": root.minor_link(NEW), "old": str(NEW), "new": str(OLD)}],
        "environments": [],
    }


def test_it_needs_a_request_and_something_older(capfd, root):
    done = run_kitbag(capfd, "rollback", "--root", root.path)
    assert done == (2, "", "kitbag: error: name what to roll back, such as 3.13\n")
    run_kitbag(capfd, "rollback", "3.13", "--root", root.path)
    done = run_kitbag(capfd, "rollback", "3.13", "--root", root.path)
    assert done.status == 4
    assert f"installed: {OLD}, {NEW}" in done.err
    assert run_kitbag(capfd, "rollback", "3.9", "--root", root.path).status == 4


def test_installed_and_install_tell_of_it(capfd, root, bundle):
    run_kitbag(capfd, "rollback", "3.13", "--root", root.path)
    out = run_kitbag(capfd, "installed", "--root", root.path).out
    assert [line.partition("  (")[2] for line in out.splitlines()] == [
        "in use; turned to by a rollback)",
        "",
    ]
    rows = run_kitbag(capfd, "installed", "--root", root.path, "--json").json["builds"]
    assert [(row["current"], row["pinned"]) for row in rows] == [(True, True), (False, False)]
    done = run_kitbag(capfd, "install", bundle, "--upgrade", "--root", root.path, "--no-bin")
    assert done.out == f"{NEW} is already installed in {root.path}\n"
    assert f"{LINE} stays at 3.13.5, where a rollback turned it; " in done.err


def test_damaged_pins_are_told(capfd, root):
    Path(root.own, "pins.json").write_text("{")
    done = run_kitbag(capfd, "rollback", "3.13", "--root", root.path, "-q")
    assert done.status == 0
    assert done.err.startswith(f"kitbag: warning: {root.own}/pins.json: damaged; ")
    assert json.loads(Path(root.own, "pins.json").read_text())[LINE]["patch"] == "3.13.5"
