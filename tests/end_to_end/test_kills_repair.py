"""A kill at any moment of a repair leaves the build as damaged as it was, or mended.

Never anything between, and never without what a person added to it; the next run ends what was
begun, wherever it was.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support import crafting
from support.cli import assert_done, call
from support.killing import Killed
from support.snapshots import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from support.faults import Call

KEY = crafting.host_key()
SHARDS = 3
NO_EXCHANGE = "renameat2:error=EINVAL"
OWN = "lib/python3.13/site-packages/own.py"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crafting.tiny_bundle(tmp_path_factory.mktemp("bundle"))


class Repair(Killed):
    """Files, folders, links and the receipt are damaged."""

    def __init__(self, folder: Path, bundle: Path, inject: str = "") -> None:
        super().__init__(folder)
        self.bundle = bundle
        self.inject = inject
        self.tree = self.root / KEY
        assert_done(call("install", bundle, *self.where()))
        (self.tree / OWN).write_text("own = 1\n")
        sound = self.everything()
        self.damage()
        self.old = snapshot(self.tree)
        self.keep()
        assert_done(call(*self.command()))
        self.new, self.end = snapshot(self.tree), self.everything()
        assert self.old != self.new
        assert self.end == sound

    def damage(self) -> None:
        (self.tree / "lib/python3.13/os.py").write_bytes(b"damaged")
        (self.tree / "lib/pkgconfig/python-3.13.pc").unlink()
        (self.tree / "bin/python3").unlink()
        (self.tree / "bin/pip3.13").chmod(0o644)
        shutil.rmtree(self.tree / "share")
        (self.tree / ".kitbag/originals.json.gz").write_bytes(b"damaged")

    def command(self) -> list[str]:
        return ["repair", str(self.bundle), "--root", str(self.root)]

    def check_halfway(self) -> None:
        found = snapshot(self.tree)
        if not found and self.inject:
            # Between two renames nothing may be there; whoever takes the lock next puts it right.
            assert call("uninstall", "2.7", "--root", self.root).status == 4
            found = snapshot(self.tree)
        assert found in (self.old, self.new)
        assert str(self.tree / OWN) in found


class TakeOver(Repair):
    """Another tool has installed the build, and nothing of kitbag's is there."""

    def damage(self) -> None:
        shutil.rmtree(self.tree / ".kitbag")
        (self.tree / "lib/pkgconfig/python-3.13.pc").write_text("prefix=/elsewhere\n")
        (self.root / ".kitbag/kitbag.pyz").unlink()


SCENES = {
    "repair": (Repair, ""),
    "take-over": (TakeOver, ""),
    "repair-journal": (Repair, NO_EXCHANGE),
    "take-over-journal": (TakeOver, NO_EXCHANGE),
}


def _few(calls: list[Call]) -> list[Call]:
    """Some along the way, and those that change what a person sees."""
    decisive = [
        each
        for each in calls
        if each.name.startswith("rename")
        or (each.name in ("symlink", "unlink", "rmdir") and "/kitbag-stage-" not in each.text)
    ]
    return sorted({*calls[::15], calls[-1], *decisive[:8]}, key=calls.index)


@pytest.mark.parametrize("name", ["repair", "take-over-journal"])
def test_a_kill_after_some_calls(name: str, tmp_path: Path, bundle: Path) -> None:
    kind, inject = SCENES[name]
    scene = kind(tmp_path, bundle, inject)
    calls = scene.calls()
    assert len(calls) > 20
    for each in _few(calls):
        scene.attempt(each)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_after_every_call(name: str, shard: int, tmp_path: Path, bundle: Path) -> None:
    kind, inject = SCENES[name]
    scene = kind(tmp_path, bundle, inject)
    for each in scene.calls()[shard::SHARDS]:
        scene.attempt(each)
