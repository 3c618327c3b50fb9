"""What both sides hold a wheel against."""

from __future__ import annotations

import pytest

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments.wheelrules import (
    check_path,
    check_tree,
    check_version,
    data_place,
    metadata_folder,
)

NAME = "app-1.0-py3-none-any.whl"


@pytest.mark.parametrize("path", ["../a", "/a", "a//b", "a/.", "a\\b", "a\nb", "C:a", "a/", ""])
def test_names_that_lead_elsewhere(path):
    for windows in (False, True):
        with pytest.raises(ArchiveError, match="leads out of the environment"):
            check_path(path, NAME, windows=windows)


@pytest.mark.parametrize("path", ["a?", 'a"b', "pkg/a:b", "a|b"])
def test_names_that_mean_something_on_windows(path):
    check_path(path, NAME)
    with pytest.raises(ArchiveError):
        check_path(path, NAME, windows=True)


def test_a_tree():
    check_tree(["a/b/c", "a/b/d", "a.b", "ab"], NAME)
    for paths, said in (
        (["a", "b", "a"], "has 'a' twice"),
        (["a/b", "a"], "has 'a', a file"),
    ):
        with pytest.raises(ArchiveError, match=said):
            check_tree(paths, NAME)


@pytest.mark.parametrize("info", ["my_app-1.0", "My.App-1", "my-app-1.0"])
def test_the_metadata_of_the_project(info):
    paths = [f"{info}.dist-info/RECORD", "x.dist-info", "a/b-1.dist-info/RECORD"]
    assert metadata_folder(paths, "my-app", NAME) == f"{info}.dist-info"
    with pytest.raises(ArchiveError, match="another project"):
        metadata_folder(paths, "app", NAME)


def test_places_of_data():
    assert data_place("data/etc/x", NAME) == ("data", "etc/x")
    for path in ("etc/x", "data", "data/", "Data/x", "data/.KitBag/x"):
        with pytest.raises(ArchiveError):
            data_place(path, NAME)


@pytest.mark.parametrize("text", ["Wheel-Version: 1.0", "Tag: x\r\nwheel-version:1.9\r\n"])
def test_versions_that_are_known(text):
    check_version(text.encode(), NAME)


@pytest.mark.parametrize("text", ["", "Wheel-Version: 2.0", "Wheel-Version: x", "X: 1.0"])
def test_versions_that_are_not(text):
    with pytest.raises(ArchiveError):
        check_version(text.encode(), NAME)
