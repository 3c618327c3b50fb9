"""A kill while an environment is rolled back, relocated, repaired, uninstalled: all or nothing."""

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
State = dict[str, Thing]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two of the environment ``app``, each with another wheel."""
    folder = tmp_path_factory.mktemp("bundles")
    base = tiny_base(folder / "base.kitbag")
    found = []
    for number in (1, 2):
        wheel = make_wheel(folder, "app", f"{number}.0", scripts={"app": "app:main"})
        path = folder / f"{number}.kitbag"
        found.append(with_environments(path, base, {"app": [wheel]}, expose={"app": ["app"]}))
    return found[0], found[1]


def state(tree: Path) -> State:
    """A tree with relative paths; empty if there is none."""
    start = os.fspath(tree)
    return {path.removeprefix(start): thing for path, thing in snapshot(tree).items()}


class Rollback:
    """Both have been there."""

    words: tuple[str, ...] = ("rollback", "app")

    def __init__(self, folder: Path, bundles: tuple[Path, Path]) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.place = folder / "place"
        self.log = folder / "strace.log"
        self.bundles = bundles
        self.old: State = {}
        self.new: State = {}

    @property
    def root(self) -> Path:
        return self.place / "root"

    @property
    def tree(self) -> Path:
        return self.root / "envs" / "app"

    @property
    def previous(self) -> Path:
        return self.root / ".kitbag" / "previous" / "app"

    def command(self) -> list[str]:
        return [*self.words, "--root", str(self.root)]

    def make(self) -> None:
        """What it begins with."""
        for bundle in self.bundles:
            bin_dir = self.place / "bin"
            assert_done(call("install", bundle, "--root", self.root, "--bin-dir", bin_dir))

    def prepare(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        if not self.kept.exists():
            self.make()
            shutil.copytree(self.place, self.kept, symlinks=True)
        else:
            shutil.copytree(self.kept, self.place, symlinks=True)

    def rehearse(self, inject: str) -> list[Call]:
        self.prepare()
        self.old = state(self.tree)
        assert_done(call(*self.command()))
        self.new = state(self.tree)
        assert self.old != self.new
        self.prepare()
        command = [*TARGET_SIDE, *self.command()]
        return mutating_calls(command, self.log, inject=inject, env=environment())

    def try_it(self, at: Call, inject: str) -> None:
        self.prepare()
        ran = run(*self.command(), before=killed_at(at, self.log, inject=inject))
        assert ran.status == -signal.SIGKILL, ran
        if inject:
            # Any verb that takes the lock puts it right.
            call("uninstall", "2.7", "--root", self.root)
            assert not temporary(self.root)
        self.check_halfway()
        if state(self.tree) == self.old or type(self) is not Rollback:
            # To roll back once more would undo it.
            self.finish()
        assert state(self.tree) == self.new
        assert not dangling(self.place)

    def check_halfway(self) -> None:
        assert state(self.tree) in (self.old, self.new)

    def finish(self) -> None:
        assert_done(call(*self.command()))
        assert not temporary(self.root)


class Relocate(Rollback):
    """The root has moved."""

    words = ("relocate",)

    def make(self) -> None:
        before, self.place = self.place, self.folder / "before"
        super().make()
        self.place.rename(before)
        self.place = before

    def rehearse(self, inject: str) -> list[Call]:
        self.prepare()
        self.old_previous = state(self.previous)
        assert_done(call(*self.command()))
        self.new_previous = state(self.previous)
        assert self.old_previous != self.new_previous
        return super().rehearse(inject)

    def check_halfway(self) -> None:
        super().check_halfway()
        assert state(self.previous) in (self.old_previous, self.new_previous)

    def finish(self) -> None:
        super().finish()
        assert state(self.previous) == self.new_previous
        assert_done(call("verify", "app", "--root", self.root))
        assert_done(call("rollback", "app", "--root", self.root))
        assert_done(call("verify", "app", "--root", self.root))
        assert_done(call("rollback", "app", "--root", self.root))


class Repair(Rollback):
    """Something is damaged."""

    @property
    def words(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("repair", str(self.bundles[1]), "app")

    def make(self) -> None:
        super().make()
        next(self.tree.glob("lib/python3*/site-packages/app.py")).write_text("")


class Uninstall(Rollback):
    """The environment alone."""

    words = ("uninstall", "app")

    def finish(self) -> None:
        if self.tree.exists():
            super().finish()
        else:
            assert call(*self.command()).status == 2
        assert not (self.root / "envs").exists()
        assert not (self.root / ".kitbag" / "previous").exists()
        assert not (self.place / "bin" / "app").is_symlink()


class UninstallAll(Rollback):
    """Everything, without a trace."""

    words = ("uninstall", "--all")

    def finish(self) -> None:
        assert_done(call(*self.command()))
        assert not self.place.exists()


SCENES = {
    "rollback": (Rollback, ""),
    "rollback-journal": (Rollback, NO_EXCHANGE),
    "relocate": (Relocate, ""),
    "relocate-journal": (Relocate, NO_EXCHANGE),
    "repair": (Repair, ""),
    "repair-journal": (Repair, NO_EXCHANGE),
    "uninstall": (Uninstall, ""),
    "uninstall-all": (UninstallAll, ""),
}


def _few(calls: list[Call]) -> list[Call]:
    """Some along the way, and those that change what a person sees."""
    decisive = [
        each
        for each in calls
        if each.name.startswith(("rename", "rmdir"))
        and ("/envs/" in each.text or "/previous/" in each.text or "journal" in each.text)
    ]
    return sorted({*calls[::25], calls[-1], *decisive[:12]}, key=calls.index)


@pytest.mark.parametrize("name", ["rollback-journal", "relocate", "repair", "uninstall"])
def test_a_kill_after_some_calls(name: str, tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    kind, inject = SCENES[name]
    scene = kind(tmp_path, bundles)
    for at in _few(scene.rehearse(inject)):
        _try(scene, at, inject)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(name: str, tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    kind, inject = SCENES[name]
    scene = kind(tmp_path, bundles)
    for at in scene.rehearse(inject):
        _try(scene, at, inject)


def _try(scene: Rollback, at: Call, inject: str) -> None:
    try:
        scene.try_it(at, inject)
    except AssertionError as error:
        raise AssertionError(f"killed at {at}: {error}") from error
