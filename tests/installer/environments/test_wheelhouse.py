"""Requirements and locks of an export: what the tools' own readers make of them."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.pylock import Pylock, is_valid_pylock_path
from packaging.requirements import Requirement

from kitbag_bundles.environments import Environment, Wheel
from kitbag_bundles.errors import BundleError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.environments import wheelhouse

LINUX = "cpython-3.13.5-linux-x86_64-gnu"


def wheel(name, version="1.0", digest="ab"):
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Wheel(filename, name, version, 5, digest * 32, "", False, 5, 1, 5)


def environment(name="app", key=LINUX, target="", version="3.13.5"):
    python = BuildKey.parse(key) if key else None
    return Environment(name, target or str(python.target), python, version, ())


WHEELS = [wheel("zoo"), wheel("click", "8.1.7+local.1", "cd"), wheel("my-app", "1!2.0rc1")]


def test_requirements_are_pinned_and_hashed():
    text = wheelhouse.requirements_text(environment(), WHEELS).decode()
    lines = text.replace(" \\\n    ", " ").splitlines()
    assert lines[0] == "# app: linux-x86_64-gnu, Python 3.13"
    parts = [line.split(" --hash=sha256:") for line in lines[1:]]
    assert [str(Requirement(part[0])) for part in parts] == [
        "click==8.1.7+local.1",
        "my-app==1!2.0rc1",
        "zoo==1.0",
    ]
    assert parts[0][1] == "cd" * 32
    assert wheelhouse.hashes_in(text.encode()) == {b"ab" * 32, b"cd" * 32}


@pytest.mark.parametrize(
    ("key", "target", "version", "platforms", "pythons"),
    [
        (LINUX, "", "3.13.5", "sys_platform == 'linux'", "==3.13.*"),
        ("cpython-3.9.1-macos-aarch64-none", "", "3.9.1", "sys_platform == 'darwin'", "==3.9.*"),
        ("", "windows-x86_64-none", "3.13", "sys_platform == 'win32'", "==3.13.*"),
        (LINUX, "", "3.15.0a2", "sys_platform == 'linux'", "==3.15.*"),
    ],
)
def test_the_lock_is_one(key, target, version, platforms, pythons):
    """For what it was made for, and for nothing else."""
    made_for = environment(key=key, target=target, version=version)
    data = wheelhouse.lock_text(made_for, WHEELS)
    lock = Pylock.from_dict(tomllib.loads(data.decode()))
    assert [str(each).replace('"', "'") for each in lock.environments] == [platforms]
    assert str(lock.requires_python) == pythons
    found = {str(each.name): each for each in lock.packages}
    assert list(found) == ["click", "my-app", "zoo"]
    (only,) = found["click"].wheels
    assert only.path == "wheels/click-8.1.7+local.1-py3-none-any.whl"
    assert (only.name, only.size, only.url) == (only.path.partition("/")[2], 5, None)
    assert only.hashes == {"sha256": "cd" * 32}
    assert wheelhouse.hashes_in(data) == {b"ab" * 32, b"cd" * 32}


def test_an_environment_without_packages():
    lock = Pylock.from_dict(tomllib.loads(wheelhouse.lock_text(environment(), []).decode()))
    assert lock.packages == []
    assert wheelhouse.requirements_text(environment(), []).startswith(b"# app: ")


def test_a_target_and_a_version_that_nobody_knows_yet_set_no_limits():
    one = environment(key="", target="beos-x86_64-none", version="4")
    lock = Pylock.from_dict(tomllib.loads(wheelhouse.lock_text(one, WHEELS).decode()))
    assert (lock.environments, lock.requires_python) == (None, None)
    assert wheelhouse.requirements_text(one, []) == b"# app: beos-x86_64-none\n"


@pytest.mark.parametrize("name", ["app", "my.app", "a_b-c.d"])
def test_places_of_files(name):
    one = environment(name)
    label = wheelhouse.label_of(one, [one, environment("other")])
    assert label == f"{name}-linux-x86_64-gnu"
    assert wheelhouse.place_of_requirements(label) == f"requirements-{label}.txt"
    assert is_valid_pylock_path(Path(wheelhouse.place_of_lock(label)))


def test_several_builds_of_one_target_are_told_apart():
    """By what is in the bundle, not by what of it is exported."""
    ones = [environment(), environment(key=LINUX.replace("3.13.5", "3.12.1")), environment("b")]
    labels = [wheelhouse.label_of(each, ones) for each in ones]
    assert labels == [f"app-{LINUX}", "app-cpython-3.12.1-linux-x86_64-gnu", "b-linux-x86_64-gnu"]
    places = [wheelhouse.place_of_lock(label) for label in labels]
    assert places[0] == "pylock.app-cpython-3_13_5-linux-x86_64-gnu.toml"
    assert all(is_valid_pylock_path(Path(place)) for place in places)


def test_labels_are_found_again():
    places = ["requirements-b-c.txt", "requirements-a.txt", "pylock.a.toml", "wheels/x.whl"]
    assert wheelhouse.labels_among([*places, "README.txt"]) == ["a", "b-c"]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("click\n--extra-option x", "1.0"),
        ("click", "1.0\nevil==1"),
        ("click @ https://h/x", "1.0"),
        ('"', "1.0"),
        ("click", "1.0 ; x"),
        ("click", '1"'),
        ("Ünder", "1.0"),
        ("click", ""),
    ],
)
def test_a_name_that_is_more_than_a_name_is_refused(name, version):
    bad = replace(wheel("click"), name=name, version=version)
    for write in (wheelhouse.requirements_text, wheelhouse.lock_text):
        with pytest.raises(BundleError, match=r"^click-1\.0-py3-none-any\.whl: "):
            write(environment(), [wheel("zoo"), bad])
