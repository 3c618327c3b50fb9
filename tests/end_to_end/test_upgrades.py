"""Upgrades and rollbacks of real interpreters, with what was made from them, and beside uv."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.bundled import host_key, tiny_bundle
from support.cli import assert_done, call, run
from support.interpreters import packable_interpreters
from support.patches import patch_bundle, patch_key
from support.pbs import make_pbs_archive
from support.require import require
from support.snapshots import dangling
from support.uvtool import Uv, list_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.interpreters import Interpreter

# Far above any patch that there is; uv reads them up to 255.
OLD, NEW = 201, 202


class Patches(NamedTuple):
    """One real interpreter as two patch releases."""

    interpreter: Interpreter
    bundles: dict[int, Path]

    @property
    def minor(self) -> str:
        return self.interpreter.minor

    def key(self, patch: int) -> str:
        return str(patch_key(self.interpreter, patch))


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Patches:
    found = packable_interpreters((3, 11))
    require(found, "no CPython from which an archive can be made")
    folder = tmp_path_factory.mktemp("patches")
    return Patches(found[0], {patch: patch_bundle(folder, found[0], patch) for patch in (OLD, NEW)})


class Site:
    """A root and a bin directory, and virtual environments beside them."""

    def __init__(self, folder: Path, patches: Patches) -> None:
        self.folder = folder
        self.root, self.bin = folder / "root", folder / "bin"
        self.patches = patches

    @property
    def link(self) -> Path:
        return self.root / patch_key(self.patches.interpreter, NEW).minor_key

    def install(self, patch: int, *options: str) -> None:
        where = ("--root", self.root, "--bin-dir", self.bin)
        assert_done(run("install", self.patches.bundles[patch], *where, *options))

    def roll_back(self, patch: int | None = None) -> None:
        request = self.patches.minor if patch is None else f"{self.patches.minor}.{patch}"
        assert_done(run("rollback", request, "--root", self.root))

    def environment(self, python: Path) -> Path:
        place = self.folder / f"env-{len(list(self.folder.iterdir()))}"
        command = [python, "-m", "venv", "--without-pip", place]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done
        (site,) = place.glob("lib/python3*/site-packages")
        (site / "mine.py").write_text("")
        return place / "bin" / "python"


def says(python: Path) -> tuple[int, str]:
    """The patch that an interpreter says it is, and where its standard library really is."""
    code = (
        "import json, os, sys, sqlite3, ssl, sysconfig;"
        "print(json.dumps([sys.version_info[2], os.path.realpath(sysconfig.get_path('stdlib'))]))"
    )
    done = subprocess.run(
        [python, "-I", "-B", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done
    patch, place = json.loads(done.stdout)
    return patch, place


@pytest.mark.slow
def test_environments_follow_the_link_and_no_others(tmp_path: Path, patches: Patches) -> None:
    site = Site(tmp_path, patches)
    site.install(OLD)
    name = f"python{patches.minor}"
    followers = [site.environment(site.bin / name), site.environment(site.link / "bin" / name)]
    stays = site.environment(site.root / patches.key(OLD) / "bin" / name)
    uv = Uv.at(site.root, tmp_path / "uv")
    place = tmp_path / "env-of-uv"
    uv.run("venv", "--python", patches.minor, "--managed-python", place)
    (next(place.glob("lib/python3*/site-packages")) / "mine.py").write_text("")
    followers.append(place / "bin" / "python")

    def expect(patch: int) -> None:
        for python in (*followers, site.bin / name):
            said, place = says(python)
            assert said == patch
            assert place.startswith(f"{site.root}/{patches.key(patch)}/")
        assert says(stays)[0] == OLD

    expect(OLD)
    site.install(NEW, "--upgrade")
    expect(NEW)
    for python in (*followers, stays):
        subprocess.run([python, "-I", "-c", "import mine"], check=True)
    site.roll_back()
    expect(OLD)
    site.install(NEW, "--upgrade")
    expect(OLD)
    site.roll_back(NEW)
    expect(NEW)
    site.install(NEW, "--upgrade", "--prune")
    assert {says(python)[0] for python in followers} == {NEW}
    assert not (site.root / patches.key(OLD)).exists()
    assert not dangling(site.root, site.bin)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_started_through_the_link_never_fails(tmp_path: Path, patches: Patches) -> None:
    """Not while an upgrade comes in, nor while a rollback turns the link, again and again."""
    site = Site(tmp_path, patches)
    site.install(OLD)
    site.install(NEW)
    python = site.link / "bin" / f"python{patches.minor}"
    seen, problems = beside(lambda: turn_to_and_fro(site), lambda: says(python)[0])
    assert not problems
    assert set(seen) == {OLD, NEW}


def turn_to_and_fro(site: Site) -> None:
    for _ in range(4):
        site.roll_back()
        assert_done(run("uninstall", site.patches.key(NEW), "--root", site.root))
        site.install(NEW, "--upgrade")


def test_a_tiny_build_that_is_started_through_the_link_never_fails(tmp_path: Path) -> None:
    versions = ("3.13.5", "3.13.7", "3.13.7@20260202")
    bundles = [tiny_bundle(tmp_path / f"{text}.kitbag", text) for text in versions]
    where = ("--root", tmp_path / "root", "--no-bin")
    assert_done(call("install", bundles[0], *where))
    python = tmp_path / "root" / host_key().minor_key / "bin" / "python3.13"

    # In processes of their own: a thread that forks shares files that are being written.
    def work() -> None:
        for _ in range(3):
            assert_done(run("install", bundles[1], "--upgrade", *where))
            assert_done(run("rollback", "3.13", "--root", tmp_path / "root"))
            assert_done(run("install", bundles[2], "--upgrade", *where))
            assert_done(run("rollback", "3.13.5", "--root", tmp_path / "root"))
            assert_done(run("uninstall", "3.13.7", "--root", tmp_path / "root"))

    def read() -> str:
        done = subprocess.run([python, "-V"], capture_output=True, text=True, check=True)
        return done.stdout

    seen, problems = beside(work, read)
    assert not problems
    assert set(seen) <= {"Python 3.13.5\n", "Python 3.13.7\n"}


def beside(work: Callable[[], None], read: Callable[[], object]) -> tuple[list[object], list[str]]:
    """Do ``work`` while two threads ``read`` all the time; what they saw, and what failed."""
    done = threading.Event()
    seen: list[object] = []
    problems: list[str] = []

    def loop() -> None:
        while not done.is_set():
            try:
                seen.append(read())
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                problems.append(repr(error))

    readers = [threading.Thread(target=loop) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        work()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    return seen, problems


class TestBesideUv:
    """uv turns every link to the highest patch whenever it installs or removes anything."""

    def test_each_run_of_kitbag_turns_a_pinned_line_back(self, tmp_path: Path) -> None:
        found = packable_interpreters((3, 11))
        require(found, "no CPython from which an archive can be made")
        other = next((one for one in found if one.minor != "3.13"), None)
        require(other, "no CPython of another minor version")
        assert other is not None
        root = tmp_path / "root"
        entry = list_entry(make_pbs_archive(other, slim=True), other)
        uv = Uv.at(root, tmp_path / "uv", entry)
        bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5", "3.13.7")
        newer = tiny_bundle(tmp_path / "y.kitbag", "3.13.9")
        where = ("--root", root, "--bin-dir", uv.bin_dir)
        link = root / host_key().minor_key

        def current() -> str:
            return Path(os.readlink(link)).name.split("-")[1]

        assert_done(call("install", bundle, *where))
        assert_done(call("rollback", "3.13", "--root", root))
        uv.python("install", other.minor)
        assert current() == "3.13.7"
        rows = json.loads(call("installed", "--root", root, "--json").out)["builds"]
        pinned = {row["key"]: (row["pinned"], row["current"]) for row in rows}
        assert pinned[str(host_key("3.13.5"))] == (True, False)
        assert pinned[str(host_key("3.13.7"))] == (False, True)
        # Said again it is the same rollback, not one step further.
        assert_done(call("rollback", "3.13", "--root", root))
        assert current() == "3.13.5"
        uv.python("install", other.minor)
        assert current() == "3.13.7"
        assert_done(call("install", bundle, *where, "--upgrade"))
        assert current() == "3.13.5"
        # What uv installs is as new as anything else: both agree from then on.
        assert_done(call("install", newer, *where, "--upgrade"))
        assert current() == "3.13.9"
        uv.python("install", other.minor)
        assert current() == "3.13.9"
        assert not (root / ".kitbag" / "pins.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_interpreter_that_runs_kitbag_may_be_pruned(
    tmp_path: Path, patches: Patches, more: tuple[str, ...]
) -> None:
    """The ``kitbag`` command takes what is installed: here what has to go."""
    site = Site(tmp_path, patches)
    site.install(OLD)
    command = [site.bin / "kitbag", "install", patches.bundles[NEW], "--upgrade", "--prune", *more]
    where = ("--root", site.root, "--bin-dir", site.bin)
    done = subprocess.run([*command, *where], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    assert "error" not in done.stderr
    assert f" - {patches.key(OLD)}\n" in done.stdout or json.loads(done.stdout)["pruned"]
    assert not (site.root / patches.key(OLD)).exists()
    assert says(site.bin / f"python{patches.minor}")[0] == NEW
    assert_done(run("verify", "--root", site.root))
