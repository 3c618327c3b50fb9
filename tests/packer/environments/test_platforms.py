from __future__ import annotations

import random
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker, UndefinedComparison
from packaging.tags import Tag, create_compatible_tags_selector, sys_tags
from packaging.utils import parse_wheel_filename

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_bundles.keys import Target
from kitbag_packer.environments.model import For
from kitbag_packer.environments.platforms import Platform, default_glibc
from kitbag_packer.targets import EMSCRIPTEN, KNOWN
from support.uvtool import uv_program
from support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

UV_NAMES = {
    "linux-x86_64-gnu": "x86_64-unknown-linux-gnu",
    "linux-aarch64-gnu": "aarch64-unknown-linux-gnu",
    "linux-x86_64-musl": "x86_64-unknown-linux-musl",
    "linux-aarch64-musl": "aarch64-unknown-linux-musl",
    "linux-riscv64gc-gnu": "riscv64-unknown-linux",
    "macos-aarch64-none": "aarch64-apple-darwin",
    "macos-x86_64-none": "x86_64-apple-darwin",
    "windows-x86_64-none": "x86_64-pc-windows-msvc",
    "windows-aarch64-none": "aarch64-pc-windows-msvc",
    "windows-x86-none": "i686-pc-windows-msvc",
}
_PACKAGES = 60


def _for(
    target: str = "linux-x86_64-gnu",
    version: str = "3.13.5",
    variant: str = "",
    implementation: str = "cpython",
) -> For:
    return For(implementation, version, variant, Target.parse(target))


def _platform(*args: str, glibc: str = "", release: str = "") -> Platform:
    return Platform.of(_for(*args), glibc, release)


def _systems(platform: Platform) -> list[str]:
    return list(dict.fromkeys(tag.platform for tag in platform.tags if tag.platform != "any"))


def _fits(platform: Platform, tag: str) -> bool:
    return Tag(*tag.split("-")) in platform.tags


@pytest.mark.parametrize("target", sorted(map(str, set(KNOWN) - {EMSCRIPTEN})))
@pytest.mark.parametrize("implementation", ["cpython", "pypy", "graalpy"])
def test_every_known_target_has_tags_and_markers(target: str, implementation: str) -> None:
    platform = _platform(target, "3.11.9", "", implementation)
    assert len(set(platform.tags)) == len(platform.tags)
    assert _fits(platform, "py3-none-any")
    assert len({tag.platform for tag in platform.tags}) >= 2
    assert all(value for name, value in platform.markers.items() if name not in platform.unknown)


@pytest.mark.parametrize("target", sorted(map(str, set(KNOWN) - {EMSCRIPTEN})))
def test_a_cpu_level_makes_no_difference(target: str) -> None:
    plain = target.replace("_v2", "").replace("_v3", "").replace("_v4", "")
    assert _platform(target).tags == _platform(plain).tags
    assert _platform(target).markers == _platform(plain).markers


