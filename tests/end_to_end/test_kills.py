"""A kill at any moment leaves the old build or the new one, and the next run clears up.

``strace`` kills a command as it comes to a system call by which it would change something, so each
try stops after exactly the calls before that one; all tries together stop after every call. What
is left is compared, bit by bit, with how the build was before and with how it was meant to become.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support import crafting
from support.cli import TARGET_SIDE, assert_done, call, environment, finish, run, start
from support.faults import Call, killed_at, mounted, mutating_calls
from support.interpreters import packable_interpreters
from support.members import Member, below, write_archive
from support.pbs import make_pbs_archive
from support.require import require
from support.snapshots import Thing, dangling, snapshot, temporary
from support.tiny import tiny_members, tiny_name

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Ran

KEY = crafting.host_key()
SEED = 20260101
NO_EXCHANGE = "renameat2:error=EINVAL"
State = dict[str, Thing]


def _tree_state(tree: Path) -> State:
    """A tree with relative paths; empty if there is none."""
    start = os.fspath(tree)
    return {path.removeprefix(start): thing for path, thing in snapshot(tree).items()}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same key twice, with other files in it and another release."""
    folder = tmp_path_factory.mktemp("bundles")
    first = crafting.tiny_build(folder)
    members = [one for one in tiny_members() if not one.path.endswith("LICENSE.txt")]
    members += [Member("share/more/new.txt", b"new\n"), Member("bin/tool", b"#!/bin/sh\n", 0o775)]
    archive = folder / tiny_name(release="20260202")
    write_archive(below("python", members), archive, ".tar.gz")
    second = crafting.inspected(archive, KEY)
    return (
        crafting.write(folder / "first.kitbag", first),
        crafting.write(folder / "second.kitbag", second),
    )


class Scene:
    """One command to be killed: what comes before it, and what may be there after it."""

    def __init__(self, folder: Path, bundles: tuple[Path, Path]) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.bundles = bundles
        self.log = folder / "strace.log"
        self.old: State = {}
        self.new: State = {}
        self.end: State = {}

    @property
    def tree(self) -> Path:
        return self.root / KEY

    def command(self) -> list[str]:
        """The command, without what it is run by."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make things as they are before the command."""
        raise NotImplementedError

    def rehearse(self) -> None:
        """Find out what an undisturbed run makes."""
        self.prepare()
        self.old = _tree_state(self.tree)
        assert_done(call(*self.command()))
        self.new = _tree_state(self.tree)
        self.end = self.everything()
        assert self.old != self.new

    def everything(self) -> State:
        return snapshot(self.root, self.bin)

    def calls(self, inject: str = "") -> list[Call]:
        """The system calls by which the command changes something."""
        self.prepare()
        command = [*TARGET_SIDE, *self.command()]
        return mutating_calls(command, self.log, inject=inject, env=environment())

    def kill(self, at: Call, inject: str = "") -> None:
        """Let the command run until it comes to ``at``."""
        before = killed_at(at, self.log, inject=inject)
        ran = run(*self.command(), before=before)
        assert ran.status == -signal.SIGKILL, (at, ran)

    def check_halfway(self) -> None:
        """The build is the old one or the new one; if it is there, it runs."""
        found = _tree_state(self.tree)
        assert found in (self.old, self.new), _differences(found, self.old, self.new)
        if found:
            _check_runs(self.tree / "bin" / "python3.13")

    def check_end(self) -> None:
        """The same command again brings everything to where it should be."""
        assert_done(call(*self.command()))
        assert self.everything() == self.end
        assert not temporary(self.root)
        assert not dangling(self.root, self.bin)


class Install(Scene):
    """A first install."""

    def command(self) -> list[str]:
        root = ["--root", str(self.root), "--bin-dir", str(self.bin)]
        return ["install", str(self.bundles[0]), *root]

    def prepare(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.bin, ignore_errors=True)

    def check_halfway(self) -> None:
        super().check_halfway()
        assert not dangling(self.root, self.bin)


class Reinstall(Install):
    """An install that replaces another release of the build, with other files in it."""

    def command(self) -> list[str]:
        return self._install(self.bundles[1])

    def _install(self, bundle: Path) -> list[str]:
        root = ["--root", str(self.root), "--bin-dir", str(self.bin)]
        return ["install", str(bundle), *root, "--reinstall"]

    def prepare(self) -> None:
        assert_done(call(*self._install(self.bundles[0])))

    def check_halfway(self) -> None:
        super().check_halfway()
        assert self.tree.exists()
        _check_runs(self.bin / "python3.13")


class JournalledReinstall(Reinstall):
    """The same where two trees cannot be exchanged in one step: the next run decides."""

    def check_halfway(self) -> None:
        # Between two renames nothing may be there; whoever takes the lock next puts it right.
        assert _tree_state(self.tree) in ({}, self.old, self.new)
        assert_done(call("relocate", "--root", self.root))
        assert not temporary(self.root)
        super().check_halfway()


