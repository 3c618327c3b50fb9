"""A kill at any moment leaves the old environment or the new one, and the next run clears up."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from support.cli import TARGET_SIDE, assert_done, call, environment, run
from support.environments import tiny_base, with_environments
from support.faults import Call, killed_at, mutating_calls
from support.snapshots import Thing, dangling, snapshot, temporary
from support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

NO_EXCHANGE = "renameat2:error=EINVAL"
SHARDS = 3
State = dict[str, Thing]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Three of the environment ``app``, each with other wheels."""
    folder = tmp_path_factory.mktemp("bundles")
    base = tiny_base(folder / "base.kitbag")
    scripts = {"app": "app:main"}
    versions = [make_wheel(folder, "app", f"{n}.0", scripts=scripts) for n in (1, 2, 3)]
    one = make_wheel(folder, "space-one", files={"space/one.py": "ONE = 1\n"})
    data = make_wheel(folder, "data", data={"data/share/x": "x", "scripts/tool": "#!python\n"})
    lists = ([versions[0], one], [versions[1], data], [versions[2], one, data])
    first, second, third = (
        with_environments(
            folder / f"{number}.kitbag", base, {"app": wheels}, expose={"app": ["app"]}
        )
        for number, wheels in enumerate(lists)
    )
    return first, second, third


def state(tree: Path) -> State:
    """A tree with relative paths; empty if there is none."""
    start = os.fspath(tree)
    return {path.removeprefix(start): thing for path, thing in snapshot(tree).items()}


class Install:
    """A first install, build and all."""

    def __init__(self, folder: Path, bundles: tuple[Path, Path, Path]) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.log = folder / "strace.log"
        self.bundles = bundles
        self.old: State = {}
        self.new: State = {}
        self.end: State = {}

    @property
    def tree(self) -> Path:
        return self.root / "envs" / "app"

    def install(self, number: int) -> list[str]:
        bundle = str(self.bundles[number])
        root = ["--root", str(self.root), "--bin-dir", str(self.bin)]
        # In one process, so that a kill in the midst of a wheel is one of those that are tried.
        return ["install", bundle, "app", *root, "--jobs", "1"]

    def command(self) -> list[str]:
        return self.install(0)

    def prepare(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.bin, ignore_errors=True)

    def rehearse(self, inject: str) -> list[Call]:
        self.prepare()
        self.old = state(self.tree)
        assert_done(call(*self.command()))
        self.new = state(self.tree)
        self.end = snapshot(self.root, self.bin)
        assert self.old != self.new
        self.prepare()
        command = [*TARGET_SIDE, *self.command()]
        return mutating_calls(command, self.log, inject=inject, env=environment())

    def kill(self, at: Call, inject: str) -> None:
        ran = run(*self.command(), before=killed_at(at, self.log, inject=inject))
        assert ran.status == -signal.SIGKILL, (at, ran)

    def check_halfway(self) -> None:
        assert state(self.tree) in (self.old, self.new)
        # What is half removed out of sight leads nowhere, and nobody goes there.
        seen = [path for path in dangling(self.root, self.bin) if "/.temp/" not in path]
        assert not seen

    def check_end(self) -> None:
        assert_done(call(*self.command()))
        assert snapshot(self.root, self.bin).keys() == self.end.keys()
        assert state(self.tree) == self.new
        assert not temporary(self.root)
        assert not dangling(self.root, self.bin)


class Replace(Install):
    """Another one takes its place, and is the first to do so."""

    def command(self) -> list[str]:
        return self.install(1)

    def prepare(self) -> None:
        super().prepare()
        assert_done(call(*self.install(0)))

    def check_halfway(self) -> None:
        super().check_halfway()
        assert self.tree.exists()


class ReplaceAgain(Replace):
    """Another one takes its place, where one that is older still is kept."""

    def command(self) -> list[str]:
        return self.install(2)

    def prepare(self) -> None:
        super().prepare()
        assert_done(call(*self.install(1)))


class JournalledReplace(ReplaceAgain):
    """The same where two trees cannot be exchanged in one step: the next run decides."""

    def check_halfway(self) -> None:
        assert state(self.tree) in ({}, self.old, self.new)
        # Any verb that takes the lock puts it right.
        assert call("uninstall", "2.7", "--root", self.root).status == 4
        assert not temporary(self.root)
        super().check_halfway()


SCENES = {
    "install": (Install, ""),
    "replace": (Replace, ""),
    "replace-again": (ReplaceAgain, ""),
    "replace-journal": (JournalledReplace, NO_EXCHANGE),
}


def _few(calls: list[Call]) -> list[Call]:
    """Some along the way, and those that change what a person sees."""
    decisive = [
        each
        for each in calls
        if (each.name.startswith("rename") or each.name in ("symlink", "unlink", "rmdir"))
        and ("/envs/" in each.text or "/previous/" in each.text)
    ]
    return sorted({*calls[::30], calls[-1], *decisive}, key=calls.index)


@pytest.mark.parametrize("name", ["install", "replace", "replace-journal"])
def test_a_kill_after_some_calls(
    name: str, tmp_path: Path, bundles: tuple[Path, Path, Path]
) -> None:
    kind, inject = SCENES[name]
    scene = kind(tmp_path, bundles)
    calls = scene.rehearse(inject)
    assert len(calls) > 40
    for at in _few(calls):
        _try(scene, at, inject)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(
    name: str, shard: int, tmp_path: Path, bundles: tuple[Path, Path, Path]
) -> None:
    kind, inject = SCENES[name]
    scene = kind(tmp_path, bundles)
    for at in scene.rehearse(inject)[shard::SHARDS]:
        _try(scene, at, inject)


def _try(scene: Install, at: Call, inject: str) -> None:
    scene.prepare()
    scene.kill(at, inject)
    try:
        scene.check_halfway()
        scene.check_end()
    except AssertionError as error:
        raise AssertionError(f"killed at {at}: {error}") from error
