"""Archives that are broken, dangerous or odd, through the whole journey.

Each travels twice. ``pack`` looks through it and refuses; ``install`` meets it in a bundle that
says nothing wrong about it: the digests are the archive's own, the list is that of a good one.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.contents import Entry
from support import crafting, hostile
from support.cli import (
    BOTH_SIDES,
    TARGET_SIDE,
    Ran,
    assert_done,
    assert_refused,
    call,
    environment,
)
from support.members import Member, below, gzip_bytes, tar_bytes, zip_bytes
from support.require import require
from support.snapshots import snapshot, temporary, without_housekeeping
from support.tiny import tiny_members

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from support.bundles import PackedBuild

KEY = "cpython-3.13.5-linux-x86_64-gnu"
CASES = hostile.hostile_archives()
BOMBS = ("bomb", "zip-bomb")
SMALL = [name for name in CASES if name not in BOMBS]

_MEMORY = 160 << 20  # bytes: what a good archive takes, and some room
_PATIENCE = 30.0  # seconds, on a busy machine

pytestmark = pytest.mark.skipif(
    crafting.host_key() != KEY, reason="the hostile archives are named for x86-64 and glibc"
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> PackedBuild:
    """The build that every case differs from."""
    return crafting.inspected(hostile.good_archive(tmp_path_factory.mktemp("good")), KEY)


class Site:
    """A target with one build installed, inside of a folder where nothing else may appear."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "around" / "site"
        self.root = self.folder / "deep" / "root"
        self.bin = self.folder / "bin"
        self.fresh = self.folder / "fresh" / "root"
        self.stick = folder / "stick"
        self.bundle = self.stick / "bad.kitbag"
        self.stick.mkdir()

    def fill(self, good: PackedBuild) -> None:
        """Install the good build."""
        bundle = crafting.write(self.stick / "good.kitbag", good)
        assert_done(call("install", bundle, "--root", self.root, "--bin-dir", self.bin))

    def install(self) -> Ran:
        return call("install", self.bundle, "--root", self.fresh, "--bin-dir", self.bin)

    def reinstall(self) -> Ran:
        return call(
            "install", self.bundle, "--root", self.root, "--bin-dir", self.bin, "--reinstall"
        )

    def refuses(self, *words: str, status: int = 3) -> None:
        """Neither a fresh root nor a full one takes it, and neither is changed."""
        around = self.folder.parent.parent
        before = snapshot(around)
        assert_refused(self.reinstall(), status, *words)
        assert snapshot(around) == before
        assert_refused(self.install(), status, *words)
        assert not temporary(self.fresh)
        after = without_housekeeping(snapshot(around), self.fresh)
        after.pop(os.fspath(self.fresh.parent), None)
        assert after == before


@pytest.fixture
def site(tmp_path: Path, good: PackedBuild) -> Site:
    made = Site(tmp_path)
    made.fill(good)
    return made


def _pack(archive: Path, output: Path, key: str = KEY) -> Ran:
    return call("pack", "--from", archive, "--key", key, "-o", output)


@pytest.mark.parametrize("name", SMALL)
def test_pack(name: str, tmp_path: Path) -> None:
    """What must be refused is; what is taken installs as exactly the files that it holds."""
    case = CASES[name]
    archive = case(tmp_path / "archives")
    output = tmp_path / "out" / "tools.kitbag"
    output.parent.mkdir()
    output.write_bytes(b"an older bundle")
    before = snapshot(tmp_path)
    ran = _pack(archive, output)
    if case.verdict == hostile.REFUSE or (case.verdict == hostile.EITHER and ran.status):
        assert_refused(ran, 3, archive.name)
        assert snapshot(tmp_path) == before
        return
    assert_done(ran)
    root = tmp_path / "deep" / "root"
    assert_done(call("install", output, "--root", root, "--no-bin"))
    assert_done(call("verify", "--root", root))
    outside = {path for path in snapshot(tmp_path) if path not in before}
    assert all(path.startswith(os.fspath(tmp_path / "deep")) for path in outside)
    if case.contents is not None:
        assert _pristine(root / KEY) == {
            path.removeprefix("python/"): hashlib.sha256(data).hexdigest()
            for path, data in case.contents.items()
        }


