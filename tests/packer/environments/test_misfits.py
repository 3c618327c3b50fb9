from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import Target
from kitbag_packer.environments.misfits import why_none_fits
from kitbag_packer.environments.model import For
from kitbag_packer.environments.platforms import Platform


def _platform(
    target: str = "linux-x86_64-gnu", version: str = "3.13.5", variant: str = ""
) -> Platform:
    return Platform.of(For("cpython", version, variant, Target.parse(target)))


def _why(platform: Platform, *tags: str) -> str:
    return why_none_fits([f"numpy-2.1.0-{tag}.whl" for tag in tags], platform)


def test_wheels_for_other_targets_are_named_without_their_versions() -> None:
    told = _why(
        _platform("linux-riscv64gc-gnu"),
        "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp313-cp313-macosx_11_0_arm64",
        "cp313-cp313-musllinux_1_2_aarch64",
        "cp313-cp313-win_amd64",
        "cp312-cp312-win32",
    )
    assert told == (
        "has wheels for macosx_arm64, manylinux_x86_64, musllinux_aarch64, win_amd64, "
        "but none for linux-riscv64gc-gnu"
    )


def test_wheels_for_other_pythons() -> None:
    told = _why(
        _platform(version="3.14.0", variant="freethreaded"),
        "cp39-cp39-manylinux_2_17_x86_64",
        "cp314-cp314-manylinux_2_17_x86_64",
        "cp313-cp313t-manylinux_2_17_x86_64",
        "cp37-abi3-manylinux_2_17_x86_64",
        "py2-none-any",
        "cp311-cp311-win_amd64",
    )
    assert told == (
        "has wheels for cp39, cp314, cp313t, cp37-abi3, py2, "
        "but none for cpython 3.14.0+freethreaded"
    )


def test_neither_the_python_nor_the_target() -> None:
    assert _why(_platform(), "cp39-cp39-win_amd64") == (
        "has wheels for cp39 on win_amd64, but none for cpython 3.13.5 on linux-x86_64-gnu"
    )


@pytest.mark.parametrize(
    ("target", "tags", "newer", "level"),
    [
        ("linux-x86_64-gnu", ["manylinux_2_34_x86_64", "manylinux_2_31_x86_64"], "glibc 2.31", ""),
        ("macos-aarch64-none", ["macosx_15_0_arm64", "macosx_14_0_arm64"], "macOS 14.0", "13.0"),
        ("linux-aarch64-musl", ["musllinux_1_3_aarch64"], "musl 1.3", "1.2"),
    ],
)
def test_systems_that_are_only_too_old(
    target: str, tags: list[str], newer: str, level: str
) -> None:
    told = _why(_platform(target), "cp313-cp313-win_amd64", *(f"py3-none-{tag}" for tag in tags))
    system = newer.partition(" ")[0]
    assert told == (
        f"has wheels for {newer} and later, and they are chosen for {system} {level or '2.28'}"
    )


def test_many_are_not_all_named() -> None:
    told = _why(_platform(), *(f"cp3{minor}-cp3{minor}-linux_x86_64" for minor in range(2, 13)))
    assert told == (
        "has wheels for cp32, cp33, cp34, cp35, cp36, cp37, cp38, cp39 and 3 more, "
        "but none for cpython 3.13.5"
    )


_TARGETS = ["linux-mips-gnu", "linux-x86_64-musl", "macos-x86_64-none", "windows-x86-none"]
_SYSTEMS = ["any", "win32", "manylinux1_i686", "musllinux_1_3_x86_64", "macosx_14_0_x86_64"]


@given(
    st.sampled_from(_TARGETS),
    st.lists(
        st.builds(
            "{}-{}-{}".format,
            st.sampled_from(["cp27", "cp313", "py2", "pp39", "cp313.cp27"]),
            st.sampled_from(["none", "abi3", "cp313", "cp313t.cp27mu"]),
            st.sampled_from(_SYSTEMS),
        ),
        min_size=1,
    ),
)
def test_it_is_always_one_clause(target: str, tags: list[str]) -> None:
    told = _why(_platform(target), *tags)
    assert told.startswith("has wheels for ")
    assert "\n" not in told
