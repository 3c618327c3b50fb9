"""Trees of builds that are not at hand: right names and headers, and nothing that runs.

The members come without their top folder.
"""

from __future__ import annotations

import json

from .elf import CPUS, make_elf
from .foreign import make_macho, make_pe
from .generated import generated_files, small_pip
from .members import Member, below, link, program, text


def repeated_links(members: list[Member]) -> list[Member]:
    """Return the members with each link twice, as some published armv7 archives have them."""
    return [*members, *(member for member in members if member.kind == "l")]


def linux_members(
    version: str,
    cpu: str,
    *,
    libc: str = "gnu",
    free_threaded: bool = False,
    debug: bool = False,
    glibc: str = "2.17",
) -> list[Member]:
    """Return the members of a CPython for Linux."""
    minor = ".".join(version.split(".")[:2])
    abi = f"{'t' if free_threaded else ''}{'d' if debug else ''}"
    name = f"python{minor}{abi}"
    library = f"lib/{name.rstrip('d')}"
    kind = CPUS[cpu]
    musl = libc.startswith("musl")
    c_library = "libc.musl-x86_64.so.1" if musl else "libc.so.6"
    if cpu == "aarch64" and musl:
        c_library = "libc.musl-aarch64.so.1"
    needed = [c_library] if musl else ["libpthread.so.0", "libdl.so.2", "libm.so.6", c_library]
    if cpu == "riscv64":
        needed.append("libatomic.so.1")
    if cpu.startswith("armv7"):
        needed.append("libgcc_s.so.1")
    versions = {} if musl else {c_library: ["GLIBC_2.4", f"GLIBC_{glibc}"]}
    loader = kind.musl_loader if musl else kind.glibc_loader
    shared = f"lib{name}.so.1.0"
    machine = cpu.split("-", maxsplit=1)[0]
    multiarch = f"{'arm' if machine == 'armv7' else machine}-linux-{libc}"
    exe = make_elf(
        cpu, interpreter=loader, needed=needed, versions=versions, rpath="$ORIGIN/../lib"
    )
    # Found literally through $ORIGIN with glibc; musl wants a run path.
    stable = (
        make_elf(cpu, needed=[shared, c_library], soname="libpython3.so", rpath="$ORIGIN/../lib")
        if musl
        else make_elf(cpu, needed=[f"$ORIGIN/../lib/{shared}", c_library], soname="libpython3.so")
    )
    return [
        program(f"bin/{name}", exe),
        link("bin/python", name),
        link("bin/python3", name),
        *([link(f"bin/python{minor}", name)] if name != f"python{minor}" else []),
        program(f"lib/{shared}", make_elf(cpu, needed=needed, versions=versions, soname=shared)),
        link(f"lib/lib{name}.so", shared),
        *([] if debug else [program("lib/libpython3.so", stable)]),
        program(
            f"{library}/lib-dynload/_tkinter.cpython-{minor.replace('.', '')}{abi}-{multiarch}.so",
            make_elf(cpu, needed=["libtcl9tk9.0.so", "libtcl9.0.so", c_library], versions=versions),
        ),
        program("lib/libtcl9.0.so", make_elf(cpu, needed=[c_library], soname="libtcl9.0.so")),
        program("lib/libtcl9tk9.0.so", make_elf(cpu, needed=[c_library], soname="libtcl9tk9.0.so")),
        *generated_files(version, multiarch, abi),
        *small_pip(version, name),
        Member(f"{library}/lib-dynload/.empty"),
        text(f"{library}/os.py", '"""Stand-in."""\n'),
        text(f"{library}/LICENSE.txt", "Stand-in for the licence.\n"),
        text(f"include/{name}/Python.h", "/* stand-in */\n"),
        text("share/terminfo/P/P4", "upper\n"),
        text("share/terminfo/p/p4", "lower\n"),
    ]


def macos_members(
    version: str, cpu: str, *, least: tuple[int, int], debug: bool = False
) -> list[Member]:
    """Return the members of a CPython for macOS."""
    minor = ".".join(version.split(".")[:2])
    abi = "d" if debug else ""
    name, library = f"python{minor}{abi}", f"lib/python{minor}"
    dylib = f"lib{name}.dylib"
    exe = make_macho(cpu, rpaths=["@executable_path/../lib"], least_system=least)
    return [
        program(f"bin/{name}", exe),
        link("bin/python", name),
        link("bin/python3", name),
        program(f"lib/{dylib}", make_macho(cpu, library=f"@rpath/{dylib}", least_system=least)),
        *generated_files(version, "darwin", abi, "darwin"),
        *small_pip(version, name),
        Member(f"{library}/lib-dynload/.empty"),
        text(f"{library}/os.py", '"""Stand-in."""\n'),
        text(f"include/{name}/Python.h", "/* stand-in */\n"),
    ]


