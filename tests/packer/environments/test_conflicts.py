from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey, Target
from kitbag_packer.environments.conflicts import conflicts
from kitbag_packer.environments.model import For, Planned, Ready, Spec
from kitbag_packer.environments.wheels import inspect_wheel
from support.wheels import make_wheel


def made_for(text: str) -> For:
    key = BuildKey.parse(text)
    return For(key.implementation, str(key.version), key.variant, key.target, key)


SPEC = Spec("app", "lock", Path("pylock.toml"))
LINUX = made_for("cpython-3.13.5-linux-x86_64-gnu")
MACOS = made_for("cpython-3.13.5-macos-aarch64-none")
WINDOWS = made_for("cpython-3.13.5-windows-x86_64-none")
WHEELHOUSE = For("cpython", "3.13", "", Target("linux", "x86_64", "gnu"))
EVERYWHERE = (LINUX, MACOS, WINDOWS, WHEELHOUSE)


def told(place, *paths) -> list[str]:
    wheels = [inspect_wheel(path, path.name) for path in sorted(paths)]
    return [str(error) for error in conflicts(Ready(Planned(SPEC, place, ()), tuple(wheels)))]


@pytest.fixture
def make(tmp_path):
    return lambda name, **options: make_wheel(tmp_path, name, **options)


@pytest.mark.parametrize("place", EVERYWHERE)
def test_the_same_path_with_other_content(make, place):
    one = make("one", files={"both/__init__.py": "1", "both/x.py": "1", "one.py": ""})
    two = make("two", files={"both/__init__.py": "2", "both/x.py": "2", "two.py": ""})
    (message,) = told(place, one, two)
    assert message.startswith(f"environment app on {place.target}: {one.name} and {two.name} both")
    assert "both/__init__.py' and 1 other paths" in message
    assert "\n" not in message


@pytest.mark.parametrize("place", EVERYWHERE)
def test_the_same_content_is_allowed(make, place):
    one = make("one", files={"space/__init__.py": "", "space/one.py": ""}, scripts={"x": "a:b"})
    two = make("two", files={"space/__init__.py": "", "space/two.py": ""}, scripts={"x": "a:b"})
    assert told(place, one, two) == []


@pytest.mark.parametrize("place", EVERYWHERE)
def test_an_entry_point_and_a_script_of_one_wheel_do_not_clash(make, place):
    data = {"scripts/tool": "#!python\n"}
    one = make("one", scripts={"tool": "one:main"}, data=data)
    assert told(place, one) == []
    (message,) = told(LINUX, one, make("two", data=data))
    assert "both write 'bin/tool'" in message


def test_every_pair_is_told(make):
    wheels = [make(name, files={"x.py": name}) for name in ("one", "two", "three")]
    assert len(told(LINUX, *wheels)) == 2


@pytest.mark.parametrize("place", EVERYWHERE)
def test_scripts_of_either_kind(make, place):
    one = make("one", scripts={"tool": "one:main"})
    two = make("two", scripts={"tool": "two:main"})
    assert "tool" in told(place, one, two)[0]
    suffix = ".cmd" if place is WINDOWS else ""
    three = make("three", data={f"scripts/tool{suffix}": "#!python\n"})
    assert "tool" in told(place, one, three)[0]


def test_other_ways_to_the_same_place(make):
    one = make("one", files={"pkg/a.py": "1"})
    data = make("two", data={"data/lib/python3.13/site-packages/pkg/a.py": "2"})
    pure = make("three", data={"purelib/pkg/a.py": "3"})
    assert len(told(LINUX, one, data)) == 1
    assert len(told(WHEELHOUSE, one, data)) == 1
    assert told(WINDOWS, one, data) == []
    assert len(told(WINDOWS, one, pure)) == 1
    headers = [make(name, data={"headers/x.h": name}) for name in ("four", "five")]
    assert told(LINUX, *headers) == []


def test_case_matters_where_the_system_thinks_so(make):
    one, two = make("one", files={"Pkg/a.py": "1"}), make("two", files={"pkg/a.py": "2"})
    assert told(LINUX, one, two) == []
    assert len(told(MACOS, one, two)) == len(told(WINDOWS, one, two)) == 1
    alone = make("three", files={"xt_MARK.h": "1", "xt_mark.h": "2"})
    assert told(LINUX, alone) == []
    assert "twice, once case is folded" in told(MACOS, alone)[0]


def test_a_file_and_a_folder(make):
    one, two = make("one", files={"pkg": "1"}), make("two", files={"pkg/sub/a.py": "2"})
    (message,) = told(LINUX, one, two)
    assert one.name in message
    assert two.name in message
    assert "'lib/python3.13/site-packages/pkg'" in message


@pytest.mark.parametrize(
    ("place", "options"),
    [
        (LINUX, {"scripts": {"python": "a:b"}}),
        (LINUX, {"scripts": {"python3.13": "a:b"}}),
        (LINUX, {"data": {"scripts/activate": ""}}),
        (LINUX, {"data": {"data/pyvenv.cfg": ""}}),
        (LINUX, {"data": {"data/lib64": ""}}),
        (LINUX, {"data": {"data/bin/python3": ""}}),
        (MACOS, {"data": {"data/BIN/Python3": ""}}),
        (WINDOWS, {"scripts": {"python": "a:b"}}),
    ],
)
def test_what_belongs_to_the_environment(make, place, options):
    (message,) = told(place, make("evil", **options))
    assert "belongs to the environment" in message


def test_similar_names_are_nobodys(make):
    scripts = ["activate-global-completion", "python-zig", "python-config", "pypi", "py"]
    assert told(LINUX, make("fine", scripts=dict.fromkeys(scripts, "a:b"))) == []


ODD = ("a?.py", "ab:c", 'a"b', "aux.py", "pkg/NUL", "con/x.py", "com1.tar.gz", "end.", "x /a.py")


@pytest.mark.parametrize("name", ODD)
def test_names_that_no_file_on_windows_can_have(make, name):
    wheel = make("odd", files={name: "", "console.py": "", "a.com1": "", ".hidden": ""})
    (message,) = told(WINDOWS, wheel)
    assert wheel.name in message
    assert repr(name.rpartition("/")[2])[1:-1] in message
    assert "Windows" in message
    assert told(LINUX, wheel) == told(MACOS, wheel) == []


def test_programs_whose_name_no_file_on_windows_can_have(make):
    wheel = make("odd", scripts={"a:b": "odd:main"})
    assert "Scripts/a:b.cmd" in told(WINDOWS, wheel)[0]
    assert told(LINUX, wheel) == []


def test_what_is_for_lib64_meets_what_is_in_lib(make):
    one = make("one", data={"data/lib64/x": "1"})
    two = make("two", data={"data/lib/x": "2"})
    assert "lib/x" in told(LINUX, one, two)[0]
    assert told(MACOS, one, two) == []
