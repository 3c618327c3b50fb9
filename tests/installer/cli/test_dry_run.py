import os
from pathlib import Path

import pytest

from kitbag_installer.hosts import this_host
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.snapshots import snapshot

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY, OTHER = host_key(), host_key("3.12.9")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.12.9", "3.13.5")


def test_the_plan_for_people(capfd, bundle, tmp_path):
    words = ("install", bundle, "--root", tmp_path / "r", "--bin-dir", tmp_path / "b", "--default")
    assert run_kitbag(capfd, *words, "3.12", "-q").status == 0
    before = snapshot(tmp_path)
    done = run_kitbag(capfd, *words, "--dry-run")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{OTHER} is already installed in {tmp_path}/r"
    assert lines[1].startswith("Would install 1 build (")
    assert lines[1].endswith(f") into {tmp_path}/r")
    assert lines[2].startswith(f" + {KEY} (")
    assert lines[3] == f"Names in {tmp_path}/b: python3.12, python3, python, python3.13, kitbag"
    assert lines[4].startswith("Space: ")
    assert f" free ({tmp_path}/r, " in lines[4]
    assert lines[5].startswith("Inodes: ")
    done = run_kitbag(capfd, *words, "3.12", "--dry-run")
    assert done.out.splitlines()[1:] == [
        f"Names in {tmp_path}/b: python3.12, python3, python, kitbag"
    ]
    assert f" ~ {OTHER} (" in run_kitbag(capfd, *words, "--dry-run", "--reinstall").out
    assert snapshot(tmp_path) == before


def test_the_plan_as_json_is_what_the_install_then_says(capfd, bundle, tmp_path):
    words = ("install", bundle, "3.13", "--root", tmp_path / "r", "--bin-dir", tmp_path / "b")
    planned = run_kitbag(capfd, *words, "--dry-run", "--json").json
    assert os.listdir(tmp_path) == []
    done = run_kitbag(capfd, *words, "--json").json
    same = ("links", "minor-links", "turned-links", "pruned", "refused-names", "kitbag")
    for name in ("root", *same):
        assert planned.pop(name) == done[name]
    (build,) = planned.pop("builds")
    assert build.pop("action") == "install"
    assert build.items() <= done["builds"][0].items()
    preflight = planned.pop("preflight")
    assert planned.pop("environments") == done["environments"] == []
    assert planned == {"dry-run": True}
    assert preflight["space"]["needed"] > build["size"]
    assert preflight["inodes"]["needed"] > build["files"]
    assert preflight["directory"] == str(tmp_path)
    assert (preflight["works"], preflight["points"]) == (True, [])


def test_what_is_in_the_way(capfd, bundle, tmp_path):
    (tmp_path / "file").write_text("")
    words = ("install", bundle, "--root", tmp_path / "file", "--bin-dir", tmp_path / "file" / "b")
    cure = "name another with --bin-dir, or say --no-bin"
    messages = [
        f"{tmp_path}/file: not a directory; choose another root with --root",
        f"{tmp_path}/file/b: can't make links there ({tmp_path}/file is not a directory); {cure}",
    ]
    for more in ((), ("--dry-run",), ("--dry-run", "--json")):
        done = run_kitbag(capfd, *words, *more)
        assert done.status == 5
        *warnings, error = done.err.splitlines()
        assert warnings == [f"kitbag: warning: {message}" for message in messages]
        assert error.startswith(f"kitbag: error: {tmp_path}/file: 2 things are in the way, see")
    points = [
        {"code": "occupied", "message": messages[0], "advice": False},
        {"code": "bin-dir", "message": messages[1], "advice": True},
    ]
    assert done.json["preflight"]["points"] == points
    assert not done.json["preflight"]["works"]
    assert run_kitbag(capfd, *words, "--json").json["error"]["points"] == points


def test_force_overrides_advice_in_a_plan_too(capfd, bundle, tmp_path):
    (tmp_path / "bin").write_text("")
    words = ("install", bundle, "--root", tmp_path / "r", "--bin-dir", tmp_path / "bin")
    done = run_kitbag(capfd, *words, "--dry-run")
    assert done.status == 5
    assert done.err.endswith("say --no-bin; --force tries it all the same\n")
    done = run_kitbag(capfd, *words, "--dry-run", "--force", "--json")
    assert (done.status, done.json["preflight"]["works"]) == (0, True)
    assert done.err.startswith(f"kitbag: warning: {tmp_path}/bin: can't make links there")


