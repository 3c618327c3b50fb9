"""Bytecode that a bundle brings along: the same from anywhere, valid in any place."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kitbag_bundles.bundle import Bundle
from support.bundles import with_sums
from support.cli import BOTH_SIDES, assert_refused, environment, run
from support.crafting import write_raw
from support.interpreters import Interpreter, packable_interpreters
from support.journey import kitbag, only_build
from support.pbs import make_pbs_archive
from support.require import require
from support.sharing import shared
from support.snapshots import snapshot, temporary

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# What an import does but for running the code: the loader finds the compiled file, holds it against
# the source, and writes a new one if it is stale.
_LOAD = """
import json, sys
from importlib.machinery import SourceFileLoader
for name in json.load(sys.stdin):
    code = SourceFileLoader("probe", name).get_code("probe")
    assert code.co_filename == name, (code.co_filename, name)
"""
# Every kind of set constant and a locale's codec have a part in what marshal writes.
_ELSEWHERE = {
    "PYTHONHASHSEED": "77",
    "TZ": "Asia/Tokyo",
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    "PYTHONPATH": "/nowhere",
}


class Warm(NamedTuple):
    """A bundle with bytecode, and what it was made of."""

    bundle: Path
    archive: Path
    interpreter: Interpreter


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Warm:
    """A real CPython, 3.13 where the machine has one."""
    found = packable_interpreters((3, 9))
    require(found, "no CPython with a prefix of its own (not a distribution's) on this machine")
    interpreter = next((each for each in found if each.minor == "3.13"), found[0])
    archive = make_pbs_archive(interpreter)
    folder = shared(
        tmp_path_factory,
        "warm",
        lambda place: kitbag("pack", "--from", archive, "--bytecode", "-o", place / "w.kitbag"),
    )
    return Warm(folder / "w.kitbag", archive, interpreter)


def overlay(bundle: Path) -> tuple[object, bytes]:
    with Bundle.open(bundle) as opened:
        (build,) = opened.manifest.builds
        assert build.bytecode is not None
        return build.bytecode, opened.read(build.bytecode.member)


def compiled(home: Path) -> list[Path]:
    return sorted(home.rglob("*.pyc"))


def source_of(path: Path) -> Path:
    return path.parent.parent / f"{path.name.partition('.')[0]}.py"


def load(home: Path, sources: list[Path]) -> str:
    """Load the code of ``sources`` with the interpreter of ``home``; what ``-v`` says of it."""
    program = next(path for path in sorted((home / "bin").glob("python3.*")) if path.is_file())
    done = subprocess.run(
        [program, "-I", "-S", "-v", "-c", _LOAD],
        input=json.dumps([str(path) for path in sources]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def check_valid(home: Path, count: int) -> None:
    """Every compiled file is taken as it is, and running the interpreter writes none."""
    before = snapshot(home)
    paths = compiled(home)
    assert len(paths) == count
    sources = [source_of(path) for path in paths]
    trace = load(home, sources)
    matched = set(re.findall(r"^# (.+\.pyc) matches ", trace, re.MULTILINE))
    assert {str(path) for path in paths} <= matched
    assert "# wrote" not in trace
    assert "bytecode is stale" not in trace
    assert snapshot(home) == before


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_the_same_bytes_from_anywhere(warm: Warm, tmp_path: Path, jobs: str) -> None:
    (tmp_path / "t").mkdir()
    archive = tmp_path / warm.archive.name
    archive.symlink_to(warm.archive)
    out = tmp_path / "again.kitbag"
    env = environment(**_ELSEWHERE, TMPDIR=str(tmp_path / "t"))
    words = ("pack", "--from", archive, "--bytecode", "--jobs", jobs, "-o", out)
    assert run(*words, command=BOTH_SIDES, env=env).status == 0
    assert overlay(out) == overlay(warm.bundle)
    assert os.listdir(tmp_path / "t") == []


def test_it_is_valid_wherever_it_lands_and_after_a_move(warm: Warm, tmp_path: Path) -> None:
    made, _ = overlay(warm.bundle)
    for root in (tmp_path / "one", tmp_path / "the other ü"):
        kitbag("install", warm.bundle, "--root", root, "--no-bin")
        check_valid(only_build(root).home, made.files)  # type: ignore[attr-defined]
    kitbag("verify", "--root", tmp_path / "one")
    moved = tmp_path / "moved"
    (tmp_path / "one").rename(moved)
    kitbag("relocate", "--root", moved)
    check_valid(only_build(moved).home, made.files)  # type: ignore[attr-defined]
    kitbag("verify", "--root", moved)


def test_only_what_is_rewritten_is_left_to_be_compiled(warm: Warm, tmp_path: Path) -> None:
    root = tmp_path / "root"
    kitbag("install", warm.bundle, "--root", root, "--no-bin")
    home = only_build(root).home
    have = {source_of(path) for path in compiled(home)}
    library = home / "lib" / warm.interpreter.library_name
    rest = {path.relative_to(library).as_posix() for path in library.rglob("*.py")} - {
        path.relative_to(library).as_posix() for path in have
    }
    rewritten = re.compile(r"_sysconfigdata_.*\.py|cgi\.py|config-.*/python-config\.py")
    broken = re.compile(r"lib2to3/tests/data/.*|.*/bad_coding.*|.*/badsyntax.*")
    assert all(rewritten.fullmatch(name) or broken.fullmatch(name) for name in rest), rest
    assert any(rewritten.fullmatch(name) for name in rest)
    kitbag("install", warm.bundle, "--root", root, "--no-bin", "--compile-bytecode")
    left = {path.relative_to(library).as_posix() for path in library.rglob("*.py")} - {
        source_of(path).relative_to(library).as_posix() for path in compiled(home)
    }
    assert all(broken.fullmatch(name) for name in left), left


def test_it_can_be_left_out(warm: Warm, tmp_path: Path) -> None:
    kitbag("install", warm.bundle, "--root", tmp_path / "r", "--no-bin", "--no-compile-bytecode")
    assert compiled(only_build(tmp_path / "r").home) == []


@pytest.fixture
def members(warm: Warm) -> dict[str, bytes]:
    """The members of the bundle as bytes."""
    with zipfile.ZipFile(warm.bundle) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def check_refused(bundle: Path, root: Path, *words: str) -> None:
    assert_refused(run("install", bundle, "--root", root, "--no-bin"), 3, *words)
    assert temporary(root) == []
    assert not root.exists() or not [path for path in root.iterdir() if "cpython" in path.name]


def test_a_damaged_overlay_stops_the_install_and_leaves_nothing(
    members: dict[str, bytes], tmp_path: Path
) -> None:
    member = next(name for name in members if name.startswith("meta/bytecode/"))
    data = flipped(members[member], len(members[member]) // 2)
    # Nothing vouches for these bytes.
    unknown = write_raw(tmp_path / "unknown.kitbag", {**members, member: data})
    check_refused(unknown, tmp_path / "one", member)
    # Manifest and sums do; what is inside is found wrong when the build is unpacked already.
    digests = [hashlib.sha256(each).hexdigest() for each in (members[member], data)]
    text = members["manifest.toml"].decode().replace(*digests)
    vouched = with_sums({**members, member: data, "manifest.toml": text.encode()})
    check_refused(write_raw(tmp_path / "vouched.kitbag", vouched), tmp_path / "two", member)