@pytest.mark.parametrize(
    ("target", "systems"),
    [
        ("linux-x86_64-gnu", ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64"]),
        ("linux-aarch64-gnu", ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64"]),
        ("linux-riscv64gc-gnu", ["manylinux_2_39_riscv64", "manylinux_2_38_riscv64"]),
        ("linux-loongarch64-gnu", ["manylinux_2_38_loongarch64", "manylinux_2_37_loongarch64"]),
        ("linux-powerpc64le-gnu", ["manylinux_2_28_ppc64le", "manylinux_2_27_ppc64le"]),
        ("linux-armv7-gnueabihf", ["manylinux_2_28_armv7l", "manylinux_2_27_armv7l"]),
        ("linux-armv7-gnueabi", ["linux_armv7l"]),
        ("linux-armv7-musleabi", ["linux_armv7l"]),
        ("linux-mips-gnu", ["linux_mips"]),
        ("linux-x86-gnu", ["manylinux_2_28_i686", "manylinux_2_27_i686"]),
        ("linux-x86_64-musl", ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"]),
        ("linux-armv7-musleabihf", ["musllinux_1_2_armv7l", "musllinux_1_1_armv7l"]),
        ("macos-aarch64-none", ["macosx_13_0_arm64", "macosx_13_0_universal2"]),
        ("macos-x86_64-none", ["macosx_13_0_x86_64", "macosx_13_0_intel"]),
        ("windows-x86_64-none", ["win_amd64"]),
        ("windows-aarch64-none", ["win_arm64"]),
        ("windows-x86-none", ["win32"]),
    ],
)
def test_the_best_systems_of_a_target(target: str, systems: list[str]) -> None:
    assert _systems(_platform(target))[:2] == systems


def test_another_glibc_moves_the_limit() -> None:
    old = _platform(glibc="2.17")
    assert _systems(old)[:2] == ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]
    assert not _fits(old, "cp313-cp313-manylinux_2_28_x86_64")
    assert _fits(_platform(glibc="2.34"), "cp313-cp313-manylinux_2_34_x86_64")
    assert _systems(_platform("linux-riscv64gc-gnu", glibc="2.28")) == ["linux_riscv64"]
    assert _systems(_platform("linux-x86_64-gnu", glibc="2.5"))[-2:] == [
        "manylinux1_x86_64",
        "linux_x86_64",
    ]


@pytest.mark.parametrize("target", ["linux-x86_64-musl", "macos-aarch64-none"])
def test_where_there_is_no_glibc_none_is_looked_at(target: str) -> None:
    assert _platform(target, glibc="2.17") == _platform(target)
    assert _platform(target).glibc == default_glibc(Target.parse(target)) == ""


def test_the_default_glibc_is_told() -> None:
    assert _platform().glibc == default_glibc(Target.parse("linux-x86_64-gnu")) == "2.28"
    assert _platform(glibc="2.31").glibc == "2.31"


@pytest.mark.parametrize("glibc", ["3.1", "2", "2.", "2.1234", "new", "2.17 ", "2.٣"])
def test_what_is_no_glibc_is_refused(glibc: str) -> None:
    with pytest.raises(UsageError, match=r"is no version of glibc"):
        _platform(glibc=glibc)


@pytest.mark.parametrize(
    ("variant", "abis"),
    [
        ("", ["cp313", "abi3", "none"]),
        ("debug", ["cp313d", "cp313", "abi3", "none"]),
        ("freethreaded", ["cp313t", "abi3t", "none"]),
        ("freethreaded+debug", ["cp313td", "cp313t", "abi3t", "none"]),
    ],
)
def test_the_abis_of_a_variant_in_their_order(variant: str, abis: list[str]) -> None:
    platform = _platform("linux-x86_64-gnu", "3.13.5", variant)
    own = [tag.abi for tag in platform.tags if tag.interpreter == "cp313" and tag.platform != "any"]
    assert list(dict.fromkeys(own)) == abis


def test_old_versions_have_their_own_abi() -> None:
    assert _platform("linux-x86_64-gnu", "3.7.9").tags[0].abi == "cp37m"
    assert _platform("linux-x86_64-gnu", "3.8.20").tags[0].abi == "cp38"


def test_other_implementations() -> None:
    pypy = _platform("linux-x86_64-gnu", "3.11.15", "", "pypy", release="7.3.23")
    assert str(pypy.tags[0]) == "pp311-pypy311_pp73-manylinux_2_28_x86_64"
    assert pypy.markers["implementation_version"] == "7.3.23"
    assert pypy.markers["platform_python_implementation"] == "PyPy"
    graalpy = _platform("macos-aarch64-none", "3.11.0", "", "graalpy", release="24.2.2")
    assert str(graalpy.tags[0]) == "graalpy311-graalpy242_311_native-macosx_13_0_arm64"
    assert graalpy.markers["platform_python_implementation"] == "GraalVM"
    unreleased = _platform("macos-aarch64-none", "3.11.0", "", "graalpy")
    assert not any("native" in tag.abi for tag in unreleased.tags)


def test_pyodide_is_refused() -> None:
    with pytest.raises(UsageError, match="Pyodide takes no packages along"):
        Platform.of(For("pyodide", "3.13.2", "", EMSCRIPTEN))


@pytest.mark.parametrize("version", ["3", "three", "3.13.5.1", "", "3.13.5-1"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match="is no version of Python"):
        _platform("linux-x86_64-gnu", version)


@pytest.mark.parametrize(
    ("version", "full"),
    [("3.13", "3.13.0"), ("3.13.5", "3.13.5"), ("3.15.0rc1", "3.15.0rc1"), ("3.15a2", "3.15.0a2")],
)
def test_versions_in_markers(version: str, full: str) -> None:
    markers = _platform("linux-x86_64-gnu", version).markers
    assert (markers["python_full_version"], markers["implementation_version"]) == (full, full)
    assert markers["python_version"] == full.rpartition(".")[0]


def test_this_interpreter_takes_what_is_said_of_its_own_kind() -> None:
    # Its own tags begin with this machine's glibc, which may be newer or older.
    import platform as machine
    import sys

    if sys.implementation.name != "cpython" or machine.system() != "Linux":
        pytest.skip("compares with CPython on Linux")
    from kitbag_packer.targets import host_target

    level = machine.libc_ver()[1] if machine.libc_ver()[0] == "glibc" else ""
    ours = Platform.of(
        For("cpython", machine.python_version().rstrip("+"), "", host_target()), level
    )
    theirs = [tag for tag in sys_tags() if "musl" not in tag.platform]
    known = set(ours.tags)
    assert set(theirs) == {tag for tag in known if "musl" not in tag.platform}


def _holds(text: str, platform: Platform | None = None, **sets: tuple[str, ...]) -> bool:
    return (platform or _platform()).holds(Marker(text), **sets)


def test_markers_are_the_target_s() -> None:
    windows = _platform("windows-x86_64-none", "3.11.9")
    assert _holds("sys_platform == 'win32' and platform_machine == 'AMD64'", windows)
    assert _holds("os_name == 'nt' and python_full_version < '3.12'", windows)
    assert not _holds("platform_system == 'Linux'", windows)
    assert _holds("platform_machine == 'arm64'", _platform("macos-aarch64-none"))
    assert _holds("platform_machine == 'riscv64'", _platform("linux-riscv64gc-gnu"))


def test_extras_and_groups_in_markers() -> None:
    assert _holds("'fast' in extras", extras=("fast",))
    assert not _holds("'fast' in extras")
    assert _holds("'dev' in dependency_groups", groups=("dev",))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("sys_platform == 'darwin' and platform_release >= '20.0'", False),
        ("platform_version == 'x' and sys_platform == 'darwin'", False),
        ("sys_platform == 'linux' or '20.0' <= platform_release", True),
        ("platform_release in 'a b' or platform_version not in 'c' or os_name == 'posix'", True),
        ("""platform_machine == 'platform_release == "1"'""", False),
    ],
)
def test_what_nobody_knows_may_not_matter(text: str, answer: bool) -> None:
    assert _holds(text) is answer


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("platform_release >= '20.0'", "platform_release"),
        ("'Ubuntu' in platform_version", "platform_version"),
        ("sys_platform == 'linux' and (os_name == 'nt' or platform_release == '')", "_release"),
        ("platform_version == platform_release", "platform_release and platform_version"),
    ],
)
def test_what_only_the_target_knows_is_told(text: str, name: str) -> None:
    with pytest.raises(NoMatch, match=r"can't be evaluated for linux-x86_64-gnu.*") as caught:
        _holds(text)
    assert name in str(caught.value)


