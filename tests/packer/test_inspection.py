import hashlib
import json
import lzma
import zlib

import pytest

from kitbag_bundles import layout
from kitbag_bundles.contents import parse, render
from kitbag_bundles.errors import ArchiveError, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer import inspection
from kitbag_packer.inspection import inspect_archive
from support.elf import CPUS, make_elf
from support.foreign import make_macho, make_pe
from support.interpreters import packable_interpreters
from support.members import Member, below, link, program, text, write_archive
from support.pbs import make_pbs_archive
from support.require import require
from support.synthetic import SYNTHETIC, make_synthetic_archive

TRIPLE = "x86_64-unknown-linux-gnu"
NAME = f"cpython-3.13.5+20260101-{TRIPLE}-install_only_stripped.tar.gz"
KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
PYTHON = make_elf(
    "x86_64",
    interpreter=CPUS["x86_64"].glibc_loader,
    needed=["libc.so.6"],
    versions={"libc.so.6": ["GLIBC_2.17"]},
)


def inspect(path, **options):
    return inspect_archive(path, reporter=SilentReporter(), **options)


def patchlevel(version: str, place: str = "include/python3.13/patchlevel.h") -> Member:
    return text(place, f'#define PY_MAJOR_VERSION 3\n#define PY_VERSION              "{version}"\n')


def minimal(version: str = "3.13.5", executable: bytes = PYTHON) -> list[Member]:
    return [
        program("bin/python3.13", executable),
        text("lib/python3.13/os.py", ""),
        patchlevel(version),
    ]


def pack(tmp_path, members, name=NAME, top="python"):
    suffix = next(s for s in (".tar.gz", ".tar.zst", ".zip", ".tar.xz") if name.endswith(s))
    return write_archive(
        below(top, members) if top else members,
        tmp_path / name,
        suffix,
        first=f"{top}/PYTHON.json",
    )


def interpreter():
    found = packable_interpreters()
    require(found, "needs a CPython that an archive can be made of")
    return found[0]


# --- real archives -------------------------------------------------------------------------


def test_a_real_archive():
    python = interpreter()
    path = make_pbs_archive(python, slim=True)
    found = inspect(path)
    assert found.key.version == BuildKey.parse(f"cpython-{python.full_version}-a-b-c").version
    assert found.key.target.os == "linux"
    assert (found.release, found.flavor) == ("20260101", "install_only_stripped")
    data = path.read_bytes()
    assert found.size == len(data)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.crc32 == zlib.crc32(data)
    tar = zlib.decompress(data, 31)
    assert found.tar_sha256 == hashlib.sha256(tar).hexdigest()
    entries = {entry.path: entry for entry in found.entries}
    executable = entries[layout.executable(found.key)]
    assert executable.mode == 0o755
    assert entries[layout.standard_library(found.key)].kind == "d"
    assert found.files == len(found.entries)
    assert found.unpacked_size == sum(entry.size for entry in found.entries)
    assert parse(render(found.entries), "list") == found.entries
    assert found.needs.interpreter.startswith("/lib")
    assert found.needs.glibc.startswith("2.")
    assert not [name for name in found.needs.libraries if name.startswith("libpython")]
    assert set(found.needs.libraries).isdisjoint(found.optional_libraries)


def test_a_full_archive_gives_the_same_tree_as_a_small_one_and_more():
    python = interpreter()
    full = inspect(make_pbs_archive(python, flavor="full", compression=".tar.zst", slim=True))
    small = inspect(make_pbs_archive(python, slim=True, flavor="install_only"))
    assert (full.top, full.flavor) == ("python/install", "full")
    assert full.key == small.key
    inside = {entry.path: entry for entry in full.entries}
    assert not [path for path in inside if path.startswith(("build", "licenses", "PYTHON"))]
    for entry in small.entries:
        assert inside[entry.path] == entry


def test_the_same_tree_in_every_form(tmp_path):
    members = [*minimal(), link("bin/python", "python3.13")]
    found = [
        inspect(pack(tmp_path, members, NAME.replace(".tar.gz", suffix)))
        for suffix in (".tar.gz", ".tar.zst", ".tar.xz", ".zip")
    ]
    assert len({each.entries for each in found}) == 1
    assert len({each.sha256 for each in found}) == 4
    assert [bool(each.tar_sha256) for each in found] == [True, True, True, False]
    assert len({each.tar_sha256 for each in found}) == 2
    for each, suffix in zip(found, (".tar.gz", ".tar.zst", ".tar.xz", ".zip"), strict=True):
        data = (tmp_path / NAME.replace(".tar.gz", suffix)).read_bytes()
        assert each.sha256 == hashlib.sha256(data).hexdigest()
        assert (each.crc32, each.size) == (zlib.crc32(data), len(data))
    tar = lzma.decompress((tmp_path / NAME.replace(".tar.gz", ".tar.xz")).read_bytes())
    assert found[0].tar_sha256 == hashlib.sha256(tar).hexdigest()


