from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_packer.environments.carrying import made_for
from kitbag_packer.environments.describing import described, shared, tell, wheel_member
from kitbag_packer.environments.model import Pick, Planned, Ready, Spec, WheelFile
from kitbag_packer.environments.wheels import inspect_wheel
from support.downloading import Notes
from support.wheels import make_wheel

KEYS = tuple(
    BuildKey.parse(f"cpython-3.13.5-{target}")
    for target in ("linux-x86_64-gnu", "windows-x86_64-none")
)


@pytest.fixture
def wheel(tmp_path):
    def make(name: str, *scripts: str, folder: str = "w", **more) -> WheelFile:
        named = dict.fromkeys(scripts, f"{name}:main")
        path = make_wheel(tmp_path / folder, name, scripts=named, **more)
        return inspect_wheel(path, path.name)

    return make


def ready(*files: WheelFile, key: BuildKey = KEYS[0], own: str = "", **more) -> Ready:
    spec = Spec(**{"name": "app", "kind": "project", "path": Path("/src"), **more})
    picks = (Pick(own, "", "directory", path="/src"),) if own else ()
    return Ready(Planned(spec, made_for(key, ""), picks), files)


def one(made: Ready):
    (found,) = described((made,), Notes())
    return found


def test_an_environment_as_the_manifest_has_it(wheel):
    files = (wheel("app", "app", "other"), wheel("lib"))
    found = one(ready(*files, expose=("other", "app", "other")))
    assert (found.name, found.target, found.python) == ("app", "linux-x86_64-gnu", KEYS[0])
    assert found.python_version == "3.13.5"
    assert found.wheels == ("app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl")
    assert (found.expose, found.run, found.glibc, found.os) == (("app", "other"), "app", "", "")


@pytest.mark.parametrize(
    ("scripts", "more", "run"),
    [
        (("serve", "app"), {}, "app"),
        (("serve",), {"own": "mine"}, "serve"),
        (("serve", "other"), {"own": "mine"}, ""),
        (("serve",), {}, ""),
        (("serve",), {"own": "mine", "kind": "lock"}, ""),
        (("serve", "app"), {"run": "serve"}, "serve"),
        ((), {"own": "mine"}, ""),
    ],
)
def test_what_is_run(wheel, scripts, more, run):
    assert one(ready(wheel("mine", *scripts), wheel("lib", "tool"), **more)).run == run


def test_programs_that_are_not_there(wheel):
    files = (wheel("mine", "serve"),)
    with pytest.raises(UsageError, match=r"app for cpython-3\.13\.5-linux-x86_64-gnu has no cons"):
        described((ready(*files, expose=("x",)),), Notes())
    with pytest.raises(UsageError, match="no console script 'x' to run; there is serve"):
        described((ready(*files, run="x"),), Notes())
    with pytest.raises(UsageError, match="to run; its wheels have none"):
        described((ready(wheel("bare"), run="x"),), Notes())
    notes = Notes()
    both = [ready(*files, key=key, expose=("x",)) for key in KEYS]
    with pytest.raises(UsageError, match="2 environments have no such program, see above"):
        described(both, notes)
    assert len(notes.messages) == 2


def test_wheels_are_shared(wheel):
    pure, speed = wheel("pure"), wheel("speed")
    found = shared([ready(speed, pure), ready(pure, key=KEYS[1])])
    assert [each.wheel.name for each in found] == ["pure", "speed"]
    other = wheel("pure", folder="other", files={"pure.py": "x = 1\n"})
    named = replace(other, wheel=replace(other.wheel, url="https://h.example/x"))
    with pytest.raises(UsageError, match=r"two different wheels of this name, a local one and htt"):
        shared([ready(pure), ready(named, key=KEYS[1])])
    upper = replace(pure, wheel=replace(pure.wheel, filename="Pure-1.0-py3-none-any.whl"))
    with pytest.raises(UsageError, match=r"Pure-1\.0-py3-none-any\.whl: environments have two dif"):
        shared([ready(pure), ready(upper, key=KEYS[1])])


def test_where_a_shared_wheel_comes_from_is_told_if_that_is_the_same_for_all(wheel):
    pure = wheel("pure")
    direct = replace(pure, wheel=replace(pure.wheel, direct_url='{"url":"https://h.example/x"}'))
    for one, two, told in ((direct, direct, True), (direct, pure, False), (pure, direct, False)):
        (found,) = shared([ready(one), ready(two, key=KEYS[1])])
        assert bool(found.wheel.direct_url) == told


def test_a_wheel_as_a_member(wheel):
    pure = wheel("pure")
    member = wheel_member(pure)
    assert member.name == "wheels/pure-1.0-py3-none-any.whl"
    with member.open() as stream:
        assert stream.read() == pure.path.read_bytes()
    assert (member.size, member.sha256) == (pure.wheel.size, pure.wheel.sha256)


def test_how_much_is_told(wheel):
    pure, own = wheel("pure"), wheel("own")
    built = replace(own, wheel=replace(own.wheel, built=True))
    notes = Notes()
    tell([ready(pure), ready(pure, built, key=KEYS[1])], notes)
    assert [line.rpartition(",")[0] for line in notes.messages] == [
        f"app for {KEYS[0]}: 1 wheel",
        f"app for {KEYS[1]}: 2 wheels, 1 of them built",
    ]
