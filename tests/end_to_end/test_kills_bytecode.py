"""A kill at any moment of compiling leaves nothing that is half, and the next run does the rest.

``strace`` kills the command as it comes to a system call by which it would change something, and
its compiler processes at theirs with the same number. Which files are compiled by then is left to
chance; that each of them is whole, and that the receipt is right, is not.
"""

from __future__ import annotations

import marshal
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support import crafting
from support.cli import TARGET_SIDE, assert_done, call, environment, finish, run, start
from support.compilable import compilable_bundle, count
from support.faults import Call, killed_at, mutating_calls
from support.journey import only_build
from support.snapshots import snapshot, temporary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.cli import Ran

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY = crafting.host_key()


class Scene(NamedTuple):
    """A root in a state that can be brought back, and the command to be killed in it."""

    folder: Path
    bundle: Path
    words: tuple[str, ...]
    mode: str

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def tree(self) -> Path:
        return self.root / KEY

    @property
    def log(self) -> Path:
        return self.folder / "strace.log"

    @property
    def env(self) -> dict[str, str]:
        return environment(PYC_INVALIDATION_MODE=self.mode)

    def command(self) -> list[str]:
        named = [word.replace("BUNDLE", str(self.bundle)) for word in self.words]
        return [*named, "--root", str(self.root)]

    def run(self, *before: str) -> Ran:
        return run(*self.command(), before=before, env=self.env)

    def save(self) -> None:
        if self.root.exists():
            shutil.copytree(self.root, self.folder / "saved", symlinks=True)

    def restore(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        if (self.folder / "saved").exists():
            shutil.copytree(self.folder / "saved", self.root, symlinks=True)

    def check_halfway(self) -> None:
        """Whatever is there is whole, and the receipt says no more than that."""
        if not self.tree.exists():
            return
        for path in self.tree.rglob("*.pyc"):
            marshal.loads(path.read_bytes()[16:])
        assert_done(call("verify", "--root", self.root))

    def check_end(self) -> None:
        assert_done(self.run())
        assert not temporary(self.root)
        assert count(self.tree, ".pyc") == count(self.tree, ".py") > 5
        flags = {path.read_bytes()[4] for path in self.tree.rglob("*.pyc")}
        assert flags == {"timestamp": {0}, "unchecked-hash": {1, 3}}[self.mode]
        ran = call("verify", "--root", self.root, "--json")
        assert_done(ran)
        listed = (self.tree / ".kitbag" / "bytecode.tsv").read_bytes().count(b"\n")
        assert listed == count(self.tree, ".pyc")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compilable_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag")


def _install(scene: Scene, *words: str) -> None:
    done = call("install", scene.bundle, "--root", scene.root, "--no-bin", *words)
    assert_done(done)


INSTALL = ("install", "BUNDLE", "--no-bin", "--compile-bytecode")
SCENES: dict[str, tuple[tuple[str, ...], str, Callable[[Scene], None]]] = {
    "install": (INSTALL, "timestamp", lambda scene: None),
    "install-present": (INSTALL, "timestamp", _install),
    "compile": (("compile",), "timestamp", _install),
    "compile-anew": (
        ("compile",),
        "unchecked-hash",
        lambda scene: _install(scene, "--compile-bytecode"),
    ),
}


def _scene(name: str, folder: Path, bundle: Path) -> Scene:
    words, mode, prepare = SCENES[name]
    scene = Scene(folder, bundle, words, mode)
    prepare(scene)
    scene.save()
    return scene


def _calls(scene: Scene) -> list[Call]:
    command = [*TARGET_SIDE, *scene.command()]
    found = mutating_calls(command, scene.log, env=scene.env)
    scene.check_end()
    return found


def _try(scene: Scene, at: Call) -> None:
    scene.restore()
    ran = scene.run(*killed_at(at, scene.log))
    # Where a compiler was killed before, the command tells of that.
    assert ran.status in (-signal.SIGKILL, 1), (at, ran)
    try:
        scene.check_halfway()
        scene.check_end()
    except AssertionError as error:
        raise AssertionError(f"killed at {at}: {error}") from error


@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_some_calls(name: str, tmp_path: Path, bundle: Path) -> None:
    scene = _scene(name, tmp_path, bundle)
    calls = _calls(scene)
    decisive = [each for each in calls if each.name.startswith("rename")]
    for at in sorted({*calls[::15], calls[-1], *decisive[-6:]}, key=calls.index):
        _try(scene, at)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(name: str, tmp_path: Path, bundle: Path) -> None:
    scene = _scene(name, tmp_path, bundle)
    for at in _calls(scene):
        _try(scene, at)


def _interrupted(scene: Scene, number: int, sign: str) -> Ran:
    """Interrupt the command, and all its processes, once ``number`` files are compiled."""
    process = start(*scene.command(), env=scene.env)
    deadline = time.monotonic() + 60
    while _compiled(scene) < number and process.poll() is None and time.monotonic() < deadline:
        pass
    if process.poll() is None:
        if sign == "SIGINT":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(getattr(signal, sign))
    return finish(process)


def _compiled(scene: Scene) -> int:
    found = (name for _, _, names in os.walk(scene.root) for name in names)
    return sum(name.endswith(".pyc") for name in found)


@pytest.mark.slow
@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_an_interrupted_install_leaves_nothing(
    sign: str, jobs: str, slim_archive: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "x.kitbag"
    assert_done(call("pack", "--from", slim_archive, "-o", bundle))
    words = ("install", "BUNDLE", "--no-bin", "--compile-bytecode", "--jobs", jobs)
    scene = Scene(tmp_path, bundle, words, "timestamp")
    before = snapshot(scene.root)
    for number in (1, 20, 100):
        ran = _interrupted(scene, number, sign)
        assert ran.status == 130, ran
        left = {path for path in snapshot(scene.root) if path not in before}
        assert not [path for path in left if "kitbag-" in path or path.endswith(".pyc")]
        _no_compiler_is_left(scene)
    assert_done(scene.run())
    tree = only_build(scene.root).home
    assert count(tree, ".pyc") == count(tree, ".py")


@pytest.mark.slow
def test_a_compiler_that_is_killed_costs_one_file(slim_archive: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "x.kitbag"
    assert_done(call("pack", "--from", slim_archive, "-o", bundle))
    scene = Scene(tmp_path, bundle, ("compile", "--jobs", "1"), "timestamp")
    _install(scene)
    process = start(*scene.command(), env=scene.env)
    while not _compiled(scene):
        assert process.poll() is None
    for pid in _compilers(scene):
        os.kill(pid, signal.SIGKILL)
    ran = finish(process)
    assert ran.status == 1, ran
    (line,) = ran.errors
    assert line.endswith("can't be compiled: the interpreter ended early (signal 9)")
    assert_done(call("verify", "--root", scene.root))
    assert_done(scene.run())
    tree = only_build(scene.root).home
    assert count(tree, ".pyc") == count(tree, ".py")


def _compilers(scene: Scene) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True).stdout
    lines = (line.split(None, 1) for line in listed.splitlines())
    return [int(pid) for pid, words in lines if words.startswith(str(scene.root))]


def _no_compiler_is_left(scene: Scene) -> None:
    assert not _compilers(scene)