@pytest.mark.parametrize("name", sorted(SYNTHETIC))
def test_every_target_and_implementation(name, tmp_path):
    synthetic = SYNTHETIC[name]
    key = BuildKey.parse(synthetic.key)
    found = inspect(make_synthetic_archive(name, tmp_path), key=key)
    assert found.key == key
    assert layout.executable(key) in {entry.path for entry in found.entries}
    assert found.entries == tuple(sorted(found.entries, key=lambda each: each.path))
    assert (found.needs.cpu == "") == (key.implementation == "pyodide")
    linux = key.target.os == "linux"
    assert bool(found.needs.interpreter) == linux
    assert bool(found.needs.os) == (key.target.os in ("macos", "windows"))


# --- which build it is ----------------------------------------------------------------------


def test_a_name_that_says_nothing_is_made_up_for_by_the_inside(tmp_path):
    found = inspect(pack(tmp_path, minimal("3.13.0rc2"), "mine.tar.gz"))
    assert str(found.key) == "cpython-3.13.0rc2-linux-x86_64-gnu"
    assert (found.release, found.flavor, found.top) == ("", "", "python")


def test_nothing_tells_and_a_key_is_asked_for(tmp_path):
    members = [program("bin/python3.13", PYTHON), text("lib/python3.13/os.py", "")]
    path = pack(tmp_path, members, "mine.tar.gz", top="")
    with pytest.raises(UsageError, match="--key"):
        inspect(path)
    found = inspect(path, key=KEY)
    assert (found.key, found.top) == (KEY, "")


def test_pypy_takes_its_version_from_the_inside(tmp_path):
    name = "pypy3.11-v7.3.19-linux64"
    members = [
        program("bin/pypy3.11", PYTHON),
        link("bin/python3.11", "pypy3.11"),
        text("lib/pypy3.11/os.py", ""),
        patchlevel("3.11.11", "include/pypy3.11/patchlevel.h"),
    ]
    found = inspect(pack(tmp_path, members, f"{name}.tar.gz", top=name))
    assert str(found.key) == "pypy-3.11.11-linux-x86_64-gnu"
    assert (found.release, found.top) == ("7.3.19", name)
    other = pack(tmp_path, members, "pypy3.10-v7.3.19-linux64.tar.gz", top=name)
    with pytest.raises(ArchiveError, match=r"the name says 3\.10, inside is 3\.11"):
        inspect(other)


def test_the_key_that_is_asked_for_is_nearly_there(tmp_path):
    name = "pypy3.11-v7.3.19-linux64"
    path = pack(tmp_path, [program("bin/pypy3.11", PYTHON)], f"{name}.tar.gz", top=name)
    with pytest.raises(UsageError, match=r"--key pypy-3\.11\.\d+-linux-x86_64-gnu"):
        inspect(path)


def test_pyodide_takes_its_version_from_its_lock(tmp_path):
    lock = {"info": {"arch": "wasm32", "version": "0.29.5", "python": "3.13.2"}, "packages": {}}
    members = [
        program("pyodide-root/dist/python", b"#!/bin/bash\n"),
        text("pyodide-root/dist/pyodide-lock.json", json.dumps(lock)),
        text("requirements.txt", ""),
    ]
    found = inspect(pack(tmp_path, members, "xbuildenv-0.29.5.tar.gz", top="xbuildenv"))
    assert str(found.key) == "pyodide-3.13.2-emscripten-wasm32-musl"
    assert (found.release, found.top) == ("0.29.5", "xbuildenv/pyodide-root/dist")


def test_graalpy_may_be_known_by_a_made_up_patch_version(tmp_path):
    name = "graalpy-24.2.2-linux-amd64"
    members = [
        program("bin/graalpy", PYTHON),
        text("lib/python3.11/os.py", ""),
        patchlevel("3.11.7", "include/python3.11/patchlevel.h"),
    ]
    path = pack(tmp_path, members, f"{name}.tar.gz", top=name)
    assert str(inspect(path).key) == "graalpy-3.11.7-linux-x86_64-gnu"
    given = BuildKey.parse("graalpy-3.11.0-linux-x86_64-gnu")
    found = inspect(path, key=given)
    assert found.key == given
    assert found.notes == ()  # its licence is a warning when it is packed
    with pytest.raises(ArchiveError, match=r"the key says 3\.12, inside is 3\.11"):
        inspect(path, key=BuildKey.parse("graalpy-3.12.0-linux-x86_64-gnu"))


