"""Real builds, compiled: what is there afterwards, and what their interpreters make of it."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from kitbag_installer.bytecode.sources import is_broken_on_purpose
from support.cli import TARGET_SIDE, assert_done, call, environment, run
from support.compilable import count
from support.installed import Tree, bare_environment, check_sysconfig
from support.interpreters import packable_interpreters
from support.journey import only_build
from support.pbs import make_pbs_archive
from support.require import require

FLAGS = {"TIMESTAMP": 0, "UNCHECKED_HASH": 1, "CHECKED_HASH": 3}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one build of each minor version at hand."""
    found = packable_interpreters((3, 9))
    require(len(found) > 1, "no two CPythons from which archives can be made")
    minors = {each.minor: each for each in reversed(found)}
    output = tmp_path_factory.mktemp("several") / "several.kitbag"
    archives = [make_pbs_archive(each, slim=True) for each in minors.values()]
    words = [word for archive in archives for word in ("--from", str(archive))]
    assert_done(call("pack", *words, "-o", output))
    return output


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, slim_archive: Path) -> Path:
    output = tmp_path_factory.mktemp("one") / "one.kitbag"
    assert_done(call("pack", "--from", slim_archive, "-o", output))
    return output


def _trees(root: Path) -> list[Tree]:
    found = sorted(path for path in root.glob("cpython-*") if not path.is_symlink())
    return [Tree(path) for path in found]


def _sources(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if _is_source(path)}


def _is_source(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and ".kitbag" not in path.parts


def _meant(tree: Tree) -> int:
    """How many files there are, but for those that are not meant to compile."""
    found = (str(path.relative_to(tree.home)) for path in tree.home.rglob("*.py"))
    return sum(not is_broken_on_purpose(path) for path in found)


def _trace(tree: Tree, module: str) -> str:
    done = subprocess.run(
        [tree.python, "-B", "-v", "-c", f"import {module}"],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "8"])
def test_several_builds_are_compiled_beside_their_unpacking(
    several: Path, tmp_path: Path, jobs: str
) -> None:
    plain, root = tmp_path / "plain", tmp_path / "root"
    words = ("install", several, "--no-bin", "--jobs", jobs, "--json")
    assert_done(run(*words, "--root", root))
    before = _sources(root)
    root.rename(plain)
    ran = run(*words, "--root", root, "--compile-bytecode")
    assert_done(ran)
    after = _sources(root)
    assert {path: after.get(path) for path in before} == before
    builds = json.loads(ran.out)["builds"]
    assert [build["key"] for build in builds] == sorted(
        (build["key"] for build in builds),
        key=lambda key: [int(n) for n in re.findall(r"\d+", key)],
    )
    assert len(builds) == len(_trees(root))
    for build in builds:
        tree = Tree(Path(build["path"]))
        meant = _meant(tree)
        assert build["bytecode"] == {"compiled": meant, "fresh": 0, "failures": {}}
        assert count(tree.home, ".pyc") == meant > 100
    assert_done(run("verify", "--root", root))
    assert_done(run("uninstall", "--all", "--root", root))
    assert not any(path.suffix == ".pyc" for path in root.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "4"])
def test_nothing_is_compiled_before_it_is_rewritten(
    several: Path, tmp_path: Path, jobs: str
) -> None:
    """Nobody would ever notice an unchecked file that was: sysconfig would tell of /install."""
    root = tmp_path / "root"
    env = environment(PYC_INVALIDATION_MODE="UNCHECKED_HASH")
    words = ("install", several, "--root", root, "--no-bin", "--compile-bytecode", "--jobs", jobs)
    assert_done(run(*words, env=env))
    for tree in _trees(root):
        check_sysconfig(tree)
    moved = tmp_path / "moved"
    root.rename(moved)
    assert_done(run("relocate", "--root", moved))
    for tree in _trees(moved):
        check_sysconfig(tree)
        assert count(tree.home, ".pyc") == _meant(tree)
    assert_done(run("verify", "--root", moved))


