from dataclasses import replace

import pytest

from kitbag_bundles.keys import BuildKey, Target
from kitbag_bundles.manifest import Build
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.starting import (
    Runtime,
    Shortfall,
    can_start,
    decodes,
    runs_on,
    shortfall,
    starters,
)
from support.bundles import packed_build

GNU = "linux-x86_64-gnu"
LINUX = Target.parse(GNU)
V3 = Target.parse("linux-x86_64_v3-gnu")
PYODIDE = "pyodide-3.13.2-emscripten-wasm32-musl"


def a_build(key: str, suffix: str = ".tar.gz", flavor: str = "install_only", **fields) -> Build:
    build = packed_build(key).build
    name = f"archives/{fields.pop('name', key)}{suffix}"
    payload = replace(build.payload, member=name, size=fields.pop("size", 1000))
    return replace(build, payload=payload, flavor=flavor, **fields)


def lacks(*builds: Build, target: Target = LINUX) -> Shortfall | None:
    return shortfall([Runtime.of(build) for build in builds], target)


@pytest.mark.parametrize(
    ("key", "suffix", "starts"),
    [
        (f"cpython-3.13.5-{GNU}", ".tar.gz", True),
        (f"cpython-3.9.0+debug-{GNU}", ".tgz", True),
        (f"pypy-3.11.15-{GNU}", ".tar.gz", True),
        ("cpython-3.13.5-windows-x86_64-none", ".tar.gz", True),
        (f"cpython-3.8.20-{GNU}", ".tar.gz", False),
        (f"cpython-3.9.0rc2-{GNU}", ".tar.gz", False),
        (f"graalpy-3.11.0-{GNU}", ".tar.gz", False),
        (PYODIDE, ".tar.gz", False),
        (f"pypy-3.11.15-{GNU}", ".tar.bz2", False),
        ("pypy-3.11.15-windows-x86_64-none", ".zip", False),
        *((f"cpython-3.14.5-{GNU}", form, False) for form in (".tar.zst", ".tar.xz", ".7z")),
    ],
)
def test_what_a_shell_can_start(key, suffix, starts):
    assert can_start(a_build(key, suffix)) is starts


@pytest.mark.parametrize(
    ("release", "name", "starts"),
    [
        ("20250310", "cpython-3.13.2+20250310-x86_64-unknown-linux-musl-install_only", False),
        ("20250311", "cpython-3.13.2+20250311-x86_64-unknown-linux-musl-install_only", True),
        ("20260101", "cpython-3.13.2+20260101-x86_64-unknown-linux-musl-lto+static-full", False),
        ("", "my-own", True),
    ],
)
def test_static_builds_are_left_alone(release, name, starts):
    key = "cpython-3.13.2-linux-x86_64-musl"
    assert can_start(a_build(key, release=release, name=name)) is starts
    options = ("lto", "static") if "static" in name else ()
    offer = Offer(BuildKey.parse(key), f"{name}.tar.gz", "", "", release=release, options=options)
    if release:
        assert Runtime.promised(offer).starts is starts


@pytest.mark.parametrize(
    ("key", "flavor", "forms"),
    [
        (f"cpython-3.14.0-{GNU}", "install_only", {".tar.bz2", ".tar.xz", ".tar.zst"}),
        (f"cpython-3.14.0rc3-{GNU}", "install_only", {".tar.bz2", ".tar.xz"}),
        (f"cpython-3.13.5-{GNU}", "install_only", {".tar.bz2", ".tar.xz"}),
        (f"pypy-3.14.2-{GNU}", "", {".tar.bz2", ".tar.xz"}),
        (f"cpython-3.14.5-{GNU}", "rerooted", set()),
    ],
)
def test_what_a_build_decodes(key, flavor, forms):
    build = a_build(key, flavor=flavor)
    every = {".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z"}
    found = {form for form in every if decodes(build, form)}
    assert found == forms | {".tar.gz", ".tgz", ".zip"}


def test_a_level_runs_what_is_below_it_and_pyodide_runs_anywhere():
    for key, target, runs in (
        (f"cpython-3.13.5-{GNU}", V3, True),
        ("cpython-3.13.5-linux-x86_64_v3-gnu", LINUX, False),
        ("cpython-3.13.5-linux-x86_64_v3-gnu", V3, True),
        ("cpython-3.13.5-linux-x86_64-musl", LINUX, False),
        ("cpython-3.13.5-windows-x86-none", Target.parse("windows-x86_64"), False),
        (PYODIDE, Target.parse("windows-x86_64"), True),
    ):
        assert runs_on(BuildKey.parse(key), target) is runs, (key, target)


def test_the_best_starter_decodes_most_and_is_plain_and_small():
    plain = a_build(f"cpython-3.13.5-{GNU}")
    small = a_build(f"cpython-3.12.1-{GNU}", size=10)
    new = a_build(f"cpython-3.14.5-{GNU}", size=5000)
    early = a_build(f"cpython-3.15.0a1-{GNU}", size=1)
    free = a_build(f"cpython-3.13.5+freethreaded-{GNU}", size=1)
    level = a_build("cpython-3.13.5-linux-x86_64_v3-gnu", size=1)
    pypy = a_build(f"pypy-3.11.15-{GNU}", size=1)
    packed = a_build(f"cpython-3.13.5+debug-{GNU}", ".tar.zst")
    ordered = [small, plain, new, free, early, pypy]
    assert list(starters(reversed([*ordered, level]), LINUX)) == ordered
    # What tells the level of a CPU may be wrong, so the baseline goes first.
    assert list(starters([level, *ordered], V3)) == [*ordered, level]
    assert starters([*ordered, packed], LINUX)[:2] == (new, early)
    for_level = a_build("cpython-3.13.5+debug-linux-x86_64_v3-gnu", ".tar.zst")
    assert starters([*ordered, for_level], LINUX)[:2] == (new, early)
    assert starters([packed], LINUX) == ()


def test_what_is_short():
    plain, new = a_build(f"cpython-3.13.5-{GNU}"), a_build(f"cpython-3.14.5-{GNU}")
    packed = a_build(f"cpython-3.13.5+debug-{GNU}", ".tar.zst")
    pypy = a_build(f"pypy-3.11.15-{GNU}", ".tar.bz2")
    wrapped = a_build(f"pypy-3.10.1-{GNU}", ".7z")
    assert lacks(plain, pypy) is None
    assert lacks(new, packed) is None
    assert lacks(plain, target=V3) is None
    assert lacks(pypy) == Shortfall(LINUX, starter=False, undecodable=())
    assert lacks(packed) == Shortfall(LINUX, starter=False, undecodable=(".tar.zst",))
    assert lacks(plain, packed) == Shortfall(LINUX, starter=True, undecodable=(".tar.zst",))
    assert lacks(new, packed, wrapped) == Shortfall(LINUX, starter=True, undecodable=(".7z",))
    level = a_build("cpython-3.14.5-linux-x86_64_v3-gnu")
    assert lacks(level, packed, target=V3) is None
    assert lacks(plain, level, packed, target=V3) is not None
    # Every machine that a Pyodide is carried to has to decode it.
    assert lacks(plain, a_build(PYODIDE, ".7z")) is not None
