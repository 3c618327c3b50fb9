"""A kill at any moment of an uninstall leaves builds whole or gone; the next run goes all the way.

Going all the way means: everything is, bit by bit, as it was before kitbag came. The same holds for
an install that was killed, if an uninstall comes next.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from support import crafting
from support.cli import TARGET_SIDE, assert_done, call, environment, run
from support.faults import Call, killed_at, mutating_calls
from support.snapshots import Thing, dangling, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = crafting.host_key()
OLDER = crafting.host_key("3.12.9")
OTHER = crafting.host_key("3.11.7")
SHARDS = 3
State = dict[str, Thing]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    builds = [crafting.tiny_build(folder, version) for version in ("3.12.9", "3.13.5")]
    return crafting.write(folder / "two.kitbag", *builds)


class Scene:
    """A place with what people have there, and a root with its bin directory in it."""

    def __init__(self, place: Path, bundle: Path) -> None:
        self.place = place / "place"
        self.log = place / "strace.log"
        self.bundle = bundle
        self.root = self.place / "opt" / "python"
        self.bin = self.place / "opt" / "bin"
        self.place.mkdir()
        self.furnish()
        self.before = snapshot(self.place)

    def furnish(self) -> None:
        """Put there what is there before kitbag comes."""

    def where(self) -> list[str]:
        return ["--root", str(self.root), "--bin-dir", str(self.bin)]

    def install(self) -> list[str]:
        return ["install", str(self.bundle), *self.where(), "--default", "--jobs", "1"]

    def uninstall(self) -> list[str]:
        return ["uninstall", "--all", "--root", str(self.root)]

    def clear(self) -> None:
        """Back to the beginning, however a try went."""
        shutil.rmtree(self.place)
        self.place.mkdir()
        self.furnish()

    def installed(self) -> None:
        self.clear()
        assert_done(call(*self.install()))

    def check_halfway(self) -> None:
        """What is there of ours is whole, and nothing of others was touched."""
        for key in (KEY, OLDER):
            minor = ".".join(key.split("-")[1].split(".")[:2])
            if (self.root / key).exists():
                assert_done(call("verify", key, "--root", self.root))
                program = self.root / key / "bin" / f"python{minor}"
                subprocess.run([program, "-V"], check=True, capture_output=True)
        now = snapshot(self.place)
        assert {path: now.get(path) for path in self.before} == self.before

    def check_end(self) -> None:
        assert_done(call(*self.uninstall()))
        assert snapshot(self.place) == self.before
        assert not dangling(self.place)


class OnlyOurs(Scene):
    """The root, the bin directory and the one above them were made by kitbag."""


class EmptyRoot(Scene):
    """Both directories were made by a person, who has something in the one for commands."""

    def furnish(self) -> None:
        self.root.mkdir(parents=True)
        self.bin.mkdir()
        (self.bin / "mine").write_text("mine\n")


class BesideUv(Scene):
    """uv's own things, and a build of its with its names."""

    def furnish(self) -> None:
        home = self.root / OTHER
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "python3.11").write_text("#!/bin/sh\n")
        (home / "BUILD").write_text("20260101")
        (self.root / ".temp").mkdir()
        (self.root / ".temp" / ".tmpAbCdEf").write_text("what uv never clears up\n")
        (self.root / ".lock").touch()
        (self.root / ".gitignore").write_text("*")
        link = self.root / OTHER.replace("3.11.7", "3.11")
        link.symlink_to(home)
        self.bin.mkdir()
        (self.bin / "python3.11").symlink_to(link / "bin" / "python3.11")


SCENES: dict[str, type[Scene]] = {
    "only-ours": OnlyOurs,
    "empty-root": EmptyRoot,
    "beside-uv": BesideUv,
}


def _few(calls: list[Call]) -> list[Call]:
    """Some along the way, and all of those by which the last of kitbag goes."""
    decisive = [each for each in calls if each.name.startswith("rename")]
    return sorted({*calls[::15], *decisive, *calls[-14:]}, key=calls.index)


def _kill(scene: Scene, command: list[str], at: Call) -> None:
    ran = run(*command, before=killed_at(at, scene.log))
    assert ran.status == -signal.SIGKILL, (at, ran)


def _try(scene: Scene, command: list[str], at: Call, prepare: Callable[[], None]) -> None:
    prepare()
    _kill(scene, command, at)
    try:
        scene.check_halfway()
        scene.check_end()
    except AssertionError as error:
        raise AssertionError(f"killed at {at}: {error}") from error


def _calls(scene: Scene, command: list[str], prepare: Callable[[], None]) -> list[Call]:
    prepare()
    return mutating_calls([*TARGET_SIDE, *command], scene.log, env=environment())


@pytest.mark.parametrize("name", SCENES)
def test_without_a_kill(name: str, tmp_path: Path, bundle: Path) -> None:
    scene = SCENES[name](tmp_path, bundle)
    scene.installed()
    assert len(os.listdir(scene.bin)) > 4
    scene.check_halfway()
    scene.check_end()


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_some_calls(name: str, tmp_path: Path, bundle: Path) -> None:
    scene = SCENES[name](tmp_path, bundle)
    calls = _calls(scene, scene.uninstall(), scene.installed)
    assert len(calls) > 30
    assert snapshot(scene.place) == scene.before
    for at in _few(calls):
        _try(scene, scene.uninstall(), at, scene.installed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(name: str, shard: int, tmp_path: Path, bundle: Path) -> None:
    scene = SCENES[name](tmp_path, bundle)
    for at in _calls(scene, scene.uninstall(), scene.installed)[shard::SHARDS]:
        _try(scene, scene.uninstall(), at, scene.installed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SCENES)
def test_an_install_was_killed_before(name: str, tmp_path: Path, bundle: Path) -> None:
    """Also where it had just begun to make the root, or was about to make its first link."""
    scene = SCENES[name](tmp_path, bundle)
    calls = _calls(scene, scene.install(), scene.clear)
    inside = [each for each in calls if "/kitbag-stage-" not in each.text]
    for at in [*calls[:16], *inside[16:]]:
        _try(scene, scene.install(), at, scene.clear)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCENES)
def test_an_install_comes_after_the_kill(name: str, tmp_path: Path, bundle: Path) -> None:
    """What is on its way out is taken into use again, and leaves nothing behind all the same."""
    scene = SCENES[name](tmp_path, bundle)
    scene.installed()
    whole = snapshot(scene.place)
    calls = _calls(scene, scene.uninstall(), scene.installed)
    for at in calls[-14:]:
        scene.installed()
        _kill(scene, scene.uninstall(), at)
        assert_done(call(*scene.install()))
        now = snapshot(scene.place)
        assert _but_for_notes(now) == _but_for_notes(whole), at
        scene.check_end()


def _but_for_notes(state: State) -> State:
    return {path: thing for path, thing in state.items() if not path.endswith("/made.json")}
