"""uv's names of targets."""

from __future__ import annotations

import re
import subprocess

import pytest

from kitbag_bundles.keys import Target
from kitbag_packer.environments import uvplatforms
from kitbag_packer.environments.model import For
from kitbag_packer.environments.uvplatforms import uv_platform
from kitbag_packer.targets import KNOWN
from support.uvtool import uv_program


def platform(target: str, glibc: str = "", implementation: str = "cpython") -> str:
    return uv_platform(For(implementation, "3.13.5", "", Target.parse(target)), glibc)


@pytest.mark.parametrize(
    ("target", "glibc", "name"),
    [
        ("linux-x86_64-gnu", "", "x86_64-unknown-linux-gnu"),
        ("linux-x86_64_v3-gnu", "", "x86_64-unknown-linux-gnu"),
        ("linux-x86_64-gnu", "2.28", "x86_64-manylinux_2_28"),
        ("linux-aarch64-gnu", "2.30", "aarch64-manylinux_2_28"),
        ("linux-x86_64-gnu", "2.99", "x86_64-manylinux_2_40"),
        ("linux-x86_64-gnu", "2.12", ""),
        ("linux-x86_64-musl", "2.28", "x86_64-unknown-linux-musl"),
        ("linux-riscv64gc-gnu", "2.28", "riscv64-unknown-linux"),
        ("linux-armv7-gnueabihf", "", ""),
        ("macos-aarch64-none", "", "aarch64-apple-darwin"),
        ("windows-x86_64-none", "", "x86_64-pc-windows-msvc"),
        ("emscripten-wasm32-musl", "", ""),
    ],
)
def test_names(target: str, glibc: str, name: str) -> None:
    assert platform(target, glibc) == name


def test_other_implementations_have_none() -> None:
    assert platform("linux-x86_64-gnu", implementation="pypy") == ""


def test_every_target_with_a_name_is_one_of_kitbags() -> None:
    assert set(uvplatforms._PLAIN) <= set(map(str, KNOWN))


def test_uv_knows_every_name() -> None:
    text = subprocess.run(
        [uv_program(), "pip", "compile", "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"[a-z0-9_]+-[a-z0-9_-]+", text))
    names = set(uvplatforms._PLAIN.values())
    names |= {
        f"{arch}-manylinux_2_{minor}"
        for arch in ("x86_64", "aarch64")
        for minor in uvplatforms._GLIBC
    }
    assert names <= known
