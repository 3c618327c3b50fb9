import tomllib
from dataclasses import replace

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import BuildKey, Target
from kitbag_packer.errors import StaleLock
from kitbag_packer.recipes.lock import Lock, read_lock, render
from kitbag_packer.recipes.packages import Chosen, EnvironmentPin, PackagePin
from support.recipes import LINUX, a_pin

KEY = BuildKey.parse(f"cpython-3.13.5-{LINUX}")
WHEEL = PackagePin(
    name="click",
    version="8.1.7",
    kind="wheel",
    filename="click-8.1.7-py3-none-any.whl",
    url="https://h.example/click-8.1.7-py3-none-any.whl",
    size=97941,
    sha256="a" * 64,
)
LOCAL = replace(WHEEL, name="other", direct=True, url="", path="wheels/other-1-py3-none-any.whl")
OWN = PackagePin("app", "", "directory", path=".", reason="it is a directory of source")
GIT = PackagePin(
    "tool",
    "1.0",
    "vcs",
    vcs="git",
    repository="ssh://git@h.example/tool",
    commit="c" * 40,
    revision="main",
    subdirectory="sub",
)
SDIST = replace(WHEEL, name="old", kind="sdist", filename="old-1.tar.gz", reason="it has no wheels")
BUILDS = Lock.of([a_pin("3.13.5")], [])
CHOSEN = Chosen("project", "../app", "b" * 64, ("web",), (), "2.17")
PIN = EnvironmentPin("app", KEY, KEY.target, "3.13.5", CHOSEN, (OWN, WHEEL, SDIST, LOCAL, GIT))

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
environments = st.builds(
    EnvironmentPin,
    name=st.sampled_from(["app", "tools"]),
    python=st.none(),
    target=st.sampled_from([KEY.target, Target.parse("windows-x86_64")]),
    version=st.just("3.13"),
    chosen=st.builds(
        Chosen,
        kind=st.sampled_from(["project", "lock", "requirements"]),
        path=words,
        sha256=st.just("b" * 64),
        extras=st.lists(words, max_size=2).map(tuple),
        groups=st.none() | st.lists(words, max_size=2).map(tuple),
        glibc=st.sampled_from(["", "2.28"]),
    ),
    packages=st.lists(st.sampled_from([WHEEL, LOCAL, OWN, GIT, SDIST])).map(tuple),
)


def lock_of(*pins: EnvironmentPin) -> Lock:
    return replace(BUILDS, environments=pins)


def read(folder, text: str) -> Lock:
    (folder / "kitbag.lock").write_text(text, "utf-8")
    return read_lock(folder / "kitbag.lock")


def test_everything_reads_back(tmp_path):
    assert read(tmp_path, render(lock_of(PIN))) == lock_of(PIN)


@given(st.lists(environments, max_size=3))
def test_what_is_written_reads_back(tmp_path_factory, made):
    assert read(tmp_path_factory.getbasetemp(), render(lock_of(*made))) == lock_of(*made)


def test_what_is_empty_is_left_out():
    (table,) = tomllib.loads(render(lock_of(PIN)))["environment"]
    assert table["package"][0] == {
        "name": "app",
        "version": "",
        "kind": "directory",
        "path": ".",
        "reason": "it is a directory of source",
    }
    assert table["package"][3]["url"] == ""
    assert list(table)[:6] == [
        *("name", "target", "python", "python-version", "project", "source-sha256"),
    ]
    assert "environment" not in tomllib.loads(render(Lock.of([], [])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "3.13"}, "'name'"),
        ({"target": "windows-x86_64-none"}, "'python'"),
        ({"python": "x"}, "'python'"),
        ({"lock": "x"}, "'project'"),
        ({"source-sha256": "x"}, "'source-sha256'"),
        ({"groups": [1]}, "'groups'"),
        ({"package": 1}, "'package'"),
    ],
)
def test_a_damaged_environment(tmp_path, change, message):
    document = tomllib.loads(render(lock_of(PIN)))
    document["environment"][0].update(change)
    with pytest.raises(StaleLock, match=f"{message} is missing or damaged; make it again"):
        read(tmp_path, tomli_w.dumps(document))


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (0, {"kind": "egg"}, "'kind'"),
        (0, {"path": ""}, "'path'"),
        (0, {"path": "/etc"}, "'path'"),
        (0, {"path": "C:/x"}, "'path'"),
        (1, {"name": ""}, "'name'"),
        (1, {"filename": "../x.whl"}, "'filename'"),
        (1, {"filename": "x.tar.gz"}, "'filename'"),
        (1, {"url": "https://me:secret@h.example/x.whl"}, "'url'"),
        (1, {"url": "file:///x.whl"}, "'url'"),
        (1, {"size": -1}, "'size'"),
        (1, {"sha256": ""}, "'sha256'"),
        (2, {"filename": "x.whl"}, "'filename'"),
        (3, {"direct": 1}, "'direct'"),
        (4, {"commit": ""}, "'commit'"),
        (4, {"repository": "\x1b"}, "'repository'"),
    ],
)
def test_a_damaged_package(tmp_path, number, change, message):
    document = tomllib.loads(render(lock_of(PIN)))
    document["environment"][0]["package"][number].update(change)
    with pytest.raises(StaleLock, match=rf"\[\[package\]\] {number + 1}: {message}") as caught:
        read(tmp_path, tomli_w.dumps(document))
    assert "secret" not in str(caught.value)
