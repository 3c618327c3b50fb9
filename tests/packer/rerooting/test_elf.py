"""Strings in real ELF files: replaced without harm to the strings that share their tails."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError, KitbagError
from kitbag_packer.rerooting import elf
from support.require import require_command

Build = Callable[..., Path]

PLAIN = "int answer(void) { return 42; }\n"
PREFIX = "/opt/kitbag/pythons/9.8.7"
STRINGS = f"""
const char *prefix(void) {{ return "{PREFIX}"; }}
const char *version(void) {{ return "9.8.7"; }}
const char *library(void) {{ return "{PREFIX}/lib"; }}
"""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    compiler = require_command("gcc")

    def run(code: str, *flags: str, name: str = "libtried.so") -> Path:
        source = tmp_path / "source" / "tried.c"
        source.parent.mkdir(exist_ok=True)
        source.write_text(code)
        target = tmp_path / name
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", *flags, "-o", str(target), str(source)],
            check=True,
            cwd=tmp_path,
        )
        return target

    return run


def load(path: Path, data: bytes) -> ctypes.CDLL:
    place = path.with_name("changed.so")
    place.write_bytes(data)
    return ctypes.CDLL(str(place))


def text(library: ctypes.CDLL, name: str) -> bytes:
    function = library[name]
    function.restype = ctypes.c_char_p
    value: bytes = function()
    return value


@pytest.mark.parametrize(
    ("flag", "tag"), [("--enable-new-dtags", "DT_RUNPATH"), ("--disable-new-dtags", "DT_RPATH")]
)
def test_a_run_path_is_replaced_in_place(build: Build, flag: str, tag: str) -> None:
    path = build(PLAIN, "-Wl,-rpath,/opt/kitbag/python/lib", f"-Wl,{flag}")
    data = path.read_bytes()
    before = elf.read(data, "x")
    assert (before.run_path, before.run_path_tag) == ("/opt/kitbag/python/lib", tag)
    assert before.interpreter == ""
    changed = elf.replace_run_path(data, "$ORIGIN/../lib")
    assert changed is not None
    assert len(changed) == len(data)
    assert elf.read(changed, "x").run_path == "$ORIGIN/../lib"
    assert elf.read(changed, "x").needed == before.needed
    assert load(path, changed).answer() == 42


def test_a_tail_behind_the_new_text_survives(build: Build) -> None:
    code = "int zz_lib_kitbag(void) { return 7; }\n"
    path = build(code, "-Wl,-rpath,/opt/kitbag/long/folder/zz_lib_kitbag")
    data = path.read_bytes()
    assert data.count(b"zz_lib_kitbag\0") < data.count(b"zz_lib_kitbag") + 2
    changed = elf.replace_run_path(data, "$ORIGIN/../lib")
    assert changed is not None
    assert load(path, changed).zz_lib_kitbag() == 7


def test_a_tail_below_the_new_text_forbids_it_and_patchelf_helps(
    build: Build, tmp_path: Path
) -> None:
    code = "int shared_tail_of_the_path(void) { return 9; }\n"
    path = build(code, "-Wl,-rpath,/x/shared_tail_of_the_path", "-s")
    data = path.read_bytes()
    if data.count(b"shared_tail_of_the_path\0") != 1:
        pytest.skip("this linker does not merge tails")
    assert elf.replace_run_path(data, "$ORIGIN/../lib") is None
    require_patchelf()
    changed = elf.set_run_path(data, "$ORIGIN/../lib", elf.read(data, "x"), "x", tmp_path)
    assert elf.read(changed, "x").run_path == "$ORIGIN/../lib"
    assert load(path, changed).shared_tail_of_the_path() == 9


def require_patchelf() -> None:
    if elf._patchelf() is None:
        require_command("patchelf")


@pytest.mark.parametrize("flags", [(), ("-Wl,-rpath,/short",)])
def test_no_room_needs_patchelf(build: Build, tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = build(PLAIN, *flags)
    data = path.read_bytes()
    assert elf.replace_run_path(data, "$ORIGIN/../lib") is None
    require_patchelf()
    changed = elf.set_run_path(data, "$ORIGIN/../lib", elf.read(data, "x"), "x", tmp_path)
    again = elf.set_run_path(data, "$ORIGIN/../lib", elf.read(data, "x"), "x", tmp_path)
    assert changed == again
    assert elf.read(changed, "x").run_path == "$ORIGIN/../lib"
    assert load(path, changed).answer() == 42


def test_patchelf_keeps_rpath_an_rpath(build: Build, tmp_path: Path) -> None:
    require_patchelf()
    data = build(PLAIN, "-Wl,-rpath,/short", "-Wl,--disable-new-dtags").read_bytes()
    changed = elf.set_run_path(data, "$ORIGIN/../lib", elf.read(data, "x"), "x", tmp_path)
    assert elf.read(changed, "x").run_path_tag == "DT_RPATH"


def test_without_patchelf_the_message_says_so(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = build(PLAIN).read_bytes()
    monkeypatch.setattr(elf, "_patchelf", lambda: None)
    with pytest.raises(KitbagError, match=r"bin/python3\.12 .* install patchelf"):
        elf.set_run_path(data, "$ORIGIN", elf.read(data, "x"), "bin/python3.12", tmp_path)


def test_the_prefix_goes_and_the_version_that_is_its_tail_stays(build: Build) -> None:
    path = build(STRINGS, "-s")
    data = path.read_bytes()
    changed = elf.replace_prefix(data, PREFIX, "/install")
    assert changed is not None
    library = load(path, changed)
    assert text(library, "prefix") == b"/install"
    assert text(library, "version") == b"9.8.7"
    assert text(library, "library") == PREFIX.encode() + b"/lib"
    assert elf.replace_prefix(changed, PREFIX, "/install") == changed


@pytest.mark.parametrize(
    ("old", "safe"),
    [
        (PREFIX, True),
        ("/opt/python", False),  # a tail that would be hit is "python"
        ("/usr", False),
        ("/install", False),
        ("/opt/lib/python3.12", False),  # "lib/python3.12" is a string of its own
        ("/srv/x/y", False),
        ("/home/ann/py/3.12.1", True),
    ],
)
def test_which_prefixes_are_replaceable(old: str, safe: bool) -> None:
    assert elf.prefix_is_replaceable(old, "/install") is safe


def test_an_unsafe_prefix_is_left_alone(build: Build) -> None:
    code = 'const char *prefix(void) { return "/opt/python"; }\n'
    data = build(code).read_bytes()
    assert elf.replace_prefix(data, "/opt/python", "/install") is None
    assert elf.replace_prefix(data, "/opt/other/python", "/install") == data


def test_build_paths_disappear_from_debugging_information(build: Build, tmp_path: Path) -> None:
    path = build(PLAIN, "-g")
    data = path.read_bytes()
    old = str(tmp_path)
    assert old.encode() in data
    changed = elf.replace_build_path(data, old, "/build/Python-3.13.0")
    assert len(changed) == len(data)
    assert old.encode() not in changed
    assert b"/Python-3.13.0" in changed
    assert load(path, changed).answer() == 42


@given(st.integers(0, 200))
def test_a_stretched_path_names_the_same_folder(extra: int) -> None:
    path = "/build/Python-3.13.0"
    stretched = elf._stretched(path, len(path) + extra)
    assert len(stretched) == len(path) + extra
    assert str(Path(stretched)) == path


def test_broken_files_are_named() -> None:
    with pytest.raises(ArchiveError, match=r"lib/x\.so"):
        elf.read(b"\x7fELF\x02\x01\x01" + bytes(3), "lib/x.so")
