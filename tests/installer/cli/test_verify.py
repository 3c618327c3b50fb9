import json
import os
import shutil
from pathlib import Path

import pytest

from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny
from support.tinyapp import App, make_bundles

KEY = host_key()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.12.9", "3.13.5")


@pytest.fixture
def root(bundle, tmp_path):
    return install_tiny(bundle, tmp_path / "root")


def test_a_sound_bundle(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "verify", bundle, "--report", tmp_path / "report.json")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{bundle}: sound; ")
    assert done.out.endswith(", 2 builds\n")
    found = run_kitbag(capfd, "verify", bundle, "--json").json
    assert json.loads((tmp_path / "report.json").read_text()) == found
    assert found["sound"] is True
    assert found["size"] == bundle.stat().st_size
    assert found["builds"] == [str(host_key("3.12.9")), str(KEY)]
    assert {member["name"] for member in found["members"]} > {"manifest.toml", "SHA256SUMS"}


def test_one_bit_is_enough(capfd, bundle, tmp_path):
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "y").write_bytes(data)
    done = run_kitbag(capfd, "verify", tmp_path / "y", "--json")
    assert done.status == 3
    assert "copy it again" in done.json["error"]["message"]


def test_it_is_one_bundle_or_a_root(capfd):
    done = run_kitbag(capfd, "verify", "a", "b")
    assert done.status == 2
    assert done.err == "kitbag: error: name one bundle to verify, or a root with --root DIR\n"


def test_with_nothing_named_it_is_the_root_that_others_take(capfd, root, monkeypatch, home):
    done = run_kitbag(capfd, "verify")
    assert done == (0, f"nothing is installed in {home}/.local/share/kitbag/python\n", "")
    monkeypatch.setenv("KITBAG_ROOT", root.path)
    assert run_kitbag(capfd, "verify").out.count(": sound; ") == 2


def test_sound_builds(capfd, root):
    done = run_kitbag(capfd, "verify", "--root", root.path)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{host_key('3.12.9')}: sound; 19 files",
        f"{KEY}: sound; 19 files",
    ]
    Path(root.install_path(KEY), "own").write_text("")
    done = run_kitbag(capfd, "verify", "--root", root.path, "3.13")
    assert done.out == f"{KEY}: sound; 19 files, 1 added since\n"


def test_what_is_wrong_is_listed_and_is_the_status(capfd, root, tmp_path):
    place = Path(root.install_path(KEY))
    (place / "lib/python3.13/os.py").write_text("other")
    shutil.rmtree(place / "share")
    report = tmp_path / "report.json"
    done = run_kitbag(capfd, "verify", "--root", root.path, "--report", report)
    assert done.status == 3
    assert f"{KEY}: not as it was installed\n" in done.out
    assert "  changed  lib/python3.13/os.py\n" in done.out
    assert "  missing  share/terminfo/p/p4\n" in done.out
    found = run_kitbag(capfd, "verify", "--root", root.path, "--json").json
    assert json.loads(report.read_text()) == found
    assert found["sound"] is False
    assert [build["sound"] for build in found["builds"]] == [True, False]
    assert found["builds"][1]["changed"] == ["lib/python3.13/os.py"]


def test_long_lists_are_cut_short_for_people(capfd, root, monkeypatch):
    place = Path(root.install_path(KEY))
    for path in sorted(place.rglob("*")):
        if path.is_file() and not path.is_symlink() and ".kitbag" not in path.parts:
            path.chmod(0o755 if not os.access(path, os.X_OK) else 0o644)
    monkeypatch.setattr("kitbag_installer.cli.verify._SHOWN", 5)
    done = run_kitbag(capfd, "verify", "--root", root.path, "3.13")
    assert done.out.count("  changed  ") == 6
    assert "  changed  and 12 more; --json tells all\n" in done.out


def test_a_root_without_builds(capfd, tmp_path):
    done = run_kitbag(capfd, "verify", "--root", tmp_path / "r")
    assert (done.status, done.out) == (4, "")
    assert f"there is no root at {tmp_path}/r; name the one" in done.err
    (tmp_path / "r").mkdir()
    done = run_kitbag(capfd, "verify", "--root", tmp_path / "r")
    assert done == (0, f"nothing is installed in {tmp_path}/r\n", "")
    assert run_kitbag(capfd, "verify", "--root", tmp_path / "r", "3.13").status == 4


def test_names_of_environments_need_no_root(capfd, tmp_path, monkeypatch):
    app = App(tmp_path / "place")
    app.install(make_bundles(tmp_path).first)
    monkeypatch.setenv("KITBAG_ROOT", app.root.path)
    monkeypatch.chdir(tmp_path)
    done = run_kitbag(capfd, "verify", "app")
    assert (done.status, done.out.startswith("app: sound; ")) == (0, True)
    (app.site / "app.py").unlink()
    found = run_kitbag(capfd, "verify", "app", "--json").json
    assert (found["builds"], found["sound"]) == ([], False)
    assert found["environments"][0]["missing"] == ["lib/python3.13/site-packages/app.py"]
    (tmp_path / "app").touch()
    # A file of that name is what is checked then.
    assert "/app is not a kitbag bundle" in run_kitbag(capfd, "verify", "app").err
