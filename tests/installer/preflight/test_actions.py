import os
import shutil
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.requests import parse_requests
from kitbag_installer.preflight.actions import action_for, check_additions
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY = host_key()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    names = ("3.13.5@20260101", "3.13.5@20260202", "3.13.7", "3.13.4")
    return {name: tiny_bundle(folder / f"{name}.kitbag", name) for name in names}


@pytest.fixture
def root(made, tmp_path) -> Root:
    """3.13.5 of a release in the middle, and 3.13.7."""
    install_tiny(made["3.13.5@20260202"], tmp_path / "root")
    return install_tiny(made["3.13.7"], tmp_path / "root")


def build_of(path):
    with Bundle.open(path) as bundle:
        return bundle.manifest.builds[0]


def action(path, root, *requests, reinstall=False, upgrade=True):
    wishes = parse_requests(requests)
    return action_for(root, build_of(path), wishes, reinstall=reinstall, upgrade=upgrade)


def test_releases_of_one_version(made, root):
    older, same = made["3.13.5@20260101"], made["3.13.5@20260202"]
    assert action(older, root) == "newer-present"
    assert action(same, root) == "present"
    assert action(older, root, upgrade=False) == "present"
    assert action(older, root, reinstall=True) == "reinstall"
    Path(root.install_path(KEY), ".kitbag", "receipt.json").write_text("{")
    Path(root.install_path(KEY), "BUILD").write_text("20260102")
    assert action(older, root) == "newer-present"
    assert action(same, root) == "upgrade"


def test_a_lower_patch_comes_only_if_it_is_named(made, root):
    lower = made["3.13.4"]
    assert action(lower, root) == "newer-present"
    assert action(lower, root, "3.13") == "newer-present"
    assert action(lower, root, "3.13.4") == "install"
    assert action(lower, root, upgrade=False) == "install"


def test_another_tools_build_gives_way_only_to_its_key(made, root):
    shutil.rmtree(Path(root.install_path(KEY), ".kitbag"))
    newer = made["3.13.5@20260202"]
    Path(root.install_path(KEY), "BUILD").write_text("20260101")
    for requests in ((), ("3.13",), ("3.13.5",)):
        assert action(newer, root, *requests) == "present"
    assert action(newer, root, str(KEY)) == "upgrade"
    Path(root.install_path(KEY), "BUILD").unlink()
    assert action(made["3.13.5@20260101"], root, str(KEY)) == "upgrade"
    assert check_additions(root, build_of(newer)) == []


def test_what_a_person_added_is_in_the_way(made, root):
    build = build_of(made["3.13.5@20260101"])
    assert check_additions(root, build) == []
    tree = Path(root.install_path(KEY))
    cache = tree / "lib" / "python3.13" / "__pycache__"
    cache.mkdir()
    (cache / "os.cpython-313.pyc").write_bytes(b"")
    assert check_additions(root, build) == []
    package = tree / "lib" / "python3.13" / "site-packages" / "mine.py"
    package.write_text("")
    (point,) = check_additions(root, build)
    assert (point.code, point.advice) == ("additions", False)
    assert "a file that kitbag did not install" in point.message
    assert os.path.relpath(package, tree) in point.message
    (tree / ".kitbag" / "receipt.json").write_text("{")
    (point,) = check_additions(root, build)
    assert "receipt.json" in point.message