def test_the_version_of_pypy_is_known_with_its_release() -> None:
    pypy = _for("linux-x86_64-gnu", "3.11.15", "", "pypy")
    marker = Marker("implementation_version >= '7.3.20'")
    with pytest.raises(NoMatch, match="implementation_version"):
        Platform.of(pypy).holds(marker)
    assert Platform.of(pypy, release="7.3.23").holds(marker)
    assert not Platform.of(pypy, release="7.3.9").holds(marker)


@pytest.mark.parametrize("text", ["extra == 'fast'", "os_name ~= 'posix'"])
def test_a_marker_that_makes_no_sense_is_told(text: str) -> None:
    with pytest.raises(NoMatch, match="can't be evaluated: "):
        _holds(text)


_NAMES = ("platform_release", "platform_version", "sys_platform", "python_full_version", "os_name")
_ATOMS = st.builds(
    "{} {} '{}'".format,
    st.sampled_from(_NAMES),
    st.sampled_from(["==", "!=", "<", ">=", "in", "not in"]),
    st.sampled_from(["linux", "posix", "3.12", "5.10", "", "#1 SMP", 'a "b" and c']),
)
_MARKERS = st.recursive(
    _ATOMS,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=8,
)


@given(_MARKERS, st.sampled_from(["5.10.0", "6", ""]), st.sampled_from(["#1 SMP", "5.10"]))
def test_an_answer_is_right_whatever_the_target_turns_out_to_be(
    text: str, release: str, version: str
) -> None:
    platform = _platform()
    marker = Marker(text)
    real = {**platform.markers, "platform_release": release, "platform_version": version}
    try:
        answer = platform.holds(marker)
    except NoMatch:
        return
    try:
        truth = marker.evaluate(real, context="lock_file")
    except (UndefinedComparison, ValueError):
        return
    assert answer is truth


