import importlib.util
import re
import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.binaries import BadBinary, Binary, is_binary, read_binaries
from support.elf import CPUS, make_elf, sysv_hash
from support.foreign import make_macho, make_pe
from support.interpreters import running_interpreter
from support.require import require, require_command


def read(data: bytes) -> Binary:
    (found,) = read_binaries(BytesIO(data))
    return found


def with_versions(names: list[str]) -> bytes:
    return make_elf("x86_64", needed=["libc.so.6"], versions={"libc.so.6": names})


ARCHES = {
    "x86_64": ("x86_64", "gnu"),
    "aarch64": ("aarch64", "gnu"),
    "i686": ("x86", "gnu"),
    "armv7-gnueabi": ("armv7", "gnueabi"),
    "armv7-gnueabihf": ("armv7", "gnueabihf"),
    "ppc64le": ("powerpc64le", "gnu"),
    "s390x": ("s390x", "gnu"),
    "riscv64": ("riscv64gc", "gnu"),
}


@pytest.mark.parametrize("cpu", sorted(ARCHES))
def test_elf_of_every_cpu(cpu):
    loader = CPUS[cpu].glibc_loader
    found = read(
        make_elf(
            cpu,
            interpreter=loader,
            needed=["libm.so.6", "libc.so.6"],
            versions={"libm.so.6": ["GLIBC_2.9"], "libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.17"]},
        )
    )
    arch, libc = ARCHES[cpu]
    assert found == Binary(
        os="linux",
        arch=arch,
        libc=libc,
        interpreter=loader,
        needed=("libm.so.6", "libc.so.6"),
        glibc=(2, 17),
    )


