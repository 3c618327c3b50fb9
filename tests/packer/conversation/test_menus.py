from __future__ import annotations

from kitbag_bundles.keys import BuildKey, Target
from kitbag_bundles.requests import Request
from kitbag_packer.conversation import menus
from kitbag_packer.resolution import resolve
from support.stock import stock

LINUX, MACOS, WINDOWS = "linux-x86_64-gnu", "macos-aarch64-none", "windows-x86_64-none"
HOST = Target.parse(LINUX)
KEYS = (
    f"cpython-3.12.10-{LINUX}",
    f"cpython-3.13.5-{LINUX}",
    f"cpython-3.13.4-{MACOS}",
    f"cpython-3.13.4-{LINUX}",
    f"cpython-3.13.5+freethreaded-{LINUX}",
    f"cpython-3.13.5+debug-{LINUX}",
    f"cpython-3.14.0rc1-{LINUX}",
    f"pypy-3.11.13-{LINUX}",
    "pyodide-3.13.2-emscripten-wasm32-musl",
)


def found(*keys):
    return {each.text: each for each in menus.pythons(map(BuildKey.parse, keys or KEYS))}


def test_the_newest_of_each_minor_version_come_first_and_prereleases_last():
    assert list(found()) == [
        *("3.13", "3.12", "3.13t", "pypy3.11", "pyodide3.13"),
        "3.13+debug",
        "3.13.4",
        "3.14.0rc1",
    ]
    titles = {option.value: option.title for option in menus.python_options([*found().values()])}
    assert titles["3.13"] == "3.13         CPython 3.13.5"
    assert titles["3.13t"].endswith("CPython 3.13.5, free-threaded")
    assert titles["3.14.0rc1"].endswith("CPython 3.14.0rc1, prerelease")


def test_every_line_asks_for_what_it_says():
    catalog = stock(*KEYS)
    for python in found().values():
        for target in python.targets:
            (choice,) = resolve([Request.parse(python.text)], [str(target)], [catalog])
            if target == HOST:
                assert str(choice.offer.key.version) in python.title


def test_targets_begin_with_this_machine_and_tell_what_they_lack():
    pythons = found(*KEYS, f"cpython-3.13.5-{WINDOWS}", f"cpython-3.12.10-{WINDOWS}")
    options = menus.target_options([pythons[each] for each in ("3.13", "3.12")], HOST)
    assert [(option.title, option.chosen) for option in options] == [
        (f"{LINUX}     this host", True),
        (f"{MACOS}   no 3.12", False),
        (WINDOWS, False),
    ]


def test_a_host_without_builds_is_not_offered():
    options = menus.target_options([found()["3.13"]], Target.parse("linux-s390x-gnu"))
    assert [option.value for option in options] == [LINUX, MACOS]
    assert not any(option.chosen for option in options)


def test_what_is_not_for_every_target_is_asked_for_by_key():
    pythons = [found()[each] for each in ("3.13", "3.13t", "pyodide3.13")]
    requests = menus.requests(pythons, [LINUX, MACOS])
    assert requests == ("3.13", f"cpython-3.13+freethreaded-{LINUX}", "pyodide3.13")
    assert menus.gaps(pythons, [LINUX, MACOS]) == [f"no 3.13t for {MACOS}"]
    choices = resolve([*map(Request.parse, requests)], [LINUX, MACOS], [stock(*KEYS)])
    assert sorted(str(choice.offer.key) for choice in choices) == [
        f"cpython-3.13.4-{MACOS}",
        f"cpython-3.13.5+freethreaded-{LINUX}",
        f"cpython-3.13.5-{LINUX}",
        "pyodide-3.13.2-emscripten-wasm32-musl",
    ]


def test_what_would_be_left_out_everywhere():
    pythons = [found()[each] for each in ("3.13", "3.12", "pyodide3.13")]
    assert menus.unreached(pythons, [LINUX]) == ""
    assert menus.unreached(pythons, [MACOS]).startswith(f"no 3.12 for {MACOS}; choose a target")
