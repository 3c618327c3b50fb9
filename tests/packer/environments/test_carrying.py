from pathlib import Path

import pytest

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.requests import parse_requests
from kitbag_packer.environments.carrying import Carried, made_for, pairs, versions_on
from kitbag_packer.environments.model import For, Spec

LINUX, WINDOWS = "linux-x86_64-gnu", "windows-x86_64-none"
KEYS = (
    f"cpython-3.12.9-{LINUX}",
    f"cpython-3.13.5-{LINUX}",
    f"cpython-3.13.5-{WINDOWS}",
    f"cpython-3.14.0rc1-{LINUX}",
    f"cpython-3.14.0+freethreaded-{LINUX}",
    f"pypy-3.11.13-{LINUX}",
    "pyodide-3.13.2-emscripten-wasm32-musl",
)
PLACES = [made_for(BuildKey.parse(key), "") for key in KEYS]


def spec(name: str = "app", python: str = "") -> Spec:
    return Spec(name, "lock", Path("pylock.toml"), python)


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("", KEYS[:-1]),
        ("3.13", KEYS[1:3]),
        (">=3.12", KEYS[:3]),
        ("3.14", KEYS[3:4]),
        ("latest", KEYS[1:3]),
        ("3.14t", KEYS[4:5]),
        ("pypy", KEYS[5:6]),
        ("cpython-3.13-windows", KEYS[2:3]),
    ],
)
def test_which_builds_an_environment_is_for(python, expected):
    found = pairs([spec(python=python)], PLACES)
    assert [str(place.key) for _, place in found] == list(expected)


def test_several_environments_keep_their_order():
    found = pairs([spec("b", "3.12"), spec("a", "3.13")], PLACES)
    assert [each.name for each, _ in found] == ["b", "a", "a"]
    with pytest.raises(UsageError, match="two environments are called a"):
        pairs([spec("a"), spec("a")], PLACES)


@pytest.mark.parametrize("python", ["3.10", "pyodide", ""])
def test_an_environment_that_is_for_nothing(python):
    places = PLACES if python else PLACES[-1:]
    with pytest.raises(NoMatch, match=r"environment app .*; add a request for such a Python"):
        pairs([spec(python=python)], places)


def test_what_a_build_is_made_for():
    place = made_for(BuildKey.parse(f"pypy-3.11.13-{LINUX}"), "7.3.20")
    assert (place.implementation, place.version, place.release) == ("pypy", "3.11.13", "7.3.20")


def test_versions_of_a_wheelhouse():
    found = versions_on(parse_requests(["3.13"]), [LINUX, "windows-x86_64"])
    assert [(each.version, str(each.target), each.key) for each in found] == [
        ("3.13", LINUX, None),
        ("3.13", WINDOWS, None),
    ]
    assert [each.version for each in versions_on(parse_requests(["3.13.5"]), [LINUX])] == ["3.13.5"]
    (named,) = versions_on(parse_requests(["cpython-3.13-windows-x86_64"]), [LINUX, WINDOWS])
    assert str(named.target) == WINDOWS


@pytest.mark.parametrize("text", ["latest", ">=3.11", "3", "pypy3.11", "3.14t", "any"])
def test_what_is_no_version_of_a_wheelhouse(text):
    with pytest.raises(UsageError, match="a wheelhouse is for a version of CPython; write 3"):
        versions_on(parse_requests([text]), [LINUX])


def test_a_wheelhouse_is_for_named_targets():
    with pytest.raises(UsageError, match="not 'all'"):
        versions_on(parse_requests(["3.13"]), ["all"])


def test_a_wheelhouse_has_one_version_for_each_target():
    places = versions_on(parse_requests(["3.12", "3.13"]), [LINUX])
    assert pairs([spec("a", "3.12"), spec("b", "3.13")], places)
    message = r'app is for 3.12 and 3.13 on linux-.*pack a bundle for each.*python = "3.12"\)'
    with pytest.raises(UsageError, match=message):
        pairs([spec()], places)


def test_nothing_is_nothing():
    assert not Carried()
    assert not Carried(wheelhouse=(For("cpython", "3.13", "", PLACES[0].target),))
    assert Carried((spec(),))
