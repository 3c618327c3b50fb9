"""A kill at any moment of an upgrade or a rollback: the link leads to a build that runs.

And the next run of the same command brings everything to where an undisturbed one would have.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.bundled import host_key, tiny_bundle
from support.cli import assert_done, call
from support.killing import Killed

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Ran
    from support.faults import Call

OLDEST, OLD, NEW = ("3.13.4", "3.13.5", "3.13.7")
SHARDS = 3
NO_EXCHANGE = "renameat2:error=EINVAL"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    names = (OLDEST, OLD, NEW, f"{OLD}@20260202")
    return {name: tiny_bundle(folder / f"{name}.kitbag", name) for name in names}


class Scene(Killed):
    """One command, and what is there before it."""

    before: tuple[str, ...] = (OLDEST, OLD)

    def __init__(self, folder: Path, bundles: dict[str, Path]) -> None:
        super().__init__(folder)
        self.bundles = bundles
        self.link = self.root / host_key(NEW).minor_key
        self.make()
        self.keep()
        assert_done(call(*self.command()))
        self.end = self.everything()

    def make(self) -> None:
        for version in self.before:
            assert_done(call("install", self.bundles[version], *self.where()))

    def may_live(self, ran: Ran) -> bool:
        # A call of that number may come in the interpreter that is being tested, which dies of it.
        return ran.status == 1 and "(signal 9)" in ran.err

    def check_halfway(self) -> None:
        """The link and the name lead to one and the same build, which runs and is whole."""
        said = set()
        for program in (self.link / "bin" / "python3.13", self.bin / "python3.13"):
            done = subprocess.run([program, "-V"], capture_output=True, check=True, timeout=30)
            said.add(done.stdout.decode().split()[1])
        assert len(said) == 1
        assert said <= {*self.before, NEW}
        assert_done(call("verify", "--root", self.root))


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
        scene.attempt(each, halfway=False)
        scene.check_halfway()