def _pristine(tree: Path) -> dict[str, str]:
    """The digests that the contents list of an installed build promises; `verify` held them."""
    lines = (tree / ".kitbag" / "contents.tsv").read_text().splitlines()
    fields = [line.split("\t") for line in lines]
    digests = {each[4]: each[3] for each in fields if each[0] == "f"}
    return digests | {each[4]: digests[each[3]] for each in fields if each[0] == "h"}


@pytest.mark.parametrize("name", SMALL)
def test_install(name: str, site: Site, good: PackedBuild) -> None:
    """Whatever the archive holds, the tree becomes what the list says, or nothing happens."""
    case = CASES[name]
    data = case(site.stick / "archive").read_bytes()
    crafting.write(site.bundle, crafting.with_archive(good, data, case.suffix))
    same = case.verdict == hostile.ACCEPT and _is_the_good_tree(site.stick / "archive", good)
    tree = snapshot(site.root / KEY)
    ran = site.reinstall()
    if ran.status == 0 and case.verdict != hostile.REFUSE:
        # The list is that of the good archive, so whatever was left out was not in it either.
        assert_done(ran)
        assert_done(call("verify", "--root", site.root))
        receipts = {path for path in tree if path.endswith("receipt.json")}
        after = snapshot(site.root / KEY)
        assert {p: t for p, t in after.items() if p not in receipts} == {
            p: t for p, t in tree.items() if p not in receipts
        }
        return
    assert not same, ran
    site.refuses()


def _is_the_good_tree(folder: Path, good: PackedBuild) -> bool:
    (archive,) = folder.iterdir()
    return crafting.inspected(archive, KEY).contents == good.contents


@pytest.mark.parametrize("length", [length for length, _ in hostile.truncations(12)])
def test_archives_that_are_cut(length: int, site: Site, good: PackedBuild, tmp_path: Path) -> None:
    archive = tmp_path / f"{hostile.good_archive(tmp_path / 'x').name}"
    archive.write_bytes(dict(hostile.truncations(12))[length])
    output = tmp_path / "out.kitbag"
    assert_refused(_pack(archive, output), 3, archive.name)
    assert not output.exists()
    crafting.write(site.bundle, crafting.with_archive(good, archive.read_bytes()))
    site.refuses(archive.name)


def _archive(members: Sequence[Member]) -> bytes:
    return gzip_bytes(tar_bytes(below("python", members)))


def _changed(path: str, **changes: object) -> list[Member]:
    found = [one for one in tiny_members() if one.path == path]
    assert found, path
    return [
        one._replace(**changes) if one.path == path else one  # type: ignore[arg-type]
        for one in tiny_members()
    ]


LIBRARY = "lib/python3.13"
DIFFERENT: dict[str, Callable[[], list[Member]]] = {
    "a member more": lambda: [*tiny_members(), Member(f"{LIBRARY}/more.py", b"1\n")],
    "a member less": lambda: [m for m in tiny_members() if m.path != f"{LIBRARY}/os.py"],
    "a link less": lambda: [m for m in tiny_members() if m.path != "bin/python3"],
    "a link more": lambda: [*tiny_members(), Member("bin/py", b"", 0o777, "l", "python3.13")],
    "a folder more": lambda: [*tiny_members(), Member("more", b"", 0o755, "d")],
    "a larger file": lambda: _changed(f"{LIBRARY}/os.py", data=b"x" * 5000),
    "a smaller file": lambda: _changed(f"{LIBRARY}/os.py", data=b""),
    "another file of that size": lambda: _changed(
        f"{LIBRARY}/LICENSE.txt", data=b"stand-in for the licence.\n"
    ),
    "another interpreter": lambda: _changed("bin/python3.13", data=b"#!/bin/sh\ntouch /tmp/x\n"),
    "another link": lambda: _changed("bin/python3", target="pip3.13"),
    "a link for a file": lambda: _changed(
        f"{LIBRARY}/os.py", kind="l", target="LICENSE.txt", data=b""
    ),
    "a file for a link": lambda: _changed("bin/python3", kind="f", data=b"python3.13"),
    "a hard link for a file": lambda: _changed(
        f"{LIBRARY}/os.py", kind="h", target=f"{LIBRARY}/LICENSE.txt", data=b""
    ),
    "a hard link to another file": lambda: _changed(
        "share/terminfo/p/p4-alias", target="share/terminfo/P/P4"
    ),
    "repeated, the second differs": lambda: [
        *tiny_members(),
        Member(f"{LIBRARY}/os.py", b'"""Stand-in for the landmark of the standard library."""\r'),
    ],
    "repeated, the first differs": lambda: [
        Member(f"{LIBRARY}/os.py", b'"""Stand-in for the landmark of the standard library."""\r'),
        *tiny_members(),
    ],
    "another case": lambda: [
        m._replace(path=f"{LIBRARY}/OS.py") if m.path == f"{LIBRARY}/os.py" else m
        for m in tiny_members()
    ],
}