def windows_members(version: str, cpu: str, *, free_threaded: bool = False) -> list[Member]:
    """Return the members of a CPython for Windows."""
    number = "".join(version.split(".")[:2])
    flag = "t" if free_threaded else ""
    exe, dll = make_pe(cpu), make_pe(cpu, dll=True)
    extra = [program(f"python{version.rpartition('.')[0]}t.exe", exe)] if free_threaded else []
    return [
        program("python.exe", exe),
        program("pythonw.exe", exe),
        *extra,
        program("python3.dll", dll),
        program(f"python{number}{flag}.dll", dll),
        program("DLLs/_ssl.pyd", dll),
        text("LICENSE.txt", "Stand-in for the licence.\n"),
        text("Lib/os.py", '"""Stand-in."""\r\n'),
        Member("Lib/site-packages/pip/__init__.py", b'__version__ = "26.2.1"\n'),
        text("include/Python.h", "/* stand-in */\r\n"),
        Member(f"libs/python{number}{flag}.lib", b"!<arch>\n"),
        text("tcl/tcl8.6/init.tcl", "# stand-in\n"),
        Member("Scripts/.empty"),
    ]


def full_layout(members: list[Member], triple: str, version: str, executable: str) -> list[Member]:
    """Return the members of a full archive with `members` below `install`."""
    description = {
        "version": "8",
        "target_triple": triple,
        "python_version": version,
        "python_major_minor_version": ".".join(version.split(".")[:2]),
        "python_implementation_name": "cpython",
        "python_exe": f"install/{executable}",
        "license_path": "licenses/LICENSE.cpython.txt",
        "licenses": ["Python-2.0"],
        "crt_features": ["glibc-dynamic", "glibc-max-symbol-version:2.17"],
        "libpython_link_mode": "shared",
    }
    return [
        text("PYTHON.json", json.dumps(description, indent=4, sort_keys=True)),
        *below("install", members),
        Member("build/Objects/object.o", b"\x7fELF"),
        text("licenses/LICENSE.cpython.txt", "Stand-in for the licence.\n"),
    ]


def pypy_members(name: str, minor: str) -> list[Member]:
    """Return the members of a PyPy for Linux, `name` such as `pypy3.11`."""
    exe = make_elf(
        "x86_64", interpreter=CPUS["x86_64"].glibc_loader, needed=[f"lib{name}-c.so", "libc.so.6"],
        versions={"libc.so.6": ["GLIBC_2.17"]}, rpath="$ORIGIN",
    )  # fmt: skip
    names = ("pypy", "pypy3", "python", "python3", f"python{minor}")
    return [
        program(f"bin/{name}", exe),
        *(link(f"bin/{alias}", name) for alias in names),
        program(
            f"bin/lib{name}-c.so",
            make_elf("x86_64", needed=["libc.so.6"], soname=f"lib{name}-c.so"),
        ),
        text(f"lib/{name}/os.py", '"""Stand-in."""\n'),
        text(f"lib/{name}/_sysconfigdata.py", "build_time_vars = {}\n"),
        text("include/pypy3.11/Python.h", "/* stand-in */\n"),
        text("LICENSE", "Stand-in for the licence.\n"),
        text("README.rst", "Stand-in.\n"),
    ]


def pypy_windows_members(minor: str) -> list[Member]:
    """Return the members of a PyPy for Windows."""
    exe = make_pe("x86_64")
    return [
        program("python.exe", exe),
        program("pypy3.exe", exe),
        program(f"pypy{minor}.exe", exe),
        program(f"libpypy{minor}-c.dll", make_pe("x86_64", dll=True)),
        text("Lib/os.py", '"""Stand-in."""\r\n'),
        text("LICENSE", "Stand-in for the licence.\n"),
    ]


def graalpy_members() -> list[Member]:
    """Return the members of a GraalPy for Linux."""
    exe = make_elf("x86_64", interpreter=CPUS["x86_64"].glibc_loader, needed=["libc.so.6"])
    return [
        program("bin/graalpy", exe),
        link("bin/python", "graalpy"),
        link("bin/python3", "graalpy"),
        text("lib/python3.11/os.py", '"""Stand-in."""\n'),
        text("lib/graalpy24.2/builtins.py", '"""Stand-in."""\n'),
        text("LICENSE.txt", "Stand-in for the licence.\n"),
        text("release", 'IMPLEMENTOR="tests"\n'),
    ]


def graalpy_windows_members() -> list[Member]:
    """Return the members of a GraalPy for Windows."""
    exe = make_pe("x86_64")
    return [
        program("bin/graalpy.exe", exe),
        program("bin/python.exe", exe),
        text("Lib/os.py", '"""Stand-in."""\r\n'),
        text("LICENSE.txt", "Stand-in for the licence.\n"),
    ]


def pyodide_members() -> list[Member]:
    """Return the members of Pyodide's cross-build environment."""
    root = "pyodide-root"
    return [
        program(f"{root}/dist/python", b'#!/bin/sh\nexec node python_cli_entry.mjs "$@"\n'),
        text(f"{root}/dist/python_cli_entry.mjs", "// stand-in\n"),
        Member(f"{root}/dist/python_stdlib.zip", b"PK\x05\x06" + bytes(18)),
        text(f"{root}/pyodide-lock.json", '{"info": {"version": "0.29.5", "python": "3.13.2"}}\n'),
        text("requirements.txt", "# stand-in\n"),
    ]
