import hashlib
import importlib.util
import marshal
import os
import platform
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kitbag_bundles.errors import FileSystemError, KitbagError
from kitbag_installer.bytecode import compiling
from kitbag_installer.bytecode.compiling import Compiled, compile_files, describe, stale_files
from kitbag_installer.bytecode.modes import MODES
from support.interpreters import find_interpreters

PYTHON = sys.executable
TAG = sys.implementation.cache_tag
FLAGS = {"timestamp": 0, "unchecked-hash": 1, "checked-hash": 3}
ALL = [pytest.param(one.path, id=one.full_version) for one in find_interpreters((3, 8))]


@pytest.fixture
def tree(tmp_path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def write(tree: Path, name: str, text: str = "x = 1\n") -> str:
    path = os.path.join(os.fspath(tree), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return name


def go(tree: Path, *sources: str, python: str | Path = PYTHON, **options) -> Compiled:
    options = {"home": "/final", "mode": "timestamp", **options}
    return compile_files(os.fspath(python), os.fspath(tree), sources, **options)


def header(tree: Path, source: str, tag: str = TAG) -> bytes:
    folder, _, name = source.rpartition("/")
    path = os.path.join(os.fspath(tree), folder, "__pycache__", f"{name[:-3]}.{tag}.pyc")
    return Path(path).read_bytes()[:16]


def test_two_hundred_files_and_one_that_is_broken(tree):
    sources = [write(tree, f"lib/package{n % 7}/module{n:03}.py", f"x = {n}\n") for n in range(199)]
    broken = write(tree, "lib/package3/broken.py", "def (:\n")
    before = {path: path.read_bytes() for path in tree.rglob("*.py")}
    done = go(tree, *sources[:100], broken, *sources[100:])
    assert (done.compiled, done.fresh) == (199, 0)
    assert list(done.failures) == [broken]
    assert done.failures[broken].startswith("SyntaxError: ")
    assert done.failures[broken].endswith("(line 1)")
    made = {path for path in tree.rglob("*") if path.is_file()} - before.keys()
    assert {os.fspath(path.relative_to(tree)) for path in made} == set(done.files)
    assert all(path.suffix == ".pyc" for path in made)
    for path, digest in done.files.items():
        assert hashlib.sha256((tree / path).read_bytes()).hexdigest() == digest
    assert {path: path.read_bytes() for path in before} == before
    again = go(tree, *sources, broken)
    assert (again.compiled, again.fresh, again.files) == (0, 199, done.files)
    assert list(again.failures) == [broken]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("python", ALL)
def test_what_is_made_is_what_the_interpreter_takes(tree, python, mode):
    write(
        tree, "café é.py", "# -*- coding: latin-1 -*-\nwhere = (lambda: 0).__code__.co_filename\n"
    )
    source = write(tree, "one.py", "from __future__ import annotations\nx = 1\n")
    done = go(tree, "café é.py", source, python=python, mode=mode, home="")
    maker = describe(os.fspath(python))
    assert done.compiled == 2
    found = header(tree, source, maker.tag)
    assert found[:4] == struct.pack("<H", maker.magic) + b"\r\n"
    assert struct.unpack("<I", found[4:8])[0] == FLAGS[mode]
    ran = subprocess.run(
        [python, "-B", "-v", "-c", "import one; print(one.__cached__)"],
        env={"PYTHONPATH": os.fspath(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{os.sep}one.{maker.tag}.pyc matches {tree / 'one.py'}" in ran.stderr
    assert os.fspath(tree / next(iter(done.files))).split(".")[-2] == maker.tag
    assert go(tree, "café é.py", source, python=python, mode=mode, home="").fresh == 2


def test_the_name_in_the_code_is_that_of_its_home(tree):
    source = write(tree, "a/b.py", "def f(): pass\n")
    for home, name in (("/final/place", "/final/place/a/b.py"), ("", "a/b.py")):
        (path,) = go(tree, source, home=home).files
        code = marshal.loads((tree / path).read_bytes()[16:])
        assert code.co_filename == name
        (tree / path).unlink()


@pytest.mark.parametrize(
    "name", ["a b.py", " a .py", "new\nline.py", "\udcff\udcfe.py", "東京.py", "'\"$;.py", ".py"]
)
def test_names_may_be_anything(tree, name):
    write(tree, f"odd {name[0]}/{name}")
    done = go(tree, f"odd {name[0]}/{name}", mode="checked-hash")
    assert done.compiled == 1
    assert all(os.path.isfile(os.path.join(os.fspath(tree), path)) for path in done.files)
    assert go(tree, f"odd {name[0]}/{name}").fresh == 1


def test_only_what_is_stale_is_compiled(tree):
    sources = [write(tree, name) for name in ("same.py", "newer.py", "longer.py", "torn.py")]
    first = go(tree, *sources)
    os.utime(tree / "newer.py", (1, 1))
    write(tree, "longer.py", "x = 10\n")
    torn = tree / f"__pycache__/torn.{TAG}.pyc"
    torn.write_bytes(torn.read_bytes()[:16])
    stale, tag = stale_files(PYTHON, os.fspath(tree), sources, mode="timestamp")
    assert (stale, tag) == (sources[1:], TAG)
    again = go(tree, *sources)
    assert (again.compiled, again.fresh) == (3, 1)
    assert first.files.keys() == again.files.keys()
    # The magic number of another version.
    same = tree / f"__pycache__/same.{TAG}.pyc"
    same.write_bytes(b"\x00\x00\r\n" + same.read_bytes()[4:])
    assert go(tree, *sources).compiled == 1


@pytest.mark.parametrize("mode", ["checked-hash", "unchecked-hash"])
def test_a_hash_is_held_against_the_source(tree, mode):
    source = write(tree, "one.py")
    go(tree, source, mode=mode)
    os.utime(tree / source, (1, 1))
    assert go(tree, source, mode=mode).fresh == 1
    write(tree, source, "x = 2\n")
    assert go(tree, source, mode=mode).compiled == 1


def test_another_valid_mode_is_stale_only_where_one_is_insisted_on(tree):
    source = write(tree, "one.py")
    go(tree, source, mode="checked-hash")
    assert go(tree, source, mode="timestamp").fresh == 1
    assert go(tree, source, mode="timestamp", insist=True).compiled == 1
    assert header(tree, source)[4:8] == bytes(4)


def test_a_rewritten_file_never_gets_an_unchecked_one(tree):
    sources = [write(tree, name) for name in ("plain.py", "rewritten.py")]
    go(tree, *sources, mode="unchecked-hash")
    options = {"mode": "unchecked-hash", "rewritten": {"rewritten.py"}, "insist": True}
    assert go(tree, *sources, **options).compiled == 1
    assert [header(tree, each)[4] for each in sources] == [1, 3]
    assert go(tree, *sources, **options).fresh == 2
    # Nor does it keep one that somebody else made.
    (tree / f"__pycache__/rewritten.{TAG}.pyc").unlink()
    go(tree, "rewritten.py", mode="unchecked-hash")
    assert go(tree, *sources, rewritten={"rewritten.py"}).compiled == 1


def test_modes_are_those_of_the_source_whatever_the_umask(tree):
    source = write(tree, "a/one.py")
    other = write(tree, "a/two.py")
    os.chmod(tree / other, 0o444)
    before = os.umask(0o077)
    try:
        done = go(tree, source, other)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tree / "a/__pycache__").stat().st_mode) == 0o755
    assert [stat.S_IMODE((tree / path).stat().st_mode) for path in done.files] == [0o644, 0o644]


def test_what_is_shared_by_a_hard_link_is_replaced(tree, tmp_path):
    source = write(tree, "one.py")
    (path,) = go(tree, source).files
    os.link(tree / path, tmp_path / "other")
    before = (tmp_path / "other").read_bytes()
    write(tree, "one.py", "x = 12345\n")
    assert go(tree, source).compiled == 1
    assert (tmp_path / "other").read_bytes() == before != (tree / path).read_bytes()


def test_links_are_not_followed(tree, tmp_path):
    source = write(tree, "one.py")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / "__pycache__").symlink_to(outside)
    assert list(go(tree, source).failures) == [source]
    assert not list(outside.iterdir())
    (tree / "__pycache__").unlink()
    (tree / "__pycache__").mkdir()
    target = tree / f"__pycache__/one.{TAG}.pyc"
    target.symlink_to(outside / "file")
    assert go(tree, source).compiled == 1
    assert target.is_file()
    assert not target.is_symlink()
    assert not list(outside.iterdir())


def test_a_file_system_that_refuses_ends_the_work(tree, tmp_path):
    scratch = tmp_path / "none" / "scratch"
    with pytest.raises(FileSystemError, match=r"none/scratch: No such file"):
        go(tree, write(tree, "one.py"), scratch=os.fspath(scratch))


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("", lambda path: path.symlink_to("/nowhere"), "__pycache__ beside it is a link"),
        ("", Path.touch, "__pycache__ beside it is a link, or no directory"),
        (f"one.{TAG}.pyc", Path.mkdir, "a directory is where its compiled file goes"),
    ],
)
def test_what_is_in_the_way_of_one_does_not_stop_the_rest(tree, name, make, why):
    sources = [write(tree, path) for path in ("a/one.py", "b/two.py")]
    cache = tree / "a/__pycache__"
    if name:
        cache.mkdir()
    make(cache / name)
    done = go(tree, *sources)
    assert list(done.failures) == ["a/one.py"]
    assert why in done.failures["a/one.py"]
    assert done.compiled == 1
    assert {path.name for path in tree.iterdir()} == {"a", "b"}