def test_names_that_are_taken_and_builds_that_do_not_fit(capfd, bundle, tmp_path):
    (tmp_path / "python3.13").write_text("theirs")
    words = ("install", bundle, "3.13", "--root", tmp_path / "r", "--bin-dir", tmp_path)
    done = run_kitbag(capfd, *words, "--dry-run")
    assert done.status == 0
    assert f"left alone: {tmp_path}/python3.13; --force replaces them" in done.err
    foreign = tmp_path / "foreign.kitbag"
    arch = "aarch64" if this_host().arch != "aarch64" else "s390x"
    from support import crafting

    build = crafting.tiny_build(
        tmp_path, "3.13.5", f"cpython-3.13.5-linux-{arch}-gnu", target=f"{arch}-unknown-linux-gnu"
    )
    crafting.write(foreign, build)
    done = run_kitbag(capfd, "install", foreign, "--dry-run", "--json", "--root", tmp_path / "r")
    assert (done.status, done.json["builds"]) == (5, [])
    assert [point["code"] for point in done.json["preflight"]["points"]] == ["target"]
    assert not (tmp_path / "r").exists()


def test_a_report_of_nothing_makes_no_sense(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "install", bundle, "--dry-run", "--report", tmp_path / "x")
    assert done.status == 2
    assert os.listdir(tmp_path) == []


def test_an_upgrade_is_told_as_it_then_goes(capfd, bundle, tmp_path):
    """A newer patch, a newer release, a line that is up to date; and the old patches go."""
    newer = tiny_bundle(tmp_path / "n.kitbag", "3.12.9@20260202", "3.13.7", "3.11.4")
    words = ("--root", tmp_path / "r", "--bin-dir", tmp_path / "b", "-q")
    run_kitbag(capfd, "install", tiny_bundle(tmp_path / "o.kitbag", "3.11.4"), *words)
    run_kitbag(capfd, "install", bundle, *words)
    words = ("install", newer, "--upgrade", "--prune", *words)
    before = snapshot(tmp_path / "r")
    planned = run_kitbag(capfd, *words, "--dry-run").out.splitlines()
    table = run_kitbag(capfd, *words, "--dry-run", "--json").json
    assert snapshot(tmp_path / "r") == before
    told = run_kitbag(capfd, *words).out.splitlines()
    old, new = KEY, host_key("3.13.7")
    assert told[0] == planned[0] == f"{host_key('3.11.4')} is already installed in {tmp_path}/r"
    assert told[1].startswith("Installed 2 builds (")
    assert told[2:] == [
        f" ~ {OTHER} (release 20260101 → 20260202, python3.12)",
        f" + {new} (python3.13)",
        f" ~ {KEY.minor_key} (3.13.5 → 3.13.7)",
        f" - {old}",
    ]
    assert planned[2].startswith(f" ~ {OTHER} (release 20260101 → 20260202, ")
    assert planned[3].startswith(f" + {new} (")
    assert planned[4:6] == told[4:6]
    assert [build["action"] for build in table["builds"]] == ["present", "upgrade", "install"]
    assert table["pruned"] == [str(old)]
    assert list(table["turned-links"].values()) == [f"{tmp_path}/r/{old}"]


def test_what_a_person_added_keeps_a_release_from_being_replaced(capfd, tmp_path, bundle):
    words = ("--root", tmp_path / "r", "--no-bin")
    run_kitbag(capfd, "install", bundle, "3.13", *words)
    site = tmp_path / "r" / str(KEY) / "lib" / "python3.13" / "site-packages"
    (site / "mine.py").write_text("")
    newer = tiny_bundle(tmp_path / "n.kitbag", "3.13.5@20260202")
    before = snapshot(tmp_path / "r")
    for more in (("--dry-run",), (), ("--force",)):
        done = run_kitbag(capfd, "install", newer, "--upgrade", *words, *more)
        assert done.status == 5
        assert "site-packages/mine.py" in done.err
    assert snapshot(tmp_path / "r") == before
    done = run_kitbag(capfd, "install", newer, "--upgrade", "--reinstall", *words)
    assert done.status == 0
    assert not (site / "mine.py").exists()
