"""Repairs of real builds: every kind of damage, by a bundle that starts itself, beside uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.bundled import tiny_bundle
from support.cli import run
from support.installed import Tree, bare_environment, check_records, check_starts, check_sysconfig
from support.journey import kitbag, only_build, shared_bundle
from support.neighbours import Both
from support.snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.interpreters import Interpreter


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, slim_archive: Path) -> Path:
    """A bundle of the small real build. Read only."""
    return shared_bundle(tmp_path_factory, "slim.kitbag", slim_archive)


@pytest.fixture
def tree(bundle: Path, tmp_path: Path) -> Tree:
    """The build with a package that a person added."""
    where = ["--root", tmp_path / "root", "--bin-dir", tmp_path / "bin"]
    kitbag("install", bundle, *where)
    tree = only_build(tmp_path / "root")
    own = tree.library / "site-packages" / "own"
    own.mkdir()
    (own / "__init__.py").write_text("answer = 42\n")
    return tree


def flip(tree: Tree) -> None:
    """One bit in the middle of the interpreter."""
    path = tree.python
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate(tree: Tree) -> None:
    """The library without which nothing starts, or else the interpreter itself."""
    found = [path for path in (tree.home / "lib").glob("libpython3.*.so.*") if path.is_file()]
    path = max(found, default=tree.python)
    os.truncate(path, path.stat().st_size // 2)


def remove_a_folder(tree: Tree) -> None:
    shutil.rmtree(tree.library / "encodings")


def take_modes_away(tree: Tree) -> None:
    tree.python.chmod(0)
    (tree.library / "os.py").chmod(0o755)


def turn_a_link(tree: Tree) -> None:
    path = tree.home / "bin" / "python3"
    path.unlink()
    path.symlink_to("/nowhere")


def edit_the_receipt(tree: Tree) -> None:
    path = tree.home / ".kitbag" / "receipt.json"
    table = json.loads(path.read_text())
    table["changed"] = dict.fromkeys(table["changed"], "0" * 64)
    path.write_text(json.dumps(table))


def remove_the_receipt(tree: Tree) -> None:
    shutil.rmtree(tree.home / ".kitbag")


def damage_the_originals(tree: Tree) -> None:
    (tree.home / ".kitbag" / "originals.json.gz").write_bytes(b"")
    next(tree.library.glob("_sysconfigdata_*.py")).write_text("build_time_vars = {}\n")


DAMAGES = [
    *(flip, truncate, remove_a_folder, take_modes_away, turn_a_link),
    *(edit_the_receipt, remove_the_receipt, damage_the_originals),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_damage(bundle: Path, tree: Tree, damage: Callable[[Tree], None]) -> None:
    root = tree.home.parent
    before = snapshot(root)
    damage(tree)
    assert snapshot(root) != before
    kitbag("repair", bundle, "--root", root)
    assert snapshot(root) == before
    kitbag("verify", "--root", root)


def test_all_at_once(bundle: Path, tree: Tree) -> None:
    root = tree.home.parent
    before = snapshot(root)
    for damage in DAMAGES:
        if damage not in (edit_the_receipt, remove_the_receipt):
            damage(tree)
    edit_the_receipt(tree)
    kitbag("repair", bundle, "--root", root)
    assert snapshot(root) == before
    answer = check_starts(tree)
    assert answer["prefix"] == str(tree.home)
    check_sysconfig(tree)
    assert check_records(tree) > 0
    code = "import own; print(own.answer)"
    done = subprocess.run([tree.python, "-I", "-B", "-c", code], capture_output=True, check=True)
    assert done.stdout == b"42\n"


class TestByItself:
    """The bundle mends a root whose only interpreter does not start any more."""

    @pytest.mark.parametrize("how", ["shell", "python"])
    def test_a_root_that_is_broken(
        self, bundle: Path, tree: Tree, interpreter: Interpreter, how: str
    ) -> None:
        root = tree.home.parent
        before = snapshot(root)
        truncate(tree)
        remove_a_folder(tree)
        command = tree.home.parent.parent / "bin" / "kitbag"
        broken = subprocess.run([command, "--version"], capture_output=True, check=False)
        assert broken.returncode != 0
        start: list[str | Path] = (
            ["sh", bundle] if how == "shell" else [interpreter.path, "-I", bundle]
        )
        # A bin directory first on PATH, as a person has it, whose Python is the broken one.
        path = f"{command.parent}:/usr/bin:/bin"
        done = subprocess.run(
            [*start, "repair", "--root", root],
            env={**bare_environment(), "PATH": path},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done
        assert f"{tree.home.name}: mended " in done.stdout
        assert snapshot(root) == before
        fixed = subprocess.run([command, "--version"], capture_output=True, check=False)
        assert fixed.returncode == 0

    def test_where_there_is_no_root_none_is_left(self, bundle: Path, tmp_path: Path) -> None:
        done = subprocess.run(
            ["sh", bundle, "repair", "--root", tmp_path / "none" / "root"],
            env=bare_environment(), capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 4, done
        assert not (tmp_path / "none").exists()


class TestBytecode:
    """What kitbag compiled, or brought along compiled, is looked after like anything else."""

    @pytest.fixture(params=["compiled", "brought"])
    def warm(
        self, request: pytest.FixtureRequest, slim_archive: Path, bundle: Path, tmp_path: Path
    ) -> tuple[Path, Tree]:
        root = tmp_path / "root"
        if request.param == "brought":
            bundle = tmp_path / "warm.kitbag"
            kitbag("pack", "--from", slim_archive, "--bytecode", "-o", bundle)
            kitbag("install", bundle, "--root", root, "--no-bin")
        else:
            kitbag("install", bundle, "--root", root, "--no-bin", "--compile-bytecode")
        return bundle, only_build(root)

    @staticmethod
    def check(bundle: Path, tree: Tree) -> None:
        root = tree.home.parent
        kitbag("repair", bundle, "--root", root)
        kitbag("verify", "--root", root)
        code = "import sys, json, os; print(os.__spec__.cached)"
        done = subprocess.run(
            [tree.python, "-I", "-v", "-c", code], capture_output=True, text=True, check=True
        )
        for name in ("json", "codecs"):
            assert not [each for each in done.stderr.splitlines() if f"wrote '{name}" in each]
        assert "bytecode is stale" not in done.stderr
        assert "# wrote" not in done.stderr
        kitbag("verify", "--root", root)
        assert "sound" in kitbag("repair", bundle, "--root", root)

    def test_damaged_files(self, warm: tuple[Path, Tree]) -> None:
        bundle, tree = warm
        cache = tree.library / "__pycache__"
        tag = f"cpython-{tree.minor.replace('.', '')}"
        (cache / f"codecs.{tag}.pyc").write_bytes(b"damaged")
        (cache / f"os.{tag}.pyc").unlink()
        shutil.rmtree(tree.library / "json" / "__pycache__")
        (tree.library / "abc.py").write_text("damaged = 1\n")
        next(tree.library.glob("_sysconfigdata_*.py")).unlink()
        self.check(bundle, tree)
        for path in (cache / f"codecs.{tag}.pyc", cache / f"os.{tag}.pyc"):
            assert path.stat().st_size > 1000
        assert (tree.library / "json" / "__pycache__" / f"decoder.{tag}.pyc").exists()

    @pytest.mark.parametrize("how", ["gone", "cut"])
    def test_the_list_of_them(self, warm: tuple[Path, Tree], how: str) -> None:
        bundle, tree = warm
        path = tree.home / ".kitbag" / "bytecode.tsv"
        before = {line.split("\t")[1] for line in path.read_text().splitlines()}
        if how == "gone":
            path.unlink()
        else:
            os.truncate(path, path.stat().st_size // 2)
        self.check(bundle, tree)
        assert {line.split("\t")[1] for line in path.read_text().splitlines()} == before

    def test_a_move(self, warm: tuple[Path, Tree], tmp_path: Path) -> None:
        """Bytecode of what names the place is made again, all else is as good as ever."""
        bundle, tree = warm
        tree.home.parent.rename(tmp_path / "moved")
        kitbag("relocate", "--root", tmp_path / "moved")
        self.check(bundle, only_build(tmp_path / "moved"))


@pytest.fixture
def both(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    slim_archive: Path,
    packable_interpreter: Interpreter,
) -> Both:
    return Both.at(tmp_path, tmp_path_factory, slim_archive, packable_interpreter)


class TestTakeOver:
    def test_what_uv_installed(self, both: Both) -> None:
        both.uv.python("install", both.minor)
        own = both.home / "lib" / f"python{both.minor}" / "site-packages" / "own.py"
        own.write_text("own = 1\n")
        table = json.loads(kitbag("repair", both.bundle, "--root", both.root, "--json"))
        (row,) = table["builds"]
        assert (row["key"], row["action"]) == (both.key, "taken-over")
        library = f"lib/python{both.minor}"
        assert {f"{library}/EXTERNALLY-MANAGED"} < set(row["mended"])
        kitbag("verify", both.key, "--root", both.root)
        check_sysconfig(Tree(both.home))
        assert own.read_text() == "own = 1\n"
        (listed,) = json.loads(kitbag("installed", "--root", both.root, "--json"))["builds"]
        assert (listed["by-kitbag"], listed["problem"]) == (True, "")
        # It is uv's as much as ever.
        assert both.listed() == [both.key]
        assert both.prefix_of(both.bin_dir / f"python{both.minor}") in (
            str(both.home), str(both.link),
        )  # fmt: skip
        found = both.uv.python("find", both.minor, "--managed-python").strip()
        assert both.prefix_of(found) in (str(both.home), str(both.link))

    def test_it_is_what_an_install_makes(self, both: Both) -> None:
        both.install()
        wanted = snapshot(both.home)
        both.uv.python("install", "-r", both.minor)
        assert not (both.home / ".kitbag").exists()
        kitbag("repair", both.bundle, "--root", both.root)
        assert snapshot(both.home) == wanted

    def test_uv_over_ours_is_mended(self, both: Both) -> None:
        """uv goes over our files when it is asked for the same build; its mark is not ours."""
        both.install()
        wanted = snapshot(both.home)
        both.uv.python("install", both.minor)
        assert run("verify", "--root", both.root).status == 3
        kitbag("repair", both.bundle, "--root", both.root)
        assert snapshot(both.home) == wanted

    def test_another_release_is_not_taken(self, both: Both, tmp_path: Path) -> None:
        """A build of the same key with other files in it stays uv's."""
        both.uv.python("install", both.minor)
        (both.home / "BUILD").write_text("20240101")
        version = both.key.split("-")[1]
        other = tiny_bundle(tmp_path / "other.kitbag", version)
        before = snapshot(both.home)
        done = run("repair", other, "--root", both.root)
        assert done.status == 4
        assert "20240101" in done.err
        assert "--reinstall" in done.err
        assert snapshot(both.home) == before