@pytest.mark.parametrize(
    "content",
    [b"\xff\xff\n", b"x = '\x00'\n", b"# coding: nonsense\n", b"(" * 5000 + b")" * 5000],
)
def test_nothing_that_is_in_a_file_stops_the_rest(tree, content):
    (tree / "bad.py").write_bytes(content)
    good = write(tree, "good.py")
    done = go(tree, "bad.py", good, "missing.py")
    assert set(done.failures) == {"bad.py", "missing.py"}
    assert done.failures["missing.py"] == "No such file or directory"
    assert all(text and "\n" not in text for text in done.failures.values())
    assert done.compiled == 1


class Scripted:
    """An interpreter that meddles with what the worker says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "python"

    def says(self, script: str) -> str:
        self.path.write_text(f"#!/bin/sh\n{script}\n")
        self.path.chmod(0o755)
        return os.fspath(self.path)


@pytest.fixture
def scripted(tmp_path) -> Scripted:
    return Scripted(tmp_path)


HELLO = f"echo kitbag 1 {TAG} cpython 3.13.5"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "ended early (status 3) before it could compile"),
        ("kill -9 $$", "ended early (signal 9) before it could compile"),
        ("echo Python 3.13; cat >/dev/null", "before it could compile anything"),
        ("echo kitbag 1 - cpython 3.13.5", "keeps no compiled files"),
    ],
)
def test_an_interpreter_that_does_not_begin(tree, scripted, script, words):
    with pytest.raises(KitbagError) as caught:
        go(tree, write(tree, "one.py"), python=scripted.says(script))
    assert words in str(caught.value)
    with pytest.raises(KitbagError, match=r"can't be started \(No such file"):
        go(tree, "one.py", python="/nowhere/python")


def test_a_file_that_kills_the_worker_is_a_failure_and_the_rest_is_done(tree, scripted):
    sources = [write(tree, f"{name}.py") for name in "abc"]
    # The first process dies at its second file, the second does the rest.
    python = scripted.says(
        f"if test -e '{tree}/died'; then exec '{PYTHON}' \"$@\"; fi\n"
        f"touch '{tree}/died'; cat >/dev/null; {HELLO}; echo c {'0' * 64}; kill -9 $$"
    )
    done = go(tree, *sources, python=python)
    assert done.failures == {"b.py": "the interpreter ended early (signal 9)"}
    assert done.compiled == 2


def test_a_worker_that_always_dies_is_given_up(tree, scripted):
    sources = [write(tree, f"{name}.py") for name in "abcdef"]
    python = scripted.says(f"cat >/dev/null; {HELLO}; kill -9 $$")
    with pytest.raises(KitbagError, match=r"ended early \(signal 9\) while it compiled c.py"):
        go(tree, *sources, python=python)


def test_files_that_kill_the_worker_now_and_then_do_not_end_the_work(tree, scripted):
    sources = [write(tree, f"{number}.py") for number in range(12)]
    python = scripted.says(f"cat >/dev/null; {HELLO}; echo c {'0' * 64}; kill -9 $$")
    done = go(tree, *sources, python=python)
    assert list(done.failures) == sources[1::2]
    assert done.compiled == 6


def test_time_in_which_nobody_listens_does_not_count(tree, scripted, monkeypatch):
    class Slow:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def advance(self, count):
            time.sleep(0.8)

    monkeypatch.setattr(compiling, "TIMEOUT", 0.4)
    line = f"echo c {'0' * 64}; sleep 0.3"
    python = scripted.says(f"cat >/dev/null; {HELLO}; {line}; {line}; {line}")
    sources = [write(tree, f"{name}.py") for name in "abc"]
    done = go(tree, *sources, python=python, progress=Slow())
    assert (done.compiled, done.failures) == (3, {})


def test_a_worker_that_hangs_is_killed(tree, scripted, monkeypatch):
    monkeypatch.setattr(compiling, "TIMEOUT", 0.2)
    python = scripted.says(f"cat >/dev/null; {HELLO}; exec sleep 100")
    done = go(tree, write(tree, "one.py"), python=python)
    assert done.failures == {"one.py": "the interpreter took longer than 0 seconds"}
    with pytest.raises(KitbagError, match="took longer than 0 seconds before it could"):
        go(tree, "one.py", python=scripted.says("exec sleep 100"))


def test_no_file_is_left_by_a_worker_that_dies_while_it_writes(tree, scripted):
    scratch = tree.parent / "scratch"
    python = scripted.says(f"cat >/dev/null; {HELLO}; echo half >'{scratch}'; kill -9 $$")
    go(tree, write(tree, "one.py"), python=python, scratch=os.fspath(scratch))
    assert not scratch.exists()


def test_an_interrupt_ends_the_worker(tree):
    class Interrupting:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def advance(self, count):
            raise KeyboardInterrupt

    sources = [write(tree, f"{number}.py") for number in range(50)]
    with pytest.raises(KeyboardInterrupt):
        go(tree, *sources, progress=Interrupting())
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        assert not file.read().split()
    assert {path.suffix for path in tree.rglob("*") if path.is_file()} == {".py", ".pyc"}


def test_a_worker_whose_parent_is_gone_writes_nothing_more(tree):
    """Nothing but the worker itself is left to end it."""
    sources = [write(tree, f"{number}.py") for number in range(300)]
    program = (
        "import os, signal, sys\n"
        "from kitbag_installer.bytecode.compiling import compile_files\n"
        "class Dying:\n"
        "    def advance(self, count):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"compile_files({PYTHON!r}, {os.fspath(tree)!r}, {sources!r}, home='', mode='timestamp', "
        "progress=Dying())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([PYTHON, "-c", program], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done
    assert len(list(tree.rglob("*.pyc"))) < 300


def test_the_environment_does_not_reach_it(tree, monkeypatch):
    for name, value in {
        "PYTHONPYCACHEPREFIX": "/nowhere",
        "PYTHONOPTIMIZE": "2",
        "PYTHONHOME": "/nowhere",
        "PYTHONWARNINGS": "error",
    }.items():
        monkeypatch.setenv(name, value)
    source = write(tree, "one.py", '"""Doc."""\nassert 1 is 1\n')
    done = go(tree, source)
    assert (done.compiled, done.failures) == (1, {})
    code = marshal.loads((tree / next(iter(done.files))).read_bytes()[16:])
    assert "Doc." in code.co_consts


def test_an_interpreter_describes_its_bytecode():
    maker = describe(PYTHON)
    assert maker.tag == TAG
    assert maker.magic == int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    assert maker.implementation == "cpython"
    assert maker.version == platform.python_version()
