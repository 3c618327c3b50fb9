"""Targets that cannot take a build: told in one clear line, and everything is as it was before."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support import crafting
from support.cli import (
    TARGET_SIDE,
    assert_done,
    assert_refused,
    call,
    environment,
    finish,
    run,
    start,
)
from support.faults import mounted, require_strace, without_privileges
from support.members import below, write_archive
from support.snapshots import dangling, snapshot, temporary, without_housekeeping
from support.tiny import interpreter_script, tiny_members, tiny_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cli import Ran

KEY = crafting.host_key()
FOREIGN = "cpython-3.12.9-linux-s390x-gnu"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for this machine."""
    return crafting.tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for a machine that nobody has."""
    folder = tmp_path_factory.mktemp("foreign")
    build = crafting.tiny_build(folder, "3.12.9", FOREIGN, target="s390x-unknown-linux-gnu")
    return crafting.write(folder / "foreign.kitbag", build)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    return tmp_path / "bin"


def install(bundle: Path, root: Path, bin_dir: Path, *more: str) -> Ran:
    return call("install", bundle, "--root", root, "--bin-dir", bin_dir, *more)


# What the bundle has, and what is asked for.


def test_nothing_for_this_host(foreign: Path, root: Path, bin_dir: Path) -> None:
    assert_refused(install(foreign, root, bin_dir), 5, "nothing in the bundle fits", FOREIGN)
    assert not root.exists()
    assert not bin_dir.exists()


@pytest.mark.parametrize("request_", [FOREIGN, "3.12", "cpython"])
def test_a_build_for_another_platform(
    foreign: Path, root: Path, bin_dir: Path, request_: str
) -> None:
    ran = install(foreign, root, bin_dir, request_)
    assert_refused(ran, 5, FOREIGN, "does not fit this host", "s390x")
    assert not root.exists()


def test_the_refusal_as_json(foreign: Path, root: Path, bin_dir: Path) -> None:
    ran = install(foreign, root, bin_dir, "--json")
    assert_refused(ran, 5)
    told = json.loads(ran.out)["error"]
    assert told["code"] == "does-not-fit"
    assert ran.errors == [f"kitbag: error: {told['message']}"]


@pytest.mark.parametrize("request_", ["3.9", "pypy", "3.13.99", "3.13t"])
def test_a_request_that_nothing_matches(
    bundle: Path, root: Path, bin_dir: Path, request_: str
) -> None:
    assert_refused(install(bundle, root, bin_dir, request_), 4, repr(request_), KEY)
    assert not root.exists()
    assert_done(install(bundle, root, bin_dir))
    before = snapshot(root, bin_dir)
    for verb in ("uninstall", "relocate", "installed", "verify"):
        assert_refused(call(verb, request_, "--root", root), 4, repr(request_), KEY)
    assert without_housekeeping(snapshot(root, bin_dir), root) == without_housekeeping(before, root)


@pytest.mark.parametrize("request_", ["", "3.", "what is this", ">=", "cpython-x", "3.13,<"])
def test_a_request_that_makes_no_sense(
    bundle: Path, root: Path, bin_dir: Path, request_: str
) -> None:
    assert_refused(install(bundle, root, bin_dir, request_), 2)
    assert not root.exists()


def test_one_build_that_does_not_start_does_not_stop_the_others(
    tmp_path: Path, root: Path, bin_dir: Path
) -> None:
    good = crafting.tiny_build(tmp_path, "3.13.5")
    bad = crafting.tiny_build(tmp_path, "3.12.9", answer="crash")
    both = crafting.write(tmp_path / "both.kitbag", good, bad)
    for jobs in ("1", "2"):
        ran = install(both, root, bin_dir, "--jobs", jobs, "--reinstall")
        assert_refused(ran, 1, crafting.host_key("3.12.9"), "does not run on this host")
        assert not temporary(root)
        assert not dangling(root, bin_dir)
        assert sorted(os.listdir(root)) == sorted(
            [".gitignore", ".kitbag", ".lock", ".temp", KEY, KEY.replace("3.13.5", "3.13")]
        )
        assert_done(call("verify", "--root", root))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("crash", ["does not run on this host", "signal 11"]),
        ("silent", ["answered b''"]),
        ("garbage", ["not the expected line"]),
        ("wrong-version", ["'3.0.0'", "wrong key"]),
        ("wrong-prefix", ["'/usr'"]),
    ],
)
def test_an_interpreter_that_does_not_start(
    tmp_path: Path, bundle: Path, root: Path, bin_dir: Path, answer: str, words: list[str]
) -> None:
    """The old build stays when the new one does not start."""
    bad = crafting.write(
        tmp_path / "bad.kitbag", crafting.tiny_build(tmp_path, "3.13.5", answer=answer)
    )
    assert_refused(install(bad, root, bin_dir), 1, KEY, *words)
    assert not without_housekeeping(snapshot(root, bin_dir), root)
    assert_done(install(bundle, root, bin_dir))
    before = snapshot(root, bin_dir)
    assert_refused(install(bad, root, bin_dir, "--reinstall"), 1, KEY, *words)
    assert snapshot(root, bin_dir) == before


def test_an_interpreter_for_another_kind_of_machine(
    tmp_path: Path, root: Path, bin_dir: Path
) -> None:
    """The packer would have seen it; here the key was forced on a program that cannot start."""
    members = [
        one._replace(data=b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\xff" + bytes(44))
        if one.path == "bin/python3.13"
        else one
        for one in tiny_members()
    ]
    good = crafting.tiny_build(tmp_path / "good")
    name = tiny_name()
    archive = write_archive(below("python", members), tmp_path / name, ".tar.gz")
    data = archive.read_bytes()
    program = next(one for one in members if one.path == "bin/python3.13").data
    entries = [
        entry._replace(size=len(program), digest=crafting.sha256(program))
        if entry.path == "bin/python3.13"
        else entry
        for entry in crafting.entries_of(good)
    ]
    build = crafting.with_archive(crafting.with_list(good, entries), data)
    bad = crafting.write(tmp_path / "bad.kitbag", build)
    assert_refused(install(bad, root, bin_dir), 5, KEY, "another kind of machine")
    assert not without_housekeeping(snapshot(root, bin_dir), root)


# The file system of the root.


def _refused_in(place: Path, bundle: Path, options: str, *, then: str = "") -> tuple[Ran, int]:
    """Install into a tmpfs with `options`; returns what came of it, and what it left there."""
    with mounted(place, options, then=then) as mount:
        root = place / "root"
        ran = run("install", bundle, "--root", root, "--no-bin", before=mount.before)
        assert not temporary(mount.view / "root")
        left = without_housekeeping(snapshot(mount.view / "root"), mount.view / "root")
        return ran, len(left)


def test_no_space_left(tmp_path: Path, bundle: Path) -> None:
    ran, left = _refused_in(tmp_path / "disk", bundle, "size=64k")
    assert_refused(
        ran, 5, str(tmp_path / "disk"), "are needed", "65 kB are free", "free some space"
    )
    assert not left


def test_no_inodes_left(tmp_path: Path, bundle: Path) -> None:
    ran, left = _refused_in(tmp_path / "disk", bundle, "nr_inodes=25")
    assert_refused(ran, 5, str(tmp_path / "disk"), "inodes are needed", "24 are free")
    assert not left


@pytest.mark.parametrize("number", range(1, 22, 2))
def test_no_inodes_left_anywhere_on_the_way(
    tmp_path: Path, bundle: Path, root: Path, number: int
) -> None:
    """Somebody took them after the preflight: the build is there with all it needs, or not."""
    calls = "mkdir,symlink,rename,link"
    trace = [require_strace(), "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}"]
    inject = ["-e", f"inject={calls}:error=ENOSPC:when={number}+"]
    ran = run("install", bundle, "--root", root, "--no-bin", before=[*trace, *inject])
    assert not temporary(root)
    assert not dangling(root) or ran.status == 0
    if ran.status == 0:
        assert_done(call("verify", "--root", root))
        return
    assert_refused(ran, 1, str(root), "No space left")
    assert not (root / KEY).exists() or call("verify", "--root", root).status == 0


def test_no_space_for_a_reinstall(tmp_path: Path, bundle: Path) -> None:
    """The build that is there stays as it is."""
    place = tmp_path / "disk"
    fill = 'head -c 1500k /dev/zero > "$1/ballast"'
    with mounted(place, "size=3m", then=fill) as mount:
        root = place / "root"
        assert_done(run("install", bundle, "--root", root, "--no-bin", before=mount.before))
        before = snapshot(mount.view / "root")
        more = ["sh", "-c", f'cat /dev/zero > "{place}/more" 2> /dev/null; exit 0']
        subprocess.run([*mount.before, *more], check=True)
        again = ("install", bundle, "--root", root, "--no-bin", "--reinstall")
        assert_refused(run(*again, before=mount.before), 5, "free some space")
        assert snapshot(mount.view / "root") == before


def test_a_root_where_nothing_may_be_executed(tmp_path: Path, bundle: Path) -> None:
    ran, left = _refused_in(tmp_path / "disk", bundle, "noexec")
    assert_refused(ran, 5, str(tmp_path / "disk" / "root"), "noexec", "--root")
    assert not left


def test_a_read_only_root(tmp_path: Path, bundle: Path) -> None:
    place = tmp_path / "disk"
    with mounted(place, "size=2m", then='mount -o remount,ro "$1"') as mount:
        root = place / "root"
        ran = run("install", bundle, "--root", root, "--no-bin", before=mount.before)
        assert_refused(ran, 5, str(root), "Read-only file system", "--root")
        assert not (mount.view / "root").exists()


def test_a_read_only_root_with_a_build(tmp_path: Path, bundle: Path) -> None:
    """What only reads works on; what would write says why it cannot."""
    place = tmp_path / "disk"
    with mounted(place, "size=4m") as mount:
        root = place / "root"
        assert_done(run("install", bundle, "--root", root, "--no-bin", before=mount.before))
        subprocess.run([*mount.before, "mount", "-o", "remount,ro", str(place)], check=True)
        before = snapshot(mount.view)
        for status, arguments in (
            (5, ["install", bundle, "--root", root, "--no-bin", "--reinstall"]),
            (1, ["uninstall", "--all", "--root", root]),
            (1, ["relocate", "--root", root]),
        ):
            ran = run(*arguments, before=mount.before)
            assert_refused(ran, status, str(root), "Read-only file system")
        assert_done(run("verify", "--root", root, before=mount.before))
        assert_done(run("installed", "--root", root, before=mount.before))
        assert snapshot(mount.view) == before


def test_a_bin_dir_on_another_file_system(tmp_path: Path, bundle: Path, root: Path) -> None:
    """Links cannot be renamed over from the root; they are made beside their place."""
    place = tmp_path / "disk"
    with mounted(place, "size=1m") as mount:
        bins = ["--root", root, "--bin-dir", place / "bin"]
        assert_done(run("install", bundle, *bins, before=mount.before))
        assert sorted(os.listdir(mount.view / "bin")) == ["kitbag", "python3.13"]
        assert_done(run("install", bundle, *bins, "--reinstall", before=mount.before))
        assert_done(run("uninstall", "--all", "--root", root, before=mount.before))
        assert not os.listdir(mount.view)


def test_no_permission(tmp_path: Path, bundle: Path) -> None:
    """A folder that somebody else owns, in effect: not even its owner may write there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    before = snapshot(tmp_path)
    for root in (closed, closed / "root"):
        ran = run("install", bundle, "--root", root, "--no-bin", before=without_privileges())
        assert_refused(ran, 5, str(closed), "Permission denied", "--root")
    assert snapshot(tmp_path) == before


