import os
import shutil
from pathlib import Path

import pytest

from kitbag_installer.inventory import list_installed
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny


@pytest.fixture
def root(tmp_path) -> Root:
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.4", "3.13.5")
    return install_tiny(bundle, tmp_path / "root")


def test_what_is_told_of_each_build(root):
    found = list_installed(root)
    assert [item.key for item in found] == [
        host_key("3.12.9"), host_key("3.13.4"), host_key("3.13.5")
    ]  # fmt: skip
    newest = found[2]
    assert newest.path == newest.home == root.install_path(newest.key)
    assert newest.executable == f"{newest.path}/bin/python3.13"
    assert (newest.release, newest.problem) == ("20260101", "")
    assert all(item.by_kitbag for item in found)


def test_the_current_one_is_where_the_minor_link_leads(root):
    assert [item.current for item in list_installed(root)] == [True, False, True]


def test_only_what_was_asked_for(root):
    assert [item.key for item in list_installed(root, [host_key("3.13.4")])] == [host_key("3.13.4")]


def test_builds_of_other_tools_are_listed(root):
    key = host_key("3.11.7")
    program = Path(root.install_path(key), "bin", "python3.11")
    program.parent.mkdir(parents=True)
    program.write_text("")
    (program.parents[1] / "BUILD").write_text("20250101")
    found = list_installed(root)[0]
    assert (found.key, found.by_kitbag, found.release) == (key, False, "20250101")
    assert found.problem == ""


@pytest.mark.parametrize(
    ("sentence", "build", "maker"),
    [
        ("This Python installation is managed by uv and should not be modified.", True, "uv"),
        ("This Python installation is managed by uv and should not be modified.", False, ""),
        ("This Python is managed by uvw.", True, ""),
        ("", True, ""),
    ],
)
def test_uv_is_told_apart_where_that_is_certain(root, sentence, build, maker):
    key = host_key("3.11.7")
    library = Path(root.install_path(key), "lib", "python3.11")
    library.mkdir(parents=True)
    if sentence:
        (library / "EXTERNALLY-MANAGED").write_text(f"[externally-managed]\nError={sentence}\n")
    if build:
        (library.parents[1] / "BUILD").write_text("20250101")
    makers = [item.maker for item in list_installed(root)]
    assert makers == [maker or "another tool", "kitbag", "kitbag", "kitbag"]


def test_what_is_wrong_at_first_sight_is_told(root, tmp_path):
    Path(root.install_path(host_key("3.12.9")), ".kitbag", "receipt.json").write_text("{")
    os.unlink(f"{root.install_path(host_key('3.13.4'))}/bin/python3.13")
    problems = [item.problem for item in list_installed(root)]
    assert "the receipt can't be read" in problems[0]
    assert problems[1] == "its interpreter is missing; install it again with --reinstall"
    assert problems[2] == ""
    moved = Root(str(tmp_path / "moved"))
    shutil.move(root.path, moved.path)
    assert list_installed(moved)[2].problem == (
        f"it was moved here from {root.install_path(host_key())}; run kitbag relocate"
    )


def test_a_root_that_is_not_there_has_nothing(tmp_path):
    assert list_installed(Root(str(tmp_path / "nothing"))) == []