class Relocate(Scene):
    """A root was moved."""

    def __init__(self, folder: Path, bundles: tuple[Path, Path]) -> None:
        super().__init__(folder, bundles)
        self.places = [folder / "here" / "root", folder / "over there" / "root"]
        self.ends: dict[Path, tuple[State, State]] = {}
        for place in self.places:
            place.parent.mkdir()

    def command(self) -> list[str]:
        return ["relocate", "--root", str(self.root)]

    def rehearse(self) -> None:
        self.root = self.places[0]
        root = ["--root", self.root, "--bin-dir", self.bin]
        assert_done(call("install", self.bundles[0], *root))
        self.ends[self.root] = _tree_state(self.tree), self.everything()
        for _ in range(2):
            self._move()
            assert_done(call(*self.command()))
            made = _tree_state(self.tree), self.everything()
            # Moved there and back again, it is what it was when it was installed.
            assert self.ends.setdefault(self.root, made) == made

    def _move(self) -> None:
        other = self.places[1 - self.places.index(self.root)]
        self.root.rename(other)
        self.root = other

    def prepare(self) -> None:
        # Always from the first place to the second: other paths may mean other system calls.
        if self.root == self.places[1]:
            self._move()
            assert_done(call(*self.command()))
        self.old = self.ends[self.root][0]
        self._move()
        self.new, self.end = self.ends[self.root]

    def check_halfway(self) -> None:
        super().check_halfway()
        assert self.tree.exists()


class JournalledRelocate(Relocate):
    """The same where two trees cannot be exchanged in one step."""

    def check_halfway(self) -> None:
        assert _tree_state(self.tree) in ({}, self.old, self.new)
        # Any verb that takes the lock will do, also one that finds nothing to work on.
        ran = call("uninstall", "2.7", "--root", self.root)
        assert ran.status == 4, ran
        assert not temporary(self.root)
        super().check_halfway()


class Uninstall(Scene):
    """The last build of a root goes, and kitbag with it."""

    def command(self) -> list[str]:
        return ["uninstall", "--all", "--root", str(self.root)]

    def prepare(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.bin, ignore_errors=True)
        root = ["--root", self.root, "--bin-dir", self.bin]
        assert_done(call("install", self.bundles[0], *root))


class UninstallOne(Uninstall):
    """One of two builds goes; by name, so that a second run finds nothing of that name."""

    def command(self) -> list[str]:
        return ["uninstall", KEY, "--root", str(self.root)]

    def prepare(self) -> None:
        super().prepare()
        other = self.folder / "other.kitbag"
        if not other.exists():
            crafting.write(other, crafting.tiny_build(self.folder, "3.12.9"))
        root = ["--root", self.root, "--bin-dir", self.bin]
        assert_done(call("install", other, *root))

    def check_end(self) -> None:
        gone = not self.tree.exists()
        ran = call(*self.command())
        assert ran.status == (4 if gone else 0), ran
        assert self.everything() == self.end
        assert not temporary(self.root)
        assert not dangling(self.root, self.bin)


SCENES = {
    "install": (Install, ""),
    "reinstall": (Reinstall, ""),
    "relocate": (Relocate, ""),
    "uninstall": (Uninstall, ""),
    "uninstall-one": (UninstallOne, ""),
    "reinstall-journal": (JournalledReinstall, NO_EXCHANGE),
    "relocate-journal": (JournalledRelocate, NO_EXCHANGE),
}
SHARDS = 3


def _differences(found: State, old: State, new: State) -> str:
    paths = sorted({*found, *old, *new})
    lines = [
        f"{path}: {found.get(path)} (old {old.get(path)}, new {new.get(path)})"
        for path in paths
        if not found.get(path) == old.get(path) == new.get(path)
    ]
    return "\n".join(lines[:20])


def _check_runs(program: Path) -> None:
    done = subprocess.run([program, "-V"], capture_output=True, check=True, timeout=30)
    assert done.stdout == b"Python 3.13.5\n"


def _few(calls: list[Call]) -> list[Call]:
    """Some along the way, and those that change what a person sees."""
    decisive = [
        each
        for each in calls
        if each.name.startswith("rename")
        or (each.name in ("symlink", "unlink", "rmdir") and "/kitbag-stage-" not in each.text)
    ]
    return sorted({*calls[::12], calls[-1], *decisive}, key=calls.index)


