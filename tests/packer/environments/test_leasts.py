from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_packer.environments.carrying import made_for
from kitbag_packer.environments.leasts import least_glibc, least_macos
from kitbag_packer.environments.model import Planned, Ready, Spec, WheelFile
from kitbag_packer.environments.wheels import inspect_wheel
from support.elf import make_elf
from support.wheels import make_wheel


def ready(target: str, *files: WheelFile) -> Ready:
    place = made_for(BuildKey.parse(f"cpython-3.13.5-{target}"), "")
    return Ready(Planned(Spec("app", "lock", Path("x")), place, ()), files)


@pytest.fixture
def wheel(tmp_path):
    def make(tags: str, name: str = "x", *, built: bool = False, **more) -> WheelFile:
        from dataclasses import replace

        path = make_wheel(tmp_path, name, tags=tags, **more)
        found = inspect_wheel(path, path.name)
        return replace(found, wheel=replace(found.wheel, built=built))

    return make


@pytest.mark.parametrize(
    ("tags", "glibc"),
    [
        ("py3-none-any", ""),
        ("cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", "2.17"),
        ("cp39-abi3-manylinux1_x86_64", "2.5"),
        ("cp39-abi3-manylinux2010_x86_64", "2.12"),
        ("cp313-cp313-manylinux_2_5_x86_64.manylinux_2_28_x86_64", "2.5"),
        ("cp313-cp313-manylinux_2_17_aarch64.manylinux_2_28_x86_64", "2.28"),
        ("cp313-cp313-linux_x86_64", ""),
    ],
)
def test_what_tags_say_of_glibc(wheel, tags, glibc):
    assert least_glibc(ready("linux-x86_64-gnu", wheel(tags))) == glibc


def test_the_newest_of_all_wheels_counts(wheel):
    files = (
        wheel("cp39-abi3-manylinux_2_5_x86_64", "a"),
        wheel("cp39-abi3-manylinux_2_17_x86_64", "b"),
        wheel("py3-none-any", "c"),
    )
    assert least_glibc(ready("linux-x86_64-gnu", *files)) == "2.17"
    assert least_macos(ready("linux-x86_64-gnu", *files)) == ""


@pytest.mark.parametrize(
    ("tags", "target", "least"),
    [
        ("cp39-abi3-macosx_11_0_arm64", "macos-aarch64-none", "11.0"),
        ("cp39-abi3-macosx_10_9_universal2", "macos-aarch64-none", "10.9"),
        ("cp39-abi3-macosx_10_12_x86_64.macosx_11_0_arm64", "macos-aarch64-none", "11.0"),
        ("py3-none-any", "macos-aarch64-none", ""),
        ("cp39-abi3-win_amd64", "windows-x86_64-none", ""),
        ("cp39-abi3-musllinux_1_2_x86_64", "linux-x86_64-musl", ""),
    ],
)
def test_what_tags_say_of_macos(wheel, tags, target, least):
    found = ready(target, wheel(tags))
    assert (least_macos(found), least_glibc(found)) == (least, "")


def test_what_was_built_tells_itself(wheel):
    library = make_elf("x86_64", needed=["libc.so.6"], versions={"libc.so.6": ["GLIBC_2.34"]})
    files = {"x/_speed.so": library, "x/__init__.py": b""}
    built = wheel("cp313-cp313-linux_x86_64", built=True, files=files)
    assert least_glibc(ready("linux-x86_64-gnu", built)) == "2.34"
    pure = wheel("py3-none-any", "y", built=True)
    assert least_glibc(ready("linux-x86_64-gnu", pure)) == ""