def python_json(**values: str) -> Member:
    told = {"version": "8", "python_version": "3.13.5", "target_triple": TRIPLE}
    told["build_options"] = "pgo+lto"
    return text("PYTHON.json", json.dumps(told | values))


def test_python_json_tells_everything(tmp_path):
    members = [
        python_json(target_triple="x86_64_v3-unknown-linux-gnu", build_options="debug"),
        *below("install", [program("bin/python3.13d", PYTHON)]),
    ]
    found = inspect(pack(tmp_path, members, "mine.tar.zst"))
    assert str(found.key) == "cpython-3.13.5+debug-linux-x86_64_v3-gnu"
    assert found.needs.cpu == "x86-64-v3"


FULL = f"cpython-3.13.5+20260101-{TRIPLE}-pgo+lto-full.tar.zst"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"python_version": "3.13.4"}, r"the archive contradicts itself: .* 3\.13\.5.* 3\.13\.4"),
        (
            {"target_triple": "aarch64-apple-darwin"},
            r"linux-x86_64-gnu, inside is macos-aarch",
        ),
        ({"target_triple": "x86_64_v2-unknown-linux-gnu"}, r"inside is linux-x86_64_v2-gnu"),
        ({"build_options": "debug+pgo"}, r"the name says not debug, inside is debug"),
        ({"python_version": "banana"}, r"PYTHON\.json in the archive gives 'banana'"),
    ],
)
def test_python_json_is_held_against_name_and_tree(tmp_path, told, message):
    members = [python_json(**told), *below("install", minimal())]
    with pytest.raises(ArchiveError, match=message):
        inspect(pack(tmp_path, members, FULL))


@pytest.mark.parametrize("content", ["{", "[1]", '"text"', "[" * 100_000])
def test_a_damaged_python_json(tmp_path, content):
    members = [text("PYTHON.json", content), *below("install", minimal())]
    with pytest.raises(ArchiveError, match=r"PYTHON\.json in the archive is"):
        inspect(pack(tmp_path, members, FULL))


def test_python_json_without_an_install_folder(tmp_path):
    with pytest.raises(ArchiveError, match="no install folder"):
        inspect(pack(tmp_path, [python_json(), *minimal()], FULL))


SYSCONFIG = "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (minimal("3.13.4"), r"the name says 3\.13\.5, inside is 3\.13\.4"),
        (
            [program("bin/python3.12", PYTHON), text("lib/python3.12/os.py", "")],
            r"the name says 3\.13, inside is 3\.12",
        ),
        (
            [program("bin/python3.13", PYTHON), text("lib/python3.13t/os.py", "")],
            r"the name says not freethreaded, inside is freethreaded",
        ),
        (
            [*minimal(), text(SYSCONFIG, "build_time_vars = {'Py_DEBUG': 1}\n")],
            r"the name says not debug, inside is debug",
        ),
        ([program("bin/pypy3.13", PYTHON)], r"the name says cpython, inside is pypy"),
        (minimal(executable=make_elf("aarch64")), r"is for linux-aarch64"),
        (
            minimal(executable=make_elf("x86_64", interpreter="/lib/ld-musl-x86_64.so.1")),
            r"the name says linux-x86_64-gnu, but bin/python3\.13 .* linux-x86_64-musl",
        ),
        (minimal(executable=make_macho("x86_64")), r"is for macos-x86_64"),
        (minimal(executable=make_pe("x86_64")), r"is for windows-x86_64"),
        (
            [program("bin/python3.13t", PYTHON), patchlevel("3.13.5")],
            r"should have bin/python3\.13, which is not in the archive; there is bin/python3\.13t",
        ),
        ([link("bin/python3.13", "nothing"), patchlevel("3.13.5")], r"should have bin/python3\.13"),
    ],
)
def test_an_inside_that_is_not_what_the_name_says(tmp_path, members, message):
    with pytest.raises(ArchiveError, match=message):
        inspect(pack(tmp_path, members))


def test_a_key_that_contradicts_the_inside_or_the_name(tmp_path):
    path = pack(tmp_path, minimal(), "mine.tar.gz")
    with pytest.raises(ArchiveError, match=r"the key says 3\.13\.6, inside is 3\.13\.5"):
        inspect(path, key=BuildKey.parse("cpython-3.13.6-linux-x86_64-gnu"))
    with pytest.raises(ArchiveError, match="the key says linux-aarch64-gnu, but bin/python"):
        inspect(path, key=BuildKey.parse("cpython-3.13.5-linux-aarch64-gnu"))
    name = NAME.replace("x86_64", "x86_64_v4")
    with pytest.raises(ArchiveError, match="the key says linux-x86_64-gnu, the name says"):
        inspect(path, filename=name, key=KEY)
    assert inspect(path, filename=name).key.target.cpu_level == 4