@pytest.mark.parametrize("name", ["install", "relocate", "uninstall", "reinstall-journal"])
def test_a_kill_after_some_calls(name: str, tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    scene, inject = _scene(name, tmp_path, bundles)
    calls = scene.calls(inject)
    assert len(calls) > 20
    for call_ in _few(calls):
        _try(scene, call_, inject)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(
    name: str, shard: int, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    scene, inject = _scene(name, tmp_path, bundles)
    for call_ in scene.calls(inject)[shard::SHARDS]:
        _try(scene, call_, inject)


def _scene(name: str, folder: Path, bundles: tuple[Path, Path]) -> tuple[Scene, str]:
    kind, inject = SCENES[name]
    scene = kind(folder, bundles)
    scene.rehearse()
    return scene, inject


def _try(scene: Scene, at: Call, inject: str) -> None:
    scene.prepare()
    scene.kill(at, inject)
    try:
        scene.check_halfway()
        scene.check_end()
    except AssertionError as error:
        raise AssertionError(f"killed at {at}: {error}") from error


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["reinstall-journal", "relocate-journal", "uninstall", "install"])
def test_the_run_that_clears_up_is_killed_too(
    name: str, tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    scene, inject = _scene(name, tmp_path, bundles)
    calls = scene.calls(inject)
    generator = random.Random(SEED)
    decisive = [c for c in calls if c.name.startswith("rename")] or calls[-10:]
    for first in [*decisive[:6], *generator.sample(calls, 4)]:
        second = generator.choice(calls[: len(calls) // 2])
        scene.prepare()
        scene.kill(first, inject)
        before = killed_at(second, scene.log, inject=inject)
        run(*scene.command(), before=before)
        try:
            scene.check_halfway()
            scene.check_end()
        except AssertionError as error:
            raise AssertionError(f"killed at {first}, then at {second}: {error}") from error


def test_a_bin_dir_on_another_file_system_is_cleared_up(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    """There a name is made beside its place; what a kill leaves of it goes with the next run."""
    scene = Install(tmp_path, bundles)
    scene.bin = tmp_path / "disk" / "bin"
    with mounted(tmp_path / "disk", "size=1m") as mount:
        seen = mount.view / "bin"
        command = [*mount.before, *TARGET_SIDE, *scene.command()]
        calls = mutating_calls(command, scene.log, env=environment())
        decisive = [each for each in calls if f'"{scene.bin}' in each.text]
        assert len(decisive) >= 8
        stray = 0
        for at in decisive:
            shutil.rmtree(scene.root)
            shutil.rmtree(seen)
            before = [*killed_at(at, scene.log), *mount.before]
            assert run(*scene.command(), before=before).status == -signal.SIGKILL
            seen.mkdir(exist_ok=True)
            stray += any("kitbag-file" in name for name in os.listdir(seen))
            innocent = seen / "python3.13.kitbag-file-mine"
            innocent.write_text("mine\n")
            assert_done(run(*scene.command(), before=mount.before))
            assert sorted(os.listdir(seen)) == ["kitbag", "python3.13", innocent.name]
        assert stray


# Kills at any moment of real installs.


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Up to two real builds, so that workers run side by side."""
    found = packable_interpreters((3, 9))
    require(found, "no CPython from which an archive can be made")
    minors = {each.minor: each for each in reversed(found)}
    output = tmp_path_factory.mktemp("real") / "real.kitbag"
    archives = [make_pbs_archive(each, slim=True) for each in list(minors.values())[-2:]]
    sources = [word for archive in archives for word in ("--from", str(archive))]
    assert_done(call("pack", *sources, "-o", output))
    return output


def _killed_after(seconds: float, everybody: bool, *arguments: str | Path) -> Ran:
    process = start(*arguments)
    time.sleep(seconds)
    if everybody:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    return finish(process)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("verb", ["install", "reinstall"])
def test_a_kill_at_a_random_moment(part: int, verb: str, real_bundle: Path, tmp_path: Path) -> None:
    """A hundred kills in all parts together, of the command alone or of its workers too."""
    kills = 13 if verb == "install" else 12
    seed = f"{SEED}-{verb}-{part}"  # part of every message below
    generator = random.Random(seed)
    root, bins = tmp_path / "root", tmp_path / "bin"
    command = ["install", str(real_bundle), "--root", str(root), "--bin-dir", str(bins)]
    command += ["--jobs", "2"]
    started = time.monotonic()
    assert_done(run(*command))
    duration = time.monotonic() - started
    keys = sorted(path.name for path in root.glob("cpython-*.*.*-*") if not path.is_symlink())
    again = [*command, "--reinstall"] if verb == "reinstall" else command
    for number in range(kills):
        if verb == "install":
            assert_done(call("uninstall", "--all", "--root", root))
        moment = generator.uniform(0.02, duration * 1.05)
        everybody = generator.random() < 0.5
        where = f"kill {number} of seed {seed}: after {moment:.3f} s, everybody: {everybody}"
        _killed_after(moment, everybody, *again)
        present = sorted(p.name for p in root.glob("cpython-*.*.*-*") if not p.is_symlink())
        if verb == "reinstall":
            assert present == keys, where
        if present:
            ran = call("verify", "--root", root, *present)
            assert ran.status == 0, (where, ran)
            for key in present:
                minor = ".".join(key.split("-")[1].split(".")[:2])
                program = root / key / "bin" / f"python{minor}"
                subprocess.run([program, "-I", "-c", "import ssl"], check=True, timeout=60)
        # Whatever takes the lock next clears up; it waits for workers that are still there.
        there = root.is_dir()
        ran = run("relocate", "--root", root)
        assert ran.status == (0 if there else 4), (where, ran)
        assert not temporary(root), where
        assert not dangling(root, bins), where
        if number % 5 == 4:
            assert_done(run(*again))
            assert_done(call("verify", "--root", root))
            assert not temporary(root), where
            assert not dangling(root, bins), where
