"""Several kitbags at once on one root: they take turns, and everyone sees whole builds."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from support import crafting
from support.cli import assert_done, call, finish, run, start
from support.snapshots import dangling, snapshot, temporary

if TYPE_CHECKING:
    from pathlib import Path

KEY = crafting.host_key()
OLDER = crafting.host_key("3.12.9")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crafting.tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crafting.tiny_bundle(tmp_path_factory.mktemp("other"), "3.12.9")


class Site:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"

    def install(self, bundle: Path, *more: str) -> list[str]:
        return ["install", str(bundle), "--root", str(self.root), "--bin-dir", str(self.bin), *more]

    def uninstall(self, *requests: str) -> list[str]:
        return ["uninstall", *(requests or ["--all"]), "--root", str(self.root)]

    def check(self, *keys: str) -> None:
        """Exactly these builds, whole, with their links, and nothing else."""
        listed = call("installed", "--root", self.root, "--json")
        assert [each["key"] for each in json.loads(listed.out)["builds"]] == sorted(keys)
        if keys:
            assert_done(call("verify", "--root", self.root))
        assert not temporary(self.root)
        assert not dangling(self.root, self.bin)
        names = {f"python{'.'.join(key.split('-')[1].split('.')[:2])}" for key in keys}
        if not keys:
            assert not self.root.exists()
            assert not self.bin.exists()
            return
        assert {name for name in os.listdir(self.bin) if name != "kitbag"} == names


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _at_once(*commands: list[str]) -> list[str]:
    """Run all at once; every one of them must succeed. Returns what they said on stdout."""
    processes = [start(*command) for command in commands]
    results = [finish(process) for process in processes]
    for ran in results:
        assert_done(ran)
    return [ran.out for ran in results]


@pytest.mark.parametrize("count", [2, 6])
def test_installs_of_the_same_build(site: Site, bundle: Path, count: int) -> None:
    """One installs it; the others find it there."""
    told = _at_once(*[site.install(bundle)] * count)
    assert sum(f" + {KEY}" in text for text in told) == 1
    assert sum(f"{KEY} is already installed" in text for text in told) == count - 1
    site.check(KEY)


def test_reinstalls_of_the_same_build(site: Site, bundle: Path) -> None:
    assert_done(call(*site.install(bundle)))
    before = snapshot(site.root, site.bin)
    told = _at_once(*[site.install(bundle, "--reinstall")] * 3)
    assert all(f" ~ {KEY}" in text for text in told)
    assert snapshot(site.root, site.bin) == before
    site.check(KEY)


def test_installs_of_different_builds(site: Site, bundle: Path, other: Path) -> None:
    _at_once(site.install(bundle), site.install(other))
    site.check(KEY, OLDER)


@pytest.mark.parametrize("attempt", range(3))
def test_an_install_and_an_uninstall(site: Site, bundle: Path, other: Path, attempt: int) -> None:
    """Whichever comes first: the build is there with its links, or it is gone without a trace."""
    assert_done(call(*site.install(other)))
    _at_once(site.install(bundle), site.uninstall())
    listed = json.loads(call("installed", "--root", site.root, "--json").out)["builds"]
    keys = [each["key"] for each in listed]
    assert keys in ([], [KEY])
    site.check(*keys)
    assert_done(call(*site.install(bundle)))
    site.check(KEY)


def test_uninstalls_at_once(site: Site, bundle: Path, other: Path) -> None:
    assert_done(call(*site.install(bundle)))
    assert_done(call(*site.install(other)))
    _at_once(*[site.uninstall()] * 3)
    site.check()


def test_relocates_at_once(site: Site, bundle: Path, tmp_path: Path) -> None:
    assert_done(call(*site.install(bundle)))
    moved = tmp_path / "elsewhere"
    site.root.rename(moved)
    site.root = moved
    _at_once(*[["relocate", "--root", str(moved)]] * 3)
    site.check(KEY)


def test_readers_see_whole_builds(site: Site, bundle: Path) -> None:
    """While a build is replaced again and again it is always there, and always runs."""
    assert_done(call(*site.install(bundle)))
    done = threading.Event()
    problems: list[object] = []

    def read() -> None:
        while not done.is_set():
            ran = run("installed", "--root", site.root, "--json")
            builds = json.loads(ran.out)["builds"] if ran.status == 0 else []
            if [each["key"] for each in builds] != [KEY] or builds[0]["problem"]:
                problems.append(ran)
            program = subprocess.run(
                [site.bin / "python3.13", "-V"], capture_output=True, check=False
            )
            if program.stdout != b"Python 3.13.5\n":
                problems.append(program)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(6):
            assert_done(run(*site.install(bundle, "--reinstall")))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not problems
    site.check(KEY)


def test_readers_beside_an_uninstall(site: Site, bundle: Path) -> None:
    """A list that is read while builds come and go has them or not; it never fails."""
    done = threading.Event()
    failed: list[object] = []

    def read() -> None:
        while not done.is_set():
            ran = run("installed", "--root", site.root)
            if ran.status:
                failed.append(ran)

    assert_done(call(*site.install(bundle)))
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(4):
            assert_done(run(*site.uninstall()))
            assert_done(run(*site.install(bundle)))
    finally:
        done.set()
        reader.join()
    assert not failed
    site.check(KEY)