def test_musl_is_known_by_its_loader_or_by_the_name_of_its_library():
    program = make_elf("x86_64", interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.so"])
    assert read(program).libc == "musl"
    assert read(make_elf("x86_64", needed=["libc.musl-x86_64.so.1"])).libc == "musl"
    assert read(make_elf("x86_64", needed=["libz.so.1"])).libc == ""


def test_relative_relocations_need_a_glibc_that_knows_them():
    data = with_versions(["GLIBC_2.17", "GLIBC_ABI_DT_RELR"])
    assert read(data).glibc == (2, 36)


def test_a_version_that_is_only_asked_for_weakly_is_not_needed():
    data = with_versions(["GLIBC_2.17", "GLIBC_2.38"])
    assert read(data).glibc == (2, 38)
    # Elf64_Vernaux: hash, then the flags; 2 is VER_FLG_WEAK.
    at = data.index(struct.pack("<I", sysv_hash("GLIBC_2.38"))) + 4
    assert read(data[:at] + b"\x02\0" + data[at + 2 :]).glibc == (2, 17)


def test_section_headers_are_not_needed():
    data = with_versions(["GLIBC_2.30"])
    without = data[:40] + bytes(8) + data[48:60] + bytes(4) + data[64:]
    assert read(without) == read(data)


def test_agrees_with_readelf_about_the_python_that_runs_this():
    readelf = require_command("readelf")
    path = running_interpreter().path
    require(path.read_bytes()[:4] == b"\x7fELF", "needs an interpreter in ELF")
    told = subprocess.run(
        [readelf, "-W", "-d", "-l", "-V", path], capture_output=True, text=True, check=True
    ).stdout
    found = read(path.read_bytes())
    assert list(found.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", told)
    assert found.interpreter == re.search(r"interpreter: (.*)\]", told)[1]
    glibc = [tuple(map(int, v.split("."))) for v in re.findall(r"Name: GLIBC_([\d.]+)", told)]
    assert found.glibc == max(glibc)


def test_objects_and_data_are_no_binaries():
    program = make_elf("x86_64")
    assert read_binaries(BytesIO(program[:16] + struct.pack("<H", 1) + program[18:])) == ()
    assert read_binaries(BytesIO(b"#!/bin/sh\n")) == ()
    assert read_binaries(BytesIO(b"")) == ()
    assert read_binaries(BytesIO(b"MZ" + bytes(100))) == ()
    java = b"\xca\xfe\xba\xbe" + struct.pack(">HH", 0, 61) + bytes(100)
    assert is_binary(java)
    assert read_binaries(BytesIO(java)) == ()


@pytest.mark.parametrize("cpu", ["x86_64", "aarch64"])
def test_macho(cpu):
    program = read(make_macho(cpu, least_system=(10, 15)))
    assert (program.os, program.arch, program.least_os) == ("macos", cpu, (10, 15))
    assert program.needed == ("/usr/lib/libSystem.B.dylib",)
    library = read(make_macho(cpu, library="@rpath/libpython3.13.dylib", needed=["/a", "/b"]))
    assert (library.name, library.needed) == ("@rpath/libpython3.13.dylib", ("/a", "/b"))


def test_a_universal_macho_has_one_binary_for_each_cpu():
    parts = [make_macho("x86_64", least_system=(10, 15)), make_macho("aarch64")]
    header, offset = struct.pack(">II", 0xCAFEBABE, 2), 4096
    for part, cpu in zip(parts, (0x01000007, 0x0100000C), strict=True):
        header += struct.pack(">5I", cpu, 0, offset, len(part), 12)
        offset += 4096
    data = header.ljust(4096, b"\0") + parts[0].ljust(4096, b"\0") + parts[1]
    found = read_binaries(BytesIO(data))
    assert [(each.arch, each.least_os) for each in found] == [
        ("x86_64", (10, 15)),
        ("aarch64", (11, 0)),
    ]
    with pytest.raises(BadBinary, match="outside"):
        read_binaries(BytesIO(data[:4200]))


@pytest.mark.parametrize(("cpu", "arch"), [("x86_64", "x86_64"), ("i686", "x86")])
def test_pe(cpu, arch):
    found = read(make_pe(cpu, least_system=(6, 1)))
    assert (found.os, found.arch, found.least_os) == ("windows", arch, (6, 1))
    assert found.needed == ()


def test_the_imports_of_a_real_pe():
    spec = importlib.util.find_spec("pip")
    launchers = Path(spec.origin).parent / "_vendor/distlib" if spec else Path()
    require((launchers / "w64.exe").exists(), "needs pip with its launchers for Windows")
    found = read((launchers / "w64.exe").read_bytes())
    assert {"KERNEL32.dll", "USER32.dll"} <= set(found.needed)
    assert found.arch == "x86_64"
    assert read((launchers / "t64-arm.exe").read_bytes()).arch == "aarch64"


_SOUND = [
    make_elf(
        "x86_64",
        interpreter="/lib64/ld-linux-x86-64.so.2",
        needed=["libc.so.6", "libz.so.1"],
        versions={"libc.so.6": ["GLIBC_2.17"]},
        soname="libx.so",
    ),
    make_elf("s390x", needed=["libc.so.6"], versions={"libc.so.6": ["GLIBC_2.17"]}),
    make_macho("aarch64", library="@rpath/x.dylib"),
    struct.pack(">II5I", 0xCAFEBABE, 1, 7, 3, 28, 500, 0) + make_macho("x86_64"),
    make_pe("x86_64"),
]


@given(
    st.sampled_from(_SOUND),
    st.lists(st.tuples(st.integers(4, 900), st.binary(min_size=1, max_size=8)), max_size=6),
    st.integers(4, 2000),
)
def test_damage_is_an_answer_or_a_bad_binary(data, changes, length):
    damaged = bytearray(data)
    for offset, new in changes:
        damaged[offset : offset + len(new)] = new
    try:
        found = read_binaries(BytesIO(bytes(damaged[:length])))
    except BadBinary:
        return
    assert all(isinstance(each, Binary) for each in found)


def test_nothing_of_pyelftools_is_loaded_for_other_forms():
    code = (
        "import sys, io; from kitbag_packer.binaries import read_binaries;"
        "read_binaries(io.BytesIO(b'MZ')); assert 'elftools' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
