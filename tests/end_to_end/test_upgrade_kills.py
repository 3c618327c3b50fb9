"""A kill at any moment of an upgrade or a rollback: the link leads to a build that runs.

And the next run of the same command brings everything to where an undisturbed one would have.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.bundled import host_key, tiny_bundle
from support.cli import TARGET_SIDE, assert_done, call, environment, run
from support.faults import Call, killed_at, mutating_calls
from support.snapshots import dangling, snapshot, temporary

if TYPE_CHECKING:
    from pathlib import Path

    from support.snapshots import Thing

OLDEST, OLD, NEW = ("3.13.4", "3.13.5", "3.13.7")
SHARDS = 3
NO_EXCHANGE = "renameat2:error=EINVAL"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    names = (OLDEST, OLD, NEW, f"{OLD}@20260202")
    return {name: tiny_bundle(folder / f"{name}.kitbag", name) for name in names}


class Scene:
    """One command, and what is there before it."""

    before: tuple[str, ...] = (OLDEST, OLD)
    inject = ""

    def __init__(self, folder: Path, bundles: dict[str, Path]) -> None:
        self.place = folder / "place"
        self.template = folder / "template"
        self.log = folder / "strace.log"
        self.root, self.bin = self.place / "root", self.place / "bin"
        self.bundles = bundles
        self.link = self.root / host_key(NEW).minor_key
        self.make()
        self.place.rename(self.template)
        self.reset()
        assert_done(call(*self.command()))
        self.end = self.everything()

    def make(self) -> None:
        for version in self.before:
            assert_done(call("install", self.bundles[version], *self.where()))

    def where(self) -> list[str]:
        return ["--root", str(self.root), "--bin-dir", str(self.bin)]

    def command(self) -> list[str]:
        """What is killed."""
        raise NotImplementedError

    def reset(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.template, self.place, symlinks=True)

    def everything(self) -> dict[str, Thing]:
        return snapshot(self.place)

    def calls(self) -> list[Call]:
        """The system calls by which the command changes something."""
        self.reset()
        command = [*TARGET_SIDE, *self.command()]
        return mutating_calls(command, self.log, inject=self.inject, env=environment())

    def attempt(self, at: Call) -> None:
        """Let the command be killed as it comes to ``at``; then look, and run it again."""
        self.reset()
        words = killed_at(at, self.log, inject=self.inject)
        ran = run(*self.command(), before=words)
        # A call of that number may come in the interpreter that is being tested, which dies of it.
        refused = ran.status == 1 and "(signal 9)" in ran.err
        assert ran.status == -signal.SIGKILL or refused, (at, ran)
        try:
            self.check_halfway()
            self.check_end()
        except AssertionError as error:
            raise AssertionError(f"killed at {at}: {error}") from error

    def check_halfway(self) -> None:
        """The link and the name lead to one and the same build, which runs and is whole."""
        said = set()
        for program in (self.link / "bin" / "python3.13", self.bin / "python3.13"):
            done = subprocess.run([program, "-V"], capture_output=True, check=True, timeout=30)
            said.add(done.stdout.decode().split()[1])
        assert len(said) == 1
        assert said <= {*self.before, NEW}
        assert_done(call("verify", "--root", self.root))

    def check_end(self) -> None:
        assert_done(call(*self.command()))
        self.check_settled()

    def check_settled(self) -> None:
        found = self.everything()
        differing = {p for p in {*found, *self.end} if found.get(p) != self.end.get(p)}
        assert not differing
        assert not temporary(self.root)
        assert not dangling(self.root, self.bin)


class Upgrade(Scene):
    """A newer patch comes in beside two older ones."""

    def command(self) -> list[str]:
        return ["install", str(self.bundles[NEW]), "--upgrade", *self.where()]


class Prune(Upgrade):
    """The same, and the older ones go."""

    def command(self) -> list[str]:
        return [*super().command(), "--prune"]


class Release(Scene):
    """A newer release of the same version takes its place."""

    def command(self) -> list[str]:
        return ["install", str(self.bundles[f"{OLD}@20260202"]), "--upgrade", *self.where()]


class HeldBack(Upgrade):
    """A newer patch ends a pin."""

    def make(self) -> None:
        super().make()
        assert_done(call("rollback", "3.13", "--root", self.root))


class Rollback(Scene):
    """To the patch before; said again it is the one before that, or none."""

    before = (OLD, NEW)

    def command(self) -> list[str]:
        return ["rollback", "3.13", "--root", str(self.root)]

    def check_end(self) -> None:
        turned = os.readlink(self.link).endswith(str(host_key(OLD)))
        ran = call(*self.command())
        assert ran.status == (4 if turned else 0), ran
        self.check_settled()


class RollbackTo(Scene):
    """To a patch that is named, from one that a rollback turned to."""

    before = (OLDEST, OLD, NEW)

    def make(self) -> None:
        super().make()
        assert_done(call("rollback", "3.13", "--root", self.root))

    def command(self) -> list[str]:
        return ["rollback", OLDEST, "--root", str(self.root)]


class Forward(RollbackTo):
    """Forward again: the pin goes."""

    def command(self) -> list[str]:
        return ["rollback", NEW, "--root", str(self.root)]


SCENES = {
    "upgrade": Upgrade,
    "prune": Prune,
    "release": Release,
    "held-back": HeldBack,
    "rollback": Rollback,
    "rollback-to": RollbackTo,
    "forward": Forward,
}


def _decisive(calls: list[Call]) -> list[Call]:
    """Those that change what a person sees."""
    names = ("rename", "renameat", "renameat2", "symlink", "unlink")
    return [each for each in calls if each.name in names and "/kitbag-stage-" not in each.text]


@pytest.mark.parametrize("name", ["rollback", "forward"])
def test_a_kill_before_what_a_person_sees(
    name: str, tmp_path: Path, bundles: dict[str, Path]
) -> None:
    scene = SCENES[name](tmp_path, bundles)
    calls = _decisive(scene.calls())
    assert len(calls) >= 2
    for each in calls:
        scene.attempt(each)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(
    name: str, shard: int, tmp_path: Path, bundles: dict[str, Path]
) -> None:
    scene = SCENES[name](tmp_path, bundles)
    for each in scene.calls()[shard::SHARDS]:
        scene.attempt(each)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["prune", "release"])
def test_a_kill_where_trees_can_not_be_exchanged(
    name: str, tmp_path: Path, bundles: dict[str, Path]
) -> None:
    """Between two renames a release that gives way may not be there; the next run puts it right."""
    scene = SCENES[name](tmp_path, bundles)
    scene.inject = NO_EXCHANGE
    for each in _decisive(scene.calls()):
        scene.reset()
        words = killed_at(each, scene.log, inject=scene.inject)
        assert run(*scene.command(), before=words).status == -signal.SIGKILL
        scene.check_end()
        scene.check_halfway()