def test_no_permission_for_what_is_installed(tmp_path: Path, bundle: Path, root: Path) -> None:
    assert_done(call("install", bundle, "--root", root, "--no-bin"))
    for folder in (root, root / ".temp"):
        folder.chmod(0o555)
    before = snapshot(root)
    for status, arguments in (
        (5, ["install", bundle, "--root", root, "--no-bin", "--reinstall"]),
        (1, ["uninstall", "--all", "--root", root]),
    ):
        ran = run(*arguments, before=without_privileges())
        assert_refused(ran, status, str(root), "Permission denied")
        assert snapshot(root) == before


def test_a_bundle_that_may_not_be_read(tmp_path: Path, bundle: Path, root: Path) -> None:
    closed = tmp_path / "closed.kitbag"
    shutil.copy(bundle, closed)
    closed.chmod(0)
    for verb in ("show", "verify", "install"):
        more = ["--root", root, "--no-bin"] if verb == "install" else []
        ran = run(verb, closed, *more, before=without_privileges())
        assert_refused(ran, 1, str(closed), "Permission denied")
    assert not root.exists()


# The root's path.


def test_a_path_that_is_too_long_for_a_shebang(tmp_path: Path, bundle: Path) -> None:
    root = tmp_path / "/".join(["long" * 12] * 3)
    assert len(os.fspath(root)) > 127
    assert_done(call("install", bundle, "--root", root, "--no-bin"))
    script = root / KEY / "bin" / "pip3.13"
    assert script.read_bytes().startswith(b"#!/bin/sh\n")
    assert_done(call("verify", "--root", root))


