"""Wheels and environments in a manifest: what is written reads back, and nonsense is refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from kitbag_bundles.environments import (
    Environment,
    Wheel,
    environments_table,
    is_environment_name,
    is_program_name,
    parse_environments,
    parse_wheels,
)
from kitbag_bundles.errors import BundleError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.tables import Table

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
WHEEL = Wheel(
    filename="app-1.0-py3-none-any.whl",
    name="app",
    version="1.0",
    size=1000,
    sha256="a" * 64,
    url="https://h.example/app-1.0-py3-none-any.whl",
    built=False,
    unpacked_size=2000,
    files=5,
    longest_path=30,
    direct_url=json.dumps({"url": "https://h.example/app", "archive_info": {}}),
)
OTHER = replace(
    WHEEL, filename="b_c-2-1a-py3-none-any.whl", name="b-c", url="", built=True, direct_url=""
)
HERE = Environment(
    name="app",
    target=str(KEY.target),
    python=KEY,
    python_version="3.13.5",
    wheels=(WHEEL.filename, OTHER.filename),
    expose=("app", "app-more"),
    run="app",
    glibc="2.28",
)
HOUSE = Environment("house", "macos-aarch64-none", None, "3.13", (WHEEL.filename,), os="11.0")


def read(table: dict[str, Any]) -> tuple[tuple[Wheel, ...], tuple[Environment, ...]]:
    top = Table(table, "the manifest", top=True)
    wheels = parse_wheels(top.tables("wheel"))
    return wheels, parse_environments(top.tables("environment"), wheels, [KEY])


def test_what_is_written_reads_back():
    written = environments_table((WHEEL, OTHER), (HERE, HOUSE))
    assert read(copy.deepcopy(written)) == ((WHEEL, OTHER), (HERE, HOUSE))
    assert "built" not in written["wheel"][0]
    assert "direct-url" not in written["wheel"][1]
    assert environments_table((), ()) == {}


@pytest.mark.parametrize(
    ("kind", "number", "change", "said"),
    [
        ("wheel", 0, {"filename": "../app-1.0-py3-none-any.whl"}, "no name of a wheel"),
        ("wheel", 0, {"filename": "app.whl"}, "no name of a wheel"),
        ("wheel", 0, {"filename": "z-1.0-py3-none-any.whl"}, "wrong order"),
        ("wheel", 1, {"filename": WHEEL.filename}, "twice"),
        ("wheel", 0, {"name": ""}, "'name'"),
        ("wheel", 0, {"sha256": "A" * 64}, "'sha256'"),
        ("wheel", 0, {"size": -1}, "'size'"),
        ("wheel", 0, {"built": 1}, "'built'"),
        ("wheel", 0, {"url": "\x1b"}, "'url'"),
        ("wheel", 0, {"direct-url": "nonsense"}, "'direct-url'"),
        ("wheel", 0, {"direct-url": "[" * 100_000}, "'direct-url'"),
        ("wheel", 0, {"direct-url": '{"url": 1}'}, "'direct-url'"),
        ("wheel", 0, {"direct-url": 1}, "'direct-url'"),
        ("environment", 0, {"name": "3.13"}, "no name for an environment"),
        ("environment", 0, {"name": "../x"}, "no name for an environment"),
        ("environment", 0, {"name": "zzz"}, "wrong order"),
        ("environment", 0, {"target": "windows-x86_64-none"}, "not its build's"),
        ("environment", 0, {"python": "cpython-3.12.1-linux-x86_64-gnu"}, "not in the bundle"),
        ("environment", 0, {"python-version": ""}, "'python-version'"),
        ("environment", 0, {"wheels": [OTHER.filename, WHEEL.filename]}, "wrong order"),
        ("environment", 0, {"wheels": [WHEEL.filename]}, f"no environment uses: {OTHER.filename}"),
        ("environment", 1, {"wheels": ["x-1-py3-none-any.whl"]}, "not in the bundle: x-1"),
        ("environment", 0, {"expose": ["../sh"]}, "no name of a program"),
        ("environment", 0, {"expose": ["b", "a"]}, "wrong order"),
        ("environment", 0, {"run": "-x"}, "no name of a program"),
        ("environment", 0, {"glibc": "new"}, "no version"),
    ],
)
def test_nonsense_is_refused(kind, number, change, said):
    table = copy.deepcopy(environments_table((WHEEL, OTHER), (HERE, HOUSE)))
    table[kind][number].update(change)
    with pytest.raises(BundleError) as caught:
        read(table)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["", "App", "a/b", ".a", "a.", "3.13", "latest", "pypy", "nul"])
def test_what_no_environment_is_called(name):
    assert not is_environment_name(name)


def test_names():
    assert all(is_environment_name(name) for name in ("app", "my-app", "a", "app_2.0"))
    assert all(is_program_name(name) for name in ("app", "_x", "A.b-c", "2to3"))
    assert not any(is_program_name(name) for name in ("", "a b", "-x", "a/b", "x" * 101))