@given(_MARKERS.filter(lambda text: "platform_" not in text))
def test_without_unknown_values_markers_mean_what_they_always_mean(text: str) -> None:
    platform = _platform()
    truth = Marker(text).evaluate({**platform.markers}, context="lock_file")
    assert platform.holds(Marker(text)) is truth


@pytest.mark.parametrize("version", ["3.11", "3.14"])
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(name, marks=[] if name == "linux-x86_64-gnu" else [pytest.mark.slow])
        for name in UV_NAMES
    ],
)
def test_uv_prefers_the_same_wheels(target: str, version: str, tmp_path: Path) -> None:
    # Without an index: uv chooses among wheels in a folder, a few with random tags each.
    platform = _platform(target, version)
    chance = random.Random(f"{target} {version}")
    # uv has forgotten the tag of binaries for three kinds of CPU at once.
    tags = [str(tag) for tag in platform.tags if not tag.platform.endswith("fat3")]
    made_for = replace(platform.made_for, target=Target.parse("linux-s390x-gnu"))
    tags += [str(tag) for tag in Platform.of(made_for).tags if tag.platform != "any"][:40]
    wheels: dict[str, list[str]] = {}
    links = tmp_path / "links"
    for number in range(_PACKAGES):
        name = f"package{number}"
        chosen = ["py3-none-any", *chance.sample(tags, chance.randint(1, 6))]
        wheels[name] = [
            make_wheel(
                tmp_path / "links", name, tags=each, build=chance.choice(["", "1", "2"])
            ).name
            for each in chosen[chance.randint(0, 1) :]
        ]
    selector = create_compatible_tags_selector(platform.tags)
    expected = {}
    for name, filenames in wheels.items():
        by_build = sorted(filenames, key=lambda each: parse_wheel_filename(each)[2], reverse=True)
        best = next(selector((each, parse_wheel_filename(each)[3]) for each in by_build), None)
        if best:
            expected[name] = best
    assert len(expected) > _PACKAGES / 2
    (tmp_path / "wanted.txt").write_text("\n".join(expected))
    done = subprocess.run(
        [
            *(uv_program(), "pip", "compile", tmp_path / "wanted.txt", "-v", "--no-index"),
            *("--find-links", links, "--python-version", version),
            *("--python-platform", UV_NAMES[target], "--no-python-downloads"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.findall(r"Selecting: (\S+?)==\S+ \[compatible\] \((\S+)\)", done.stderr)
    assert dict(found) == expected