@pytest.mark.slow
def test_pip_runs_in_a_path_that_is_too_long_for_a_shebang(
    tmp_path: Path, pbs_archive: Path
) -> None:
    """A real build, whose pip has to find its interpreter."""
    root = tmp_path / "/".join(["lo ng"[: 5 - n % 2] * 12 for n in range(3)])
    output = tmp_path / "real.kitbag"
    assert_done(call("pack", "--from", pbs_archive, "-o", output))
    assert_done(call("install", output, "--root", root, "--bin-dir", tmp_path / "bin"))
    (pip,) = root.glob("cpython-*.*.*/bin/pip3")
    assert len(os.fspath(pip)) > 127
    done = subprocess.run([pip, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pip ")
    assert os.fspath(root) in done.stdout


def test_a_path_that_is_longer_than_the_system_takes(tmp_path: Path, bundle: Path) -> None:
    root = tmp_path / "/".join(["long" * 50] * 30)
    ran = call("install", bundle, "--root", root, "--no-bin")
    assert_refused(ran, 5, "the longest path in it would have", "takes 4095", "shorter path")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9", b"new\nline", b"bell\x07", b"tab\there"])
def test_a_path_that_no_text_file_can_name(tmp_path: Path, bundle: Path, name: bytes) -> None:
    root = tmp_path / os.fsdecode(name)
    ran = run("install", bundle, "--root", root, "--no-bin")
    assert_refused(ran, 5, "choose another --root")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["with space", "quo'te", 'double"quote', "dollar$HOME", "ü-ñ-日本"]
)
def test_an_odd_path_is_fine(tmp_path: Path, bundle: Path, name: str) -> None:
    root = tmp_path / name
    assert_done(run("install", bundle, "--root", root, "--bin-dir", root / "bin"))
    assert_done(run("verify", "--root", root))
    assert not dangling(root)
    done = subprocess.run([root / "bin" / "python3.13", "-V"], capture_output=True, check=True)
    assert done.stdout == b"Python 3.13.5\n"


@pytest.mark.parametrize("place", ["root", ".temp", ".lock", ".kitbag", KEY, "minor"])
def test_something_else_stands_in_the_way(
    tmp_path: Path, bundle: Path, root: Path, bin_dir: Path, place: str
) -> None:
    """A file where a folder must be, or the other way round; it is not touched."""
    if place != "root":
        root.mkdir()
    blocking = {"root": root, "minor": root / KEY.replace("3.13.5", "3.13")}.get(
        place, root / place
    )
    if place == ".lock":
        blocking.mkdir()
    else:
        blocking.write_text("mine\n")
    before = snapshot(blocking)
    ran = install(bundle, root, bin_dir)
    assert snapshot(blocking) == before
    if place == "minor":
        # The build itself does not need that link.
        assert_done(ran)
    else:
        assert_refused(ran, 5, os.fspath(blocking))
    assert not temporary(root) if place not in ("root", ".temp") else True
    assert not dangling(root, bin_dir)


def test_no_home_and_no_root(tmp_path: Path, bundle: Path) -> None:
    env = environment(HOME=None, XDG_DATA_HOME=None, XDG_BIN_HOME=None)
    for arguments in (["install", bundle], ["installed"], ["uninstall", "--all"], ["relocate"]):
        assert_refused(run(*arguments, env=env), 2, "HOME is not set", "--root")
    assert_refused(run("install", bundle, "--root", tmp_path / "r", env=env), 2, "--bin-dir")
    assert not os.listdir(tmp_path)
    assert_done(run("install", bundle, "--root", tmp_path / "r", "--no-bin", env=env))


@pytest.mark.parametrize(
    "arguments",
    [
        ["install"],
        ["uninstall"],
        ["uninstall", "--all", "3.13"],
        ["show"],
        ["frobnicate"],
        ["install", "x", "--jobs", "0"],
        ["install", "x", "--root", ""],
        ["install", "x", "--no-such-option"],
        ["install", "x", "--bin-dir", "b", "--no-bin"],
    ],
)
def test_a_command_line_that_makes_no_sense(tmp_path: Path, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.status == 2
    assert "error: " in ran.err
    assert "Traceback" not in ran.err
    assert not ran.out
    assert not os.listdir(tmp_path)


# The lock.


@pytest.fixture
def held(root: Path) -> Iterator[int]:
    """The root's lock, held by this process."""
    root.mkdir()
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield handle
    os.close(handle)


@pytest.mark.parametrize("verb", ["install", "uninstall", "relocate"])
def test_another_process_holds_the_lock(
    bundle: Path, root: Path, bin_dir: Path, held: int, verb: str
) -> None:
    """It waits as long as it may, says so, and gives up with everything untouched."""
    before = without_housekeeping(snapshot(root, bin_dir), root)
    arguments: list[str | Path] = [verb, "--root", root]
    if verb == "install":
        arguments += [bundle, "--bin-dir", bin_dir]
    elif verb == "uninstall":
        arguments += ["--all"]
    started = time.monotonic()
    ran = run(*arguments, env=environment(KITBAG_LOCK_TIMEOUT="0.5"))
    assert time.monotonic() - started >= 0.5
    assert_refused(ran, 1, str(root), "held the lock")
    assert "waiting for another process" in ran.err
    assert without_housekeeping(snapshot(root, bin_dir), root) == before


def test_a_lock_that_is_let_go_in_time(bundle: Path, root: Path, bin_dir: Path, held: int) -> None:
    process = start("install", bundle, "--root", root, "--bin-dir", bin_dir)
    assert process.stderr is not None
    assert b"waiting for another process" in process.stderr.readline()
    assert not (root / KEY).exists()
    fcntl.flock(held, fcntl.LOCK_UN)
    assert_done(finish(process))
    assert_done(call("verify", "--root", root))


def test_readers_do_not_wait(bundle: Path, root: Path, bin_dir: Path, held: int) -> None:
    env = environment(KITBAG_LOCK_TIMEOUT="0")
    assert_done(run("installed", "--root", root, env=env))
    assert_done(run("verify", "--root", root, env=env))


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_lock_timeout_that_is_no_number(bundle: Path, root: Path, text: str) -> None:
    env = environment(KITBAG_LOCK_TIMEOUT=text)
    ran = run("install", bundle, "--root", root, "--no-bin", env=env)
    assert_refused(ran, 2, "KITBAG_LOCK_TIMEOUT", repr(text))
    assert not (root / KEY).exists()


# The bin directory.


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_name_in_the_bin_dir_is_taken(
    tmp_path: Path, bundle: Path, root: Path, bin_dir: Path, kind: str
) -> None:
    """Other people's files stay, and are told; `--force` replaces them."""
    bin_dir.mkdir()
    taken = bin_dir / "python3.13"
    if kind == "file":
        taken.write_text("#!/bin/sh\necho mine\n")
    elif kind == "folder":
        taken.mkdir()
    else:
        taken.symlink_to("/bin/sh")
    command = bin_dir / "kitbag"
    command.write_text("#!/bin/sh\necho my own kitbag\n")
    before = snapshot(bin_dir)
    ran = install(bundle, root, bin_dir)
    assert_done(ran)
    assert re.search(rf"warning: .*{re.escape(str(taken))}.*--force", ran.err)
    assert str(command) in ran.err
    assert snapshot(bin_dir) == before
    assert_done(call("verify", "--root", root))
    ran = install(bundle, root, bin_dir, "--force")
    if kind == "folder":
        assert_refused(ran, 1, str(bin_dir))
        assert snapshot(taken) == {
            path: thing for path, thing in before.items() if path == str(taken)
        }
    else:
        assert_done(ran)
        assert "warning" not in ran.err
        assert os.readlink(taken).startswith(os.fspath(root))
        assert b"Made by kitbag" in command.read_bytes()
    assert not temporary(root)


def test_uninstall_leaves_what_is_not_ours(
    tmp_path: Path, bundle: Path, root: Path, bin_dir: Path
) -> None:
    bin_dir.mkdir()
    (bin_dir / "python3.13").write_text("mine\n")
    (bin_dir / "elsewhere").symlink_to(tmp_path / "nothing")
    before = snapshot(bin_dir)
    assert_done(install(bundle, root, bin_dir))
    (bin_dir / "kitbag").write_text("mine too\n")
    assert_done(call("uninstall", "--all", "--root", root))
    after = snapshot(bin_dir)
    assert after.pop(os.fspath(bin_dir / "kitbag"))
    assert after == before


def test_a_bin_dir_that_may_not_be_written(
    tmp_path: Path, bundle: Path, root: Path, bin_dir: Path
) -> None:
    """With --force the builds are installed all the same, and the line says so."""
    bin_dir.mkdir(mode=0o555)
    arguments = ("install", bundle, "--root", root, "--bin-dir", bin_dir)
    ran = run(*arguments, before=without_privileges())
    assert_refused(ran, 5, str(bin_dir), "Permission denied", "--no-bin", "--force")
    assert not root.exists()
    ran = run(*arguments, "--force", before=without_privileges())
    assert_refused(
        ran, 1, str(bin_dir), "Permission denied", "the builds are installed", "--no-bin"
    )
    assert not os.listdir(bin_dir)
    assert not temporary(root)
    assert_done(call("verify", "--root", root))
    bin_dir.chmod(0o755)
    assert_done(run(*arguments))
    assert sorted(os.listdir(bin_dir)) == ["kitbag", "python3.13"]


def test_a_bin_dir_that_is_a_file(bundle: Path, root: Path, bin_dir: Path) -> None:
    bin_dir.write_text("mine\n")
    assert_refused(install(bundle, root, bin_dir), 5, str(bin_dir), "not a directory", "--force")
    assert not root.exists()
    ran = install(bundle, root, bin_dir, "--force")
    assert_refused(ran, 1, str(bin_dir), "the builds are installed")
    assert bin_dir.read_text() == "mine\n"
    assert_done(call("verify", "--root", root))


# Output that nobody takes, and being told to stop.


@pytest.mark.parametrize("verb", ["install", "show", "verify", "installed"])
def test_a_reader_that_went_away(bundle: Path, root: Path, verb: str) -> None:
    """As in `kitbag show … | head -0`: no traceback, and the work itself is done."""
    more = {"install": ["--root", root, "--no-bin"], "installed": ["--root", root]}.get(verb, [])
    arguments = [verb, *([] if verb == "installed" else [bundle]), *more]
    reading, writing = os.pipe()
    os.close(reading)
    ran = run(*arguments, stdout=writing)
    os.close(writing)
    assert "Traceback" not in ran.err
    assert "Exception" not in ran.err
    assert not ran.errors
    assert ran.status in (0, 1)
    if verb == "install":
        assert_done(call("verify", "--root", root))


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_place_for_the_output(bundle: Path, root: Path, redirection: str) -> None:
    command = [*TARGET_SIDE, "install", str(bundle), "--root", str(root), "--no-bin"]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception" not in done.stderr, done.stderr
    if "full" in redirection:
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    else:
        assert done.returncode == 0, done
    assert not temporary(root)
    assert_done(call("verify", "--root", root))


NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stopped(number: signal.Signals, moment: str, *arguments: str | Path) -> Ran:
    """Run a command that gets a signal as it comes to a system call; it goes on with that."""
    name = moment.partition(":")[0]
    trace = ["-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}"]
    inject = f"inject={name}:signal={number.name}:{moment.partition(':')[2]}"
    return run(*arguments, before=[require_strace(), *trace, "-e", inject])


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "moment", ["mkdir:when=6", "write:when=5", "symlink:when=2", "ftruncate:when=1"]
)
def test_stopped_while_it_unpacks(
    bundle: Path, root: Path, bin_dir: Path, number: signal.Signals, moment: str
) -> None:
    ran = _stopped(number, moment, "install", bundle, "--root", root, "--bin-dir", bin_dir)
    assert_refused(ran, 130, "nothing is left half done")
    assert not without_housekeeping(snapshot(root, bin_dir), root)
    assert not temporary(root)
    assert_done(install(bundle, root, bin_dir))
    before = snapshot(root, bin_dir)
    ran = _stopped(
        number, moment, "install", bundle, "--root", root, "--bin-dir", bin_dir, "--reinstall"
    )
    assert_refused(ran, 130, "nothing is left half done")
    assert snapshot(root, bin_dir) == before


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("moment", ["rename:when=1", "unlinkat:when=7", "unlinkat:when=1"])
def test_stopped_around_the_commit(
    bundle: Path, root: Path, bin_dir: Path, number: signal.Signals, moment: str
) -> None:
    """The build is the old one or the new one, and the temporary directory is empty."""
    for more in ([], ["--reinstall"]):
        ran = _stopped(
            number, moment, "install", bundle, "--root", root, "--bin-dir", bin_dir, *more
        )
        assert ran.status in (0, 130), ran
        assert "Traceback" not in ran.err
        assert not temporary(root)
        assert not dangling(root, bin_dir)
        assert_done(install(bundle, root, bin_dir))
        assert_done(call("verify", "--root", root))


@pytest.mark.parametrize("number", NUMBERS)
def test_stopped_while_workers_run(tmp_path: Path, number: signal.Signals) -> None:
    """A terminal sends Ctrl-C to every process; `kill` sends it to one. Both end all of them."""
    builds = [crafting.tiny_build(tmp_path, f"3.{minor}.1", answer="hang") for minor in (11, 12)]
    bundle = crafting.write(tmp_path / "hang.kitbag", *builds)
    root = tmp_path / "root"
    for everybody in (False, True):
        process = start("install", bundle, "--root", root, "--no-bin", "--jobs", "2")
        _wait_for_sleepers(process.pid, 2)
        assert len(temporary(root)) == 2
        if everybody:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert_refused(finish(process, 30), 130, "nothing is left half done")
        assert not without_housekeeping(snapshot(root), root)
        # Nothing holds the lock any more, apart from a smoke test's own children.
        env = environment(KITBAG_LOCK_TIMEOUT="10")
        assert_done(run("uninstall", "--all", "--root", root, env=env))
        _end_session(process.pid)


def _wait_for_sleepers(leader: int, count: int, patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while _sleepers(leader) < count:
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def _session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == leader:
                    found.append(int(name))
            except ProcessLookupError:
                continue
    return found


def _sleepers(leader: int) -> int:
    """How many stand-in interpreters of a session hang."""
    count = 0
    for process in _session(leader):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                count += file.read() == b"sleep\x003600\x00"
        except OSError:
            continue
    return count


def _end_session(leader: int) -> None:
    for process in _session(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def test_nohup_is_respected(bundle: Path, root: Path) -> None:
    """A hang-up that the caller chose to ignore stays ignored."""
    ran = run(
        *("install", bundle, "--root", root, "--no-bin"),
        before=[
            *("sh", "-c", 'trap "" HUP; exec "$@"', "sh", require_strace()),
            *("-f", "-qq", "-o", "/dev/null", "-e", "trace=mkdir"),
            *("-e", "inject=mkdir:signal=SIGHUP:when=6"),
        ],
    )
    assert_done(ran)
    assert interpreter_script("3.13.5") == (root / KEY / "bin" / "python3.13").read_bytes()
