import os
from pathlib import Path

import pytest

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.removal import uninstall_builds
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny


@pytest.fixture
def root(tmp_path) -> Root:
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.4", "3.13.5")
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"), default=True)


def uninstall(root: Root, *requests: str) -> tuple[list[BuildKey], list[str]]:
    keys, links = uninstall_builds(root, parse_requests(requests), SilentReporter())
    return list(keys), sorted(map(os.path.basename, links))


def test_a_build_goes_with_its_names(root, tmp_path):
    assert uninstall(root, "3.12") == ([host_key("3.12.9")], ["python3.12"])
    assert list(root.builds()) == [host_key("3.13.4"), host_key("3.13.5")]
    assert sorted(os.listdir(tmp_path / "bin")) == ["kitbag", "python", "python3", "python3.13"]
    assert not os.path.lexists(root.minor_link(host_key("3.12.9")))
    assert os.listdir(root.temp) == []


def test_the_next_patch_takes_over(root, tmp_path):
    assert uninstall(root, "3.13.5") == ([host_key("3.13.5")], [])
    place = root.install_path(host_key("3.13.4"))
    assert os.path.realpath(tmp_path / "bin" / "python3.13") == f"{place}/bin/python3.13"
    assert os.readlink(root.minor_link(host_key())) == place


def test_with_the_last_one_kitbag_goes_too(root, tmp_path):
    keys, links = uninstall(root)
    assert len(keys) == 3
    assert links == ["python", "python3", "python3.12", "python3.13"]
    assert os.listdir(tmp_path / "bin") == []
    assert sorted(os.listdir(root.path)) == [".gitignore", ".lock", ".temp"]


def test_other_peoples_files_stay(root, tmp_path):
    (tmp_path / "bin" / "own").write_text("own")
    (tmp_path / "bin" / "other").symlink_to("/nothing/of/ours")
    (Path(root.path) / "notes").mkdir()
    uninstall(root)
    assert sorted(os.listdir(tmp_path / "bin")) == ["other", "own"]
    assert os.path.isdir(f"{root.path}/notes")


def test_a_build_of_another_tool_can_be_removed_by_name(root):
    foreign = host_key("3.11.7")
    os.makedirs(root.install_path(foreign))
    assert uninstall(root, "3.11") == ([foreign], [])


def test_latest_is_one_build_and_not_all(root):
    assert uninstall(root, "latest")[0] == [host_key("3.13.5")]


def test_a_request_that_names_nothing_removes_nothing(root):
    with pytest.raises(NoMatch, match=r"nothing installed matches '3\.9'"):
        uninstall(root, "3.13", "3.9")
    assert len(list(root.builds())) == 3


def test_where_nothing_is_nothing_is_made(tmp_path):
    root = Root(str(tmp_path / "nothing"))
    assert uninstall(root) == ([], [])
    with pytest.raises(NoMatch):
        uninstall(root, "3.13")
    assert os.listdir(tmp_path) == []
