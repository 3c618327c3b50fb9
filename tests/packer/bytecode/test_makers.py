"""Which build or interpreter makes the bytecode of another one; nothing is started here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import Needs
from kitbag_installer.hosts import Host
from kitbag_packer.bytecode.interpreters import Interpreter
from kitbag_packer.bytecode.makers import fits, helpers, remedy
from kitbag_packer.findings import Inspection
from kitbag_packer.materials import Material

HOST = Host("linux", "x86_64", "gnu", "2.36", cpu_level=3)
LINUX, WINDOWS = "linux-x86_64-gnu", "windows-x86_64-none"
FOUND = Interpreter("cpython", "3.13.0", "", False, 3571, "cpython-313", "3.13.0 (…)", "/python")


def material(key: str, release: str = "20260101", glibc: str = "") -> Material:
    inspection = Inspection(
        key=BuildKey.parse(key),
        release=release,
        flavor="",
        top="python",
        contents_list=b"",
        needs=Needs("", glibc, (), "", ""),
        optional_libraries={},
        size=0,
        sha256="",
        crc32=0,
        tar_sha256="",
        unpacked_size=0,
        files=0,
        longest_path=0,
        case_collisions=False,
        notes=(),
    )
    return Material(key, Path(key), key, inspection)


def order(key: str, *others: str) -> list[str]:
    materials = [material(each) for each in (key, *others)]
    return [str(each.inspection.key) for each in helpers(materials[0], materials, HOST)]


def test_a_build_that_runs_here_makes_its_own() -> None:
    own, newer = f"cpython-3.13.5-{LINUX}", f"cpython-3.13.6-{LINUX}"
    assert order(own, newer) == [own, newer]
    assert order(newer, own) == [newer, own]


def test_another_one_of_the_same_minor_version_helps() -> None:
    own = f"cpython-3.13.5-{WINDOWS}"
    here = [f"cpython-3.13.{patch}-{LINUX}" for patch in (1, 5, 6)]
    levels = ["cpython-3.13.6-linux-x86_64_v3-gnu", "cpython-3.13.6-linux-x86_64_v4-gnu"]
    debug = f"cpython-3.13.6+debug-{LINUX}"
    useless = [
        f"cpython-3.12.9-{LINUX}",
        f"cpython-3.13.5+freethreaded-{LINUX}",
        f"pypy-3.13.5-{LINUX}",
        "cpython-3.13.5-linux-aarch64-gnu",
        "cpython-3.13.5-linux-x86_64-musl",
        "cpython-3.13.5-macos-x86_64-none",
    ]
    wanted = [here[1], here[0], here[2], levels[0], debug]
    assert order(own, *useless, debug, *levels, *here) == wanted


def test_prereleases_and_pypy_want_the_very_same_release() -> None:
    early, later = f"cpython-3.15.0a1-{LINUX}", f"cpython-3.15.0a2-{LINUX}"
    final = f"cpython-3.15.0-{LINUX}"
    assert order(f"cpython-3.15.0a1-{WINDOWS}", early, later, final) == [early]
    assert order(f"cpython-3.15.1-{WINDOWS}", early, final) == [final]
    pypy = material(f"pypy-3.11.11-{WINDOWS}", "7.3.19")
    same = material(f"pypy-3.11.11-{LINUX}", "7.3.19")
    other = material(f"pypy-3.11.11-{LINUX}", "7.3.20")
    assert helpers(pypy, [other, same], HOST) == [same]


def test_what_the_system_is_too_old_for_does_not_help() -> None:
    own = material(f"cpython-3.13.5-{LINUX}", glibc="2.99")
    assert helpers(own, [own], HOST) == []


def test_pyodide_makes_nothing() -> None:
    assert order("pyodide-3.13.2-emscripten-wasm32-musl") == []


@pytest.mark.parametrize(
    ("key", "magic", "wanted"),
    [
        (f"cpython-3.13.5-{WINDOWS}", None, True),
        (f"cpython-3.13.5-{WINDOWS}", 3571, True),
        (f"cpython-3.13.5-{WINDOWS}", 3570, False),
        (f"cpython-3.13.5+freethreaded-{WINDOWS}", 3571, True),
        (f"cpython-3.12.5-{WINDOWS}", None, False),
        (f"cpython-3.13.0a6-{WINDOWS}", None, False),
        (f"cpython-3.13.0a6-{WINDOWS}", 3571, True),
        (f"pypy-3.13.0-{WINDOWS}", None, False),
    ],
)
def test_an_interpreter_of_this_machine_fits_by_its_magic_number(
    key: str, magic: int | None, wanted: bool
) -> None:
    assert fits(FOUND, BuildKey.parse(key), "20260101", magic) is wanted


def test_a_prerelease_of_this_machine_fits_itself() -> None:
    early = replace(FOUND, version="3.15.0a1")
    assert fits(early, BuildKey.parse(f"cpython-3.15.0a1-{WINDOWS}"), "", None)
    assert not fits(early, BuildKey.parse(f"cpython-3.15.0-{WINDOWS}"), "", None)


def test_pypy_of_this_machine_fits_the_same_release() -> None:
    found = replace(FOUND, implementation="pypy", version="3.11.11", release="7.3.19")
    key = BuildKey.parse(f"pypy-3.11.11-{WINDOWS}")
    assert fits(found, key, "7.3.19", None)
    assert not fits(found, key, "7.3.20", None)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"cpython-3.13.5-{WINDOWS}", "pack 3.13 for linux-x86_64-gnu too, or put python3.13 on"),
        (f"cpython-3.14.5+freethreaded-{WINDOWS}", "pack 3.14t for"),
        (f"cpython-3.15.0a1-{WINDOWS}", "pack 3.15.0a1 for"),
        (f"pypy-3.11.11-{WINDOWS}", "pack the same release (7.3.19) for linux-x86_64-gnu too"),
    ],
)
def test_a_remedy_for_what_nothing_can_compile(key: str, words: str) -> None:
    assert words in remedy(BuildKey.parse(key), "7.3.19", HOST)