def test_an_executable_that_is_no_binary_needs_a_key(tmp_path):
    path = pack(tmp_path, minimal(executable=b"#!/bin/sh\nexec true\n"))
    with pytest.raises(UsageError, match="--key"):
        inspect(path)
    found = inspect(path, key=KEY)
    assert found.key == KEY
    assert found.notes == ("bin/python3.13 is no executable of a known form; the key is believed",)


def test_links_to_the_executable_are_followed(tmp_path):
    members = [
        link("bin/python3.13", "../libexec/real"),
        Member("libexec/real", kind="h", target="lib/x"),
        program("lib/x", PYTHON),
        patchlevel("3.13.5"),
    ]
    found = inspect(pack(tmp_path, members))
    assert found.needs.interpreter == "/lib64/ld-linux-x86-64.so.2"


def test_the_first_free_threaded_builds_for_windows(tmp_path):
    name = "cpython-3.13.0+20241016-x86_64-pc-windows-msvc-freethreaded-install_only.tar.gz"
    members = [
        program("python3.13t.exe", make_pe("x86_64")),
        program("python313t.dll", make_pe("x86_64", dll=True)),
        patchlevel("3.13.0", "include/patchlevel.h"),
    ]
    found = inspect(pack(tmp_path, members, name))
    assert str(found.key) == "cpython-3.13.0+freethreaded-windows-x86_64-none"
    assert found.notes == ("there is no python.exe, only python3.13t.exe",)


def test_a_static_build_is_told(tmp_path):
    name = "cpython-3.13.5+20260101-x86_64-unknown-linux-musl-lto+static-full.tar.zst"
    members = [
        python_json(target_triple="x86_64-unknown-linux-musl", build_options="lto+static"),
        *below("install", minimal(executable=make_elf("x86_64"))),
    ]
    found = inspect(pack(tmp_path, members, name))
    assert str(found.key) == "cpython-3.13.5-linux-x86_64-musl"
    assert found.notes == ("statically linked: it can't load extension modules",)


# --- the pass over the archive ------------------------------------------------------------------


def test_damaged_and_huge_binaries_are_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection, "LARGEST_BINARY", len(PYTHON))
    members = [
        *minimal(),
        program("lib/bad.so", PYTHON[:80]),
        program("lib/huge.so", PYTHON + bytes(1000)),
    ]
    found = inspect(pack(tmp_path, members))
    damaged, huge = found.notes
    assert damaged.startswith("python/lib/bad.so: damaged ELF file")
    assert huge == "python/lib/huge.so is too large to look into; its needs are not known"


def test_hashes_modes_and_collisions(tmp_path):
    members = [
        *minimal(),
        text("share/terminfo/x", "small"),
        text("share/terminfo/X", "large"),
        link("bin/python", "python3.13"),
    ]
    found = inspect(pack(tmp_path, members))
    entries = {entry.path: entry for entry in found.entries}
    assert entries["share/terminfo/X"].digest == hashlib.sha256(b"large").hexdigest()
    assert entries["share/terminfo/X"].mode == 0o644
    assert entries["bin/python3.13"].mode == 0o755
    assert found.case_collisions
    assert found.longest_path == len("include/python3.13/patchlevel.h")


def test_a_cut_archive(tmp_path):
    path = pack(tmp_path, minimal())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArchiveError):
        inspect(path)


def test_a_link_that_leaves_the_tree(tmp_path):
    members = [*minimal(), link("bin/x", "../../../etc/passwd")]
    with pytest.raises(ArchiveError, match="bin/x"):
        inspect(pack(tmp_path, members))


def test_no_such_file_and_no_such_form(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        inspect(tmp_path / NAME)
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(UsageError, match=r"x\.rar"):
        inspect(tmp_path / "x.rar")


def test_progress_adds_up_to_the_size_of_the_archive(tmp_path):
    counts = []

    class Counting(SilentReporter):
        def progress(self, label, total):
            counts.append((label, total))
            found = super().progress(label, total)
            found.advance = counts.append
            return found

    for suffix in (".tar.gz", ".zip"):
        path = pack(tmp_path, minimal(), NAME.replace(".tar.gz", suffix))
        counts.clear()
        inspect_archive(path, reporter=Counting())
        assert counts[0] == (path.name, path.stat().st_size)
        assert sum(counts[1:]) == path.stat().st_size