@pytest.mark.parametrize("name", DIFFERENT)
@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_archive_that_is_not_its_list(
    name: str, suffix: str, site: Site, good: PackedBuild
) -> None:
    members = DIFFERENT[name]()
    if suffix == ".zip":
        if any(word in name for word in ("hard link", "repeated")):
            pytest.skip("a zip has no hard links, and its reader knows each name once")
        good = _as_zip(good)
        data = zip_bytes(below("python", members))
    else:
        data = _archive(members)
    crafting.write(site.bundle, crafting.with_archive(good, data, suffix))
    site.refuses(hostile.good_archive(site.stick / "x").name.removesuffix(".tar.gz"))


def _as_zip(good: PackedBuild) -> PackedBuild:
    """The list of the same build as it comes out of a zip: a hard link is a file there."""
    entries = {entry.path: entry for entry in crafting.entries_of(good)}
    return crafting.with_list(good, [_unshared(entry, entries) for entry in entries.values()])


def _unshared(entry: Entry, entries: dict[str, Entry]) -> Entry:
    return entries[entry.target]._replace(path=entry.path) if entry.kind == "h" else entry


def test_the_same_members_in_a_zip_are_fine(site: Site, good: PackedBuild) -> None:
    data = zip_bytes(below("python", tiny_members()))
    crafting.write(site.bundle, crafting.with_archive(_as_zip(good), data, ".zip"))
    assert_done(site.install())
    assert_done(call("verify", "--root", site.fresh))


def test_names_that_differ_only_in_case_are_fine(site: Site) -> None:
    """Upstream's terminfo has 23 such pairs."""
    assert_done(call("verify", "--root", site.root))
    tree = site.root / KEY / "share" / "terminfo"
    assert (tree / "P" / "P4").read_text() == "upper\n"
    assert (tree / "p" / "p4").read_text() == "lower\n"


@pytest.mark.parametrize("bit", [0o4000, 0o2000, 0o1000])
def test_special_bits_never_reach_the_disk(
    bit: int, site: Site, good: PackedBuild, tmp_path: Path
) -> None:
    archive = tmp_path / hostile.good_archive(tmp_path / "x").name
    archive.write_bytes(_archive(_changed("bin/python3.13", mode=0o755 | bit)))
    assert_refused(_pack(archive, tmp_path / "out.kitbag"), 3, "bin/python3.13")
    crafting.write(site.bundle, crafting.with_archive(good, archive.read_bytes()))
    site.refuses("bin/python3.13")


