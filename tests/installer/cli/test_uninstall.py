import os

import pytest

from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny

KEY, OLDER = host_key(), host_key("3.12.9")


@pytest.fixture
def root(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5")
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"))


def test_what_is_removed_is_told(capfd, root, tmp_path):
    assert run_kitbag(capfd, "uninstall", "3.12", "--root", root.path) == (0, f" - {OLDER}\n", "")
    assert sorted(os.listdir(tmp_path / "bin")) == ["kitbag", "python3.13"]


def test_json(capfd, root, tmp_path):
    found = run_kitbag(capfd, "uninstall", "--all", "--root", root.path, "--json").json
    assert found == {
        "root": root.path,
        "removed": [str(OLDER), str(KEY)],
        "removed-environments": [],
        "removed-links": [f"{tmp_path}/bin/python3.12", f"{tmp_path}/bin/python3.13"],
        "left": [],
    }
    assert not (tmp_path / "bin").exists()


@pytest.mark.parametrize("words", [(), ("3.12", "--all")])
def test_everything_goes_only_if_that_is_said(capfd, root, words):
    done = run_kitbag(capfd, "uninstall", *words, "--root", root.path)
    assert done == (2, "", "kitbag: error: name the builds to remove, or say --all\n")
    assert len(list(root.builds())) == 2


def test_what_other_tools_have_is_told(capfd, root):
    other = host_key("3.11.7")
    os.makedirs(root.install_path(other))
    found = run_kitbag(capfd, "uninstall", "--all", "--root", root.path, "--json").json
    assert (found["removed"], found["left"]) == ([str(OLDER), str(KEY)], [str(other)])
    done = run_kitbag(capfd, "uninstall", "--all", "--root", root.path)
    assert done == (
        0,
        f"kitbag has installed nothing in {root.path}; other tools have 1 there\n",
        "",
    )
    done = run_kitbag(capfd, "uninstall", "3.11", "--root", root.path)
    assert done.status == 4
    assert "was installed by another tool; name its full key" in done.err


def test_uvs_bin_directory_is_looked_through_too(capfd, root, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_PYTHON_BIN_DIR", str(tmp_path / "of-uv"))
    (tmp_path / "of-uv").mkdir()
    link = tmp_path / "of-uv" / "python3.12"
    link.symlink_to(f"{root.minor_link(OLDER)}/bin/python3.12")
    assert run_kitbag(capfd, "uninstall", "3.12", "--root", root.path).status == 0
    assert not link.is_symlink()


def test_nothing_to_remove(capfd, tmp_path, root):
    assert run_kitbag(capfd, "uninstall", "3.9", "--root", root.path).status == 4
    done = run_kitbag(capfd, "uninstall", "--all", "--root", tmp_path / "nothing")
    assert done == (0, f"nothing is installed in {tmp_path}/nothing\n", "")
    assert run_kitbag(capfd, "uninstall", "3.12", "--root", tmp_path / "nothing").status == 4
