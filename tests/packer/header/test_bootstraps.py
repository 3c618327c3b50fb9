from __future__ import annotations

from dataclasses import replace

import pytest

from kitbag_bundles.contents import Entry
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import Build, Needs, Payload
from kitbag_packer.header.bootstraps import candidates, parts

LINUX = "linux-x86_64-gnu"
MUSL = "linux-x86_64-musl"


def build(key: str, suffix: str = ".tar.gz", size: int = 10, glibc: str = "2.17") -> Build:
    parsed = BuildKey.parse(key)
    member = f"archives/{key}{suffix}"
    payload = Payload("verbatim", member, "python", size, "0" * 64, "")
    return Build(
        *(parsed, parsed.implementation, str(parsed.version), "20260101", "install_only", ""),
        *(0, 0, 0, False, payload, Needs("", glibc, (), "", "")),
    )


def chosen(*builds: Build) -> dict[str, list[str]]:
    return {
        target: [str(each.key).removesuffix(f"-{target}") for each in found]
        for target, found in candidates(builds).items()
    }


def test_each_target_has_its_own() -> None:
    assert chosen(
        build(f"cpython-3.13.5-{LINUX}"),
        build(f"cpython-3.13.5-{MUSL}"),
        build("cpython-3.13.5-windows-x86_64-none", ".zip"),
    ) == {
        LINUX: ["cpython-3.13.5"],
        MUSL: ["cpython-3.13.5"],
        "windows-x86_64-none": [],
    }


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        (f"cpython-3.8.20-{LINUX}", ".tar.gz"),
        (f"cpython-3.13.5-{LINUX}", ".tar.zst"),
        (f"pypy-3.11.11-{LINUX}", ".tar.bz2"),
        (f"graalpy-3.12.0-{LINUX}", ".tar.gz"),
    ],
)
def test_what_cannot_start(key: str, suffix: str) -> None:
    assert chosen(build(key, suffix)) == {LINUX: []}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (build(f"cpython-3.9.1-{LINUX}"), build(f"pypy-3.11.11-{LINUX}", size=1)),
        (build(f"cpython-3.9.1-{LINUX}"), build(f"cpython-3.15.0a1-{LINUX}", size=1)),
        (build(f"cpython-3.9.1-{LINUX}"), build(f"cpython-3.13.5+freethreaded-{LINUX}", size=1)),
        (build(f"cpython-3.9.1-{LINUX}", size=1), build(f"cpython-3.13.5-{LINUX}")),
        (build(f"cpython-3.9.1-{LINUX}"), build(f"cpython-3.13.5-{LINUX}", size=1, glibc="2.36")),
        (build(f"cpython-3.9.1-{LINUX}", glibc="2.9"), build(f"cpython-3.13.5-{LINUX}", size=1)),
    ],
)
def test_order(better: Build, worse: Build) -> None:
    wanted = list(candidates([better]).values()) + list(candidates([worse]).values())
    for order in ([better, worse], [worse, better]):
        assert list(candidates(order)[LINUX]) == [each for (each,) in wanted]


def test_one_that_decodes_all_comes_first() -> None:
    builds = [
        build(f"cpython-3.13.5-{LINUX}", size=1),
        build(f"cpython-3.14.0-{LINUX}", size=9),
        build(f"cpython-3.12.9+debug-{LINUX}", ".tar.zst"),
    ]
    assert chosen(*builds)[LINUX] == ["cpython-3.14.0", "cpython-3.13.5"]
    assert chosen(*builds[:2])[LINUX] == ["cpython-3.13.5", "cpython-3.14.0"]


def entry(path: str, kind: str = "f", target: str = "") -> Entry:
    return Entry(path, kind, 0o755, 0, "", target)


def test_parts() -> None:
    library = "lib/python3.13"
    entries = [
        entry("bin", "d"),
        entry("bin/python3", "l", "python3.13"),
        entry("bin/python3.13"),
        entry("include/python3.13/Python.h"),
        entry("lib/libpython3.13.so.1.0"),
        entry("lib/libtcl9.0.so"),
        entry(library, "d"),
        entry(f"{library}/config-3.13-x86_64-linux-gnu/Makefile"),
        entry(f"{library}/encodings", "d"),
        entry(f"{library}/encodings/__init__.py"),
        entry(f"{library}/encodings/utf_8.py"),
        entry(f"{library}/os.py"),
        entry(f"{library}/odd name $x.py"),
        entry(f"{library}/site-packages/pip/__init__.py"),
        entry("share/terminfo/x/xterm"),
    ]
    key = BuildKey.parse(f"cpython-3.13.5-{LINUX}")
    assert parts(key, entries) == (
        "bin/python3.13",
        "lib/libpython3.13.so.1.0",
        f"{library}/encodings",
        f"{library}/os.py",
    )


def test_the_file_behind_a_link() -> None:
    entries = [entry("bin/pypy3.11", "l", "pypy3.11-c"), entry("bin/pypy3.11-c")]
    assert parts(BuildKey.parse(f"pypy-3.11.11-{LINUX}"), entries) == ("bin/pypy3.11-c",)


def test_levels() -> None:
    base = build(f"cpython-3.13.5-{LINUX}")
    level = replace(base, key=BuildKey.parse("cpython-3.13.5-linux-x86_64_v3-gnu"))
    assert list(candidates([level, base])) == [LINUX, "linux-x86_64_v3-gnu"]