@pytest.mark.parametrize("mode", FLAGS)
def test_each_mode_is_taken_by_the_interpreter(one: Path, tmp_path: Path, mode: str) -> None:
    root = tmp_path / "root"
    env = environment(PYC_INVALIDATION_MODE=mode)
    words = ("install", one, "--root", root, "--no-bin", "--compile-bytecode")
    assert_done(run(*words, env=env))
    tree = only_build(root)
    flags = {}
    for path in tree.home.rglob("*.pyc"):
        flags[path.name] = struct.unpack("<I", path.read_bytes()[4:8])[0]
    (rewritten,) = {flag for name, flag in flags.items() if name.startswith("_sysconfigdata")}
    assert rewritten == {"UNCHECKED_HASH": 3}.get(mode, FLAGS[mode])
    others = {flag for name, flag in flags.items() if name.startswith(("json", "abc", "textwrap"))}
    assert others == {FLAGS[mode]}
    trace = _trace(tree, "textwrap")
    assert re.search(r"textwrap\.cpython-\d+\.pyc matches .*textwrap\.py", trace)
    assert "wrote" not in trace
    # A second run, in another mode that nobody insists on.
    again = run("compile", "--root", root, "--json")
    assert_done(again)
    (build,) = json.loads(again.out)["builds"]
    assert build["bytecode"] == {"compiled": 0, "fresh": _meant(tree), "failures": {}}


@pytest.mark.slow
def test_a_second_run_is_quick(pbs_archive: Path, tmp_path: Path) -> None:
    bundle, root = tmp_path / "x.kitbag", tmp_path / "root"
    assert_done(call("pack", "--from", pbs_archive, "-o", bundle))
    assert_done(run("install", bundle, "--root", root, "--no-bin", "--compile-bytecode"))
    tree = only_build(root)
    assert count(tree.home, ".pyc") == _meant(tree) > 1000
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = run("compile", "--root", root)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ran.out.endswith(": bytecode up to date\n")
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # Seconds of work; how long a busy machine takes for it says nothing.
    assert min(spent) < 0.3, spent


@pytest.mark.slow
def test_a_build_of_uv_is_compiled_in_place(one: Path, tmp_path: Path) -> None:
    """Without a receipt; what any tool may have rewritten is checked all the same."""
    root = tmp_path / "root"
    assert_done(run("install", one, "--root", root, "--no-bin"))
    tree = only_build(root)
    shutil.rmtree(tree.home / ".kitbag")
    env = environment(PYC_INVALIDATION_MODE="UNCHECKED_HASH")
    words = ("install", one, "--root", root, "--no-bin", "--compile-bytecode")
    ran = run(*words, env=env)
    assert_done(ran)
    assert f"; compiled {_meant(tree)} files" in ran.out
    assert not os.path.lexists(tree.home / ".kitbag")
    (data,) = tree.home.rglob("_sysconfigdata*.pyc")
    assert data.read_bytes()[4] == 3


@pytest.mark.slow
def test_compiling_can_be_watched_being_bounded(several: Path, tmp_path: Path) -> None:
    """Never more than so many processes of the new interpreters at a time."""
    root = tmp_path / "root"
    script = tmp_path / "watch.py"
    # The command starts what compiles as its grandchildren; they are counted by their program.
    script.write_text(
        "import os, subprocess, sys, time\n"
        "process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)\n"
        "most = 0\n"
        "while process.poll() is None:\n"
        "    count = 0\n"
        "    for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "        try:\n"
        "            words = open(f'/proc/{pid}/cmdline', 'rb').read()\n"
        "        except OSError:\n"
        "            continue\n"
        "        count += words.startswith(os.fsencode(sys.argv[1]))\n"
        "    most = max(most, count)\n"
        "    time.sleep(0.01)\n"
        "print(most)\n"
        "sys.exit(process.returncode)\n"
    )
    words = ["install", several, "--root", root, "--no-bin", "--compile-bytecode", "--jobs", "2"]
    ran = run(*words, command=[TARGET_SIDE[0], str(script), str(root), *TARGET_SIDE])
    assert_done(ran)
    assert ran.out.strip() in ("1", "2"), ran