def _measured(command: Sequence[str], *, limit: int = 0) -> tuple[Ran, float, int]:
    """Run a command; returns what came of it, its seconds and its peak memory in bytes."""
    program = (
        "import os, resource, subprocess, sys\n"
        "limit = int(sys.argv[1])\n"
        "if limit: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "done = subprocess.run(sys.argv[2:], capture_output=True)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024\n"
        "sys.stderr.buffer.write(done.stderr)\n"
        "print(done.returncode, peak)\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(limit), *command],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    status, peak = done.stdout.split()
    return Ran(int(status), "", done.stderr), time.monotonic() - started, int(peak)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bombs")
    return {name: CASES[name](folder / name) for name in BOMBS}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_when_it_is_packed(
    name: str, bombs: dict[str, Path], tmp_path: Path
) -> None:
    """A gigabyte of zeros in a megabyte: stopped on the way, in bounded memory."""
    require(sys.platform == "linux", "ru_maxrss counts in other units elsewhere")
    output = tmp_path / "out.kitbag"
    command = [*BOTH_SIDES, "pack", "--from", str(bombs[name]), "--key", KEY, "-o", str(output)]
    ran, seconds, peak = _measured(command)
    assert_refused(ran, 3, bombs[name].name)
    assert seconds < _PATIENCE
    assert peak < _MEMORY
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_when_it_is_installed(
    name: str, bombs: dict[str, Path], site: Site, good: PackedBuild
) -> None:
    """Stopped where it leaves the list, before its zeros are unpacked: no larger than the list."""
    data = bombs[name].read_bytes()
    crafting.write(site.bundle, crafting.with_archive(good, data, CASES[name].suffix))
    before = snapshot(site.root, site.bin)
    root = ["--root", str(site.root), "--bin-dir", str(site.bin)]
    command = [*TARGET_SIDE, "install", str(site.bundle), *root, "--reinstall"]
    ran, seconds, peak = _measured(command, limit=1 << 30)
    assert_refused(ran, 3, bombs[name].name)
    assert seconds < _PATIENCE
    assert peak < _MEMORY
    assert snapshot(site.root, site.bin) == before


def test_a_bomb_that_the_list_knows_is_stopped(
    bombs: dict[str, Path], site: Site, good: PackedBuild
) -> None:
    """A list that goes along with the bomb does not help it: the stream's own bound holds."""
    bomb = Entry(
        f"{LIBRARY}/bomb", "f", 0o644, hostile.BOMB_SIZE, hashlib.sha256(b"").hexdigest(), ""
    )
    longer = crafting.with_list(good, [*crafting.entries_of(good), bomb])
    crafting.write(site.bundle, crafting.with_archive(longer, bombs["bomb"].read_bytes()))
    before = snapshot(site.root, site.bin)
    root = ["--root", str(site.root), "--bin-dir", str(site.bin)]
    command = [*TARGET_SIDE, "install", str(site.bundle), *root, "--reinstall"]
    ran, seconds, peak = _measured(command)
    assert_refused(ran, 3, bombs["bomb"].name, "200 times its size")
    assert seconds < _PATIENCE
    assert peak < _MEMORY
    assert snapshot(site.root, site.bin) == before


def test_an_archive_for_another_platform_than_its_name_says(tmp_path: Path) -> None:
    """The key is checked against the executables inside."""
    from support.synthetic import SYNTHETIC, make_synthetic_archive

    archive = make_synthetic_archive("aarch64", tmp_path)
    wrong = archive.rename(tmp_path / archive.name.replace("aarch64", "x86_64"))
    output = tmp_path / "out.kitbag"
    assert_refused(call("pack", "--from", wrong, "-o", output), 3, wrong.name, "aarch64", "x86_64")
    assert_refused(_pack(wrong, output, SYNTHETIC["linux"].key), 3, wrong.name)
    assert not output.exists()


@pytest.mark.parametrize("soft", [11, 12, 13, 14, 16, 20])
def test_too_few_open_files(soft: int, site: Site, good: PackedBuild) -> None:
    """Somewhere on the way there is one file too many; nothing is left half done."""
    crafting.write(site.bundle, good)
    before = snapshot(site.root, site.bin)
    root = ["--root", str(site.root), "--bin-dir", str(site.bin)]
    done = subprocess.run(
        [*TARGET_SIDE, "install", str(site.bundle), *root, "--reinstall"],
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft)),
        timeout=60,
        check=False,
    )
    if done.returncode:
        assert "Traceback" not in done.stderr, done.stderr
        assert snapshot(site.root, site.bin) == before
    assert not temporary(site.root)
    assert_done(call("verify", "--root", site.root))
