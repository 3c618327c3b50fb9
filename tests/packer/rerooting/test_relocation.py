"""The rules for paths: which move, which become neutral, which stay."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import Version
from kitbag_packer.rerooting.probing import Interpreter
from kitbag_packer.rerooting.relocation import Relocation, is_local, relocation_for

PYENV = "/home/ann/.pyenv/versions/3.12.1"
BUILT_IN = "/tmp/python-build.20260509.228/Python-3.12.1"


def interpreter(prefix: str, **variables: str) -> Interpreter:
    values = {"prefix": prefix, "exec_prefix": prefix, "LIBDIR": f"{prefix}/lib", **variables}
    return Interpreter(
        version=Version(3, 12, 1),
        abi_flags="",
        debug=False,
        free_threaded=False,
        executable=Path(prefix, "bin/python3.12"),
        prefix=prefix,
        exec_prefix=prefix,
        library_folder="lib",
        standard_library=f"{prefix}/lib/python3.12",
        headers=f"{prefix}/include/python3.12",
        landmark=f"{prefix}/lib/python3.12/os.py",
        scheme="posix_prefix",
        variables=values,
    )


@pytest.fixture
def private() -> Relocation:
    return relocation_for(
        interpreter(PYENV, abs_srcdir=BUILT_IN, abs_builddir=BUILT_IN), ["/home/ann"]
    )


@pytest.fixture
def debian() -> Relocation:
    built = "/build/reproducible-path/python3.12-3.12.1/build-shared"
    return relocation_for(
        interpreter(
            "/usr",
            LIBDIR="/usr/lib/x86_64-linux-gnu",
            LIBDEST="/usr/lib/python3.12",
            BINDIR="/usr/bin",
            MANDIR="/usr/share/man",
            abs_srcdir=f"{built}/..",
            abs_builddir=built,
        ),
        ["/home/ann"],
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("prefix", PYENV, "/install"),
        ("LIBDIR", f"{PYENV}/lib", "/install/lib"),
        ("LDFLAGS", f"-L{PYENV}/lib -Wl,-rpath,{PYENV}/lib",
         "-L/install/lib -Wl,-rpath,/install/lib"),
        ("CONFIG_ARGS", f"'--prefix={PYENV}' 'CPPFLAGS=-I{PYENV}/include'",
         "'--prefix=/install' 'CPPFLAGS=-I/install/include'"),
        ("DESTDIRS", f"{PYENV} {PYENV}/lib", "/install /install/lib"),
        ("WASM_ASSETS_DIR", f".{PYENV}", "./install"),
        ("RUNSHARED", f"LD_LIBRARY_PATH={BUILT_IN}", "LD_LIBRARY_PATH=/build/Python-3.12.1"),
        ("CFLAGS", f"-ffile-prefix-map={BUILT_IN}=.", "-ffile-prefix-map=/build/Python-3.12.1=."),
        ("CFLAGS", "-I/tmp/python-build.20260509.228/ssl/include", "-I/build/local/ssl/include"),
        ("CFLAGS", "-I/home/ann/include -I/home/bob/x", "-I/build/local/include -I/build/local/x"),
        ("INSTALL", "/usr/bin/install -c", "/usr/bin/install -c"),
        ("OTHER", f"{PYENV}-old/lib", "/build/local/.pyenv/versions/3.12.1-old/lib"),
        ("OTHER", f"/mnt{PYENV}", f"/mnt{PYENV}"),
    ],
)  # fmt: skip
def test_private_prefix(private: Relocation, name: str, value: str, expected: str) -> None:
    assert private.variable(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("prefix", "/usr", "/install"),
        ("LIBDIR", "/usr/lib/x86_64-linux-gnu", "/install/lib"),
        ("BINLIBDEST", "/usr/lib/x86_64-linux-gnu/python3.12", "/install/lib/python3.12"),
        ("LIBPL", "/usr/lib/python3.12/config-3.12", "/install/lib/python3.12/config-3.12"),
        ("INCLUDEPY", "/usr/include/python3.12", "/install/include/python3.12"),
        ("MANDIR", "/usr/share/man", "/install/share/man"),
        ("INCLDIRSTOMAKE", "/usr/include /usr/include/python3.12",
         "/install/include /install/include/python3.12"),
        ("CONFIG_ARGS", "'--prefix=/usr' '--with-wheel-pkg-dir=/usr/share/python-wheels/'",
         "'--prefix=/install' '--with-wheel-pkg-dir=/usr/share/python-wheels/'"),
        ("CONFIG_ARGS", "'--libdir=/usr/lib/x86_64-linux-gnu'", "'--libdir=/install/lib'"),
        ("TZPATH", "/usr/share/zoneinfo:/usr/lib/zoneinfo",
         "/usr/share/zoneinfo:/usr/lib/zoneinfo"),
        ("INSTALL", "/usr/bin/install -c", "/usr/bin/install -c"),
        ("MODULE_NIS_CFLAGS", "-I/usr/include/tirpc", "-I/usr/include/tirpc"),
        ("WASM_STDLIB", "./usr/lib/python3.12/os.py", "./install/lib/python3.12/os.py"),
        ("abs_srcdir", "/build/reproducible-path/python3.12-3.12.1/build-shared/..",
         "/build/Python-3.12.1/.."),
    ],
)  # fmt: skip
def test_shared_prefix(debian: Relocation, name: str, value: str, expected: str) -> None:
    assert debian.variable(name, value) == expected


def test_a_moved_tree_leads_to_the_same_place_by_both_prefixes() -> None:
    moved = dataclasses.replace(
        interpreter("/install"), prefix="/srv/py", exec_prefix="/srv/py",
        standard_library="/srv/py/lib/python3.12",
    )  # fmt: skip
    relocation = relocation_for(moved, [])
    assert relocation.variable("LIBDIR", "/install/lib") == "/install/lib"
    assert (
        relocation.flags("-L/srv/py/lib -I/install/include") == "-L/install/lib -I/install/include"
    )


def test_folders_of_the_tree(private: Relocation, debian: Relocation) -> None:
    assert private.tree_path(f"{PYENV}/lib") == "lib"
    assert private.tree_path(f"{PYENV}/lib/private") == "lib/private"
    assert private.tree_path(PYENV) == ""
    assert private.tree_path("/usr/lib") is None
    assert debian.tree_path("/usr/lib/x86_64-linux-gnu") == "lib"
    assert debian.tree_path("/usr/lib/x86_64-linux-gnu/mesa") is None
    assert debian.tree_path("/usr/lib/x") is None


def test_local_paths_are_told_apart() -> None:
    assert is_local("/home/ann/lib")
    assert is_local("/root")
    assert is_local("/var/tmp/x/y")
    assert not is_local("/rootless/lib")
    assert not is_local("/usr/lib/tmp/x")


WORDS = st.lists(
    st.sampled_from(
        [PYENV, f"-L{PYENV}/lib", f"'--prefix={PYENV}'", "-O2", "-Wl,", ":", ",", " ", "x",
         BUILT_IN, "/usr/bin/install", "$(prefix)/lib", "/install", "=", '"', "./", "\\"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(value=WORDS, name=st.sampled_from(["prefix", "LIBDIR", "CONFIG_ARGS", "CFLAGS", "DESTDIRS"]))
def test_a_second_pass_changes_nothing(value: str, name: str) -> None:
    relocation = relocation_for(
        interpreter(PYENV, abs_srcdir=BUILT_IN, abs_builddir=BUILT_IN), ["/home/ann"]
    )
    once = relocation.variable(name, value)
    assert relocation.variable(name, once) == once


@given(value=st.text("abc-/. :'\"=,$(){}", max_size=60))
def test_text_without_any_of_the_paths_stays(value: str) -> None:
    relocation = relocation_for(interpreter(PYENV), ["/home/ann"])
    assert relocation.flags(value) == value
