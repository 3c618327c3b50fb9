import os
import platform
import random
import struct
import sys
from dataclasses import replace

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer.hosts import Host, elf_interpreter, this_host
from support.bundled import host_key
from support.bundles import packed_build
from support.elf import CPUS, make_elf
from support.require import require

HOST = Host("linux", "x86_64", "gnu", "2.34", 2)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("cpython-3.13.5-linux-x86_64-gnu", ""),
        ("cpython-3.13.5-linux-x86_64_v2-gnu", ""),
        ("cpython-3.13.5-linux-x86_64_v3-gnu", "needs x86-64-v3, this CPU has level 2"),
        ("cpython-3.13.5-linux-aarch64-gnu", "is for aarch64, this is x86_64"),
        ("cpython-3.13.5-linux-x86_64-musl", "is for musl, this system's C library is gnu"),
        ("cpython-3.13.5-macos-x86_64-none", "is for macos, this is linux"),
        ("pyodide-3.13.2-emscripten-wasm32-musl", ""),
    ],
)
def test_why_a_build_does_not_fit(key, reason):
    found = HOST.unfit(BuildKey.parse(key))
    assert bool(found) == bool(reason)
    assert reason in found


@pytest.mark.parametrize(
    ("host", "key", "fits"),
    [
        (Host("macos", "aarch64", "none"), "macos-x86_64", True),
        (Host("macos", "x86_64", "none"), "macos-aarch64", False),
        (Host("windows", "x86_64", "none"), "windows-x86", True),
        (Host("windows", "aarch64", "none"), "windows-x86_64", True),
        (Host("windows", "x86_64", "none"), "windows-aarch64", False),
        (Host("linux", "aarch64", "gnu"), "linux-x86_64", False),
    ],
)
def test_some_systems_run_what_is_for_other_cpus(host, key, fits):
    libc = "gnu" if host.os == "linux" else "none"
    assert (not host.unfit(BuildKey.parse(f"cpython-3.13.5-{key}-{libc}"))) is fits
    target = f"{key}-{libc}"
    assert (target in host.targets) is fits


def test_every_target_that_runs_here_is_known_the_best_last():
    assert HOST.targets == ("linux-x86_64-gnu", "linux-x86_64_v2-gnu")
    assert replace(HOST, arch="aarch64").targets == ("linux-aarch64-gnu",)
    assert Host("windows", "aarch64", "none").targets == (
        *("windows-x86-none", "windows-x86_64-none", "windows-aarch64-none"),
    )


@pytest.mark.parametrize(
    ("needed", "has", "lacks"),
    [("2.17", "2.34", False), ("2.34", "2.34", False), ("2.35", "2.34", True),
     ("2.9", "2.34", False), ("2.100", "2.34", True), ("", "2.34", False), ("2.17", "", False)],
)  # fmt: skip
def test_versions_of_glibc_are_compared_as_numbers(needed, has, lacks):
    build = packed_build().build
    build = replace(build, needs=replace(build.needs, glibc=needed))
    reason = replace(HOST, libc_version=has).lacks(build)
    assert bool(reason) == lacks
    assert not lacks or reason == f"it needs glibc {needed}, this system has {has}"


def test_what_a_system_may_tell_wrongly_is_doubted_only():
    build = packed_build("cpython-3.13.5-linux-x86_64_v3-gnu").build
    unknown = replace(HOST, cpu_level=0)
    assert not unknown.unfit(build.key)
    assert unknown.doubts(build) == {
        "cpu": "it needs x86-64-v3, and the level of this CPU can't be told"
    }
    assert not HOST.doubts(build)
    build = replace(packed_build().build, needs=replace(build.needs, os="11.0"))
    for version, doubted in (("10.15.7", True), ("11.0", False), ("14.5", False), ("", False)):
        assert ("os-version" in replace(HOST, os_version=version).doubts(build)) == doubted


def test_a_host_as_a_text():
    assert str(HOST) == "linux-x86_64_v2-gnu 2.34"
    assert str(Host("macos", "aarch64", "none")) == "macos-aarch64-none"


def test_this_host_is_what_runs_the_tests():
    host = this_host()
    require(sys.platform == "linux", "a Linux")
    assert host.os == "linux"
    assert host.arch in (platform.machine(), "armv7", "riscv64gc", "powerpc64le", "x86")
    libc, version = platform.libc_ver()
    if libc == "glibc":
        assert (host.libc[:3], host.libc_version) == ("gnu", version)
    assert not host.unfit(host_key())
    assert 1 <= host.cpu_level <= 4
    assert host.os_version == platform.release()


@pytest.mark.parametrize("cpu", sorted(CPUS))
def test_the_interpreter_of_every_kind_of_elf(cpu, tmp_path):
    kind = CPUS[cpu]
    for number, loader in enumerate((kind.glibc_loader, "/lib/ld-musl-x86_64.so.1")):
        path = tmp_path / str(number)
        path.write_bytes(make_elf(cpu, interpreter=loader, needed=["libc.so.6"]))
        assert elf_interpreter(str(path)) == loader


def test_what_has_no_elf_interpreter(tmp_path):
    (tmp_path / "static").write_bytes(make_elf("x86_64", needed=["libc.so.6"]))
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("static", "script", "empty", "nothing", "."):
        assert elf_interpreter(str(tmp_path / name)) == ""


def test_a_damaged_elf_is_one_without_interpreter_or_with_another(tmp_path):
    whole = make_elf("x86_64", interpreter=CPUS["x86_64"].glibc_loader, needed=["libc.so.6"])
    path = tmp_path / "elf"
    for length in range(140):
        path.write_bytes(whole[:length])
        assert elf_interpreter(str(path)) == ""
    chance = random.Random(1)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[4 + chance.randrange(180)] = chance.choice([0, 1, 2, 3, 0x7F, 0x80, 0xFF])
        path.write_bytes(data)
        assert isinstance(elf_interpreter(str(path)), str)
    # The segment's size says four exabytes.
    start = struct.unpack_from("<Q", whole, 32)[0]
    data = bytearray(whole)
    for number in range(struct.unpack_from("<H", whole, 56)[0]):
        struct.pack_into("<Q", data, start + number * 56 + 32, 1 << 62)
    path.write_bytes(data)
    assert elf_interpreter(str(path)).startswith(CPUS["x86_64"].glibc_loader)


def test_the_libc_is_that_of_the_shell_and_not_of_this_python():
    loader = elf_interpreter(os.path.realpath("/bin/sh"))
    require(loader, "a dynamically linked shell")
    assert ("musl" in loader) == (this_host().libc == "musl")
