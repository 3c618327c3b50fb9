"""What keeps a target from taking an install is found before the first write, all at once."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support import crafting
from support.caches import public_folder
from support.cli import TARGET_SIDE, assert_done, assert_refused, call, environment, run
from support.faults import mounted, mutating_calls, require_strace
from support.require import require_command
from support.snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.cli import Ran

KEY = crafting.host_key()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two builds for this machine."""
    folder = tmp_path_factory.mktemp("bundle")
    builds = [crafting.tiny_build(folder, version) for version in ("3.12.9", "3.13.5")]
    return crafting.write(folder / "tools.kitbag", *builds)


def install(bundle: Path, root: Path, *more: str, before: Sequence[str] = ()) -> Ran:
    return run("install", bundle, "--root", root, "--no-bin", *more, before=before)


def planned(bundle: Path, root: Path, *more: str, before: Sequence[str] = ()) -> dict[str, Any]:
    """The dry run's document."""
    ran = install(bundle, root, "--dry-run", "--json", *more, before=before)
    assert ran.status in (0, 5), ran
    document: dict[str, Any] = json.loads(ran.out)
    assert document["preflight"]["works"] == (ran.status == 0)
    return document


def needed(bundle: Path, root: Path, *more: str) -> tuple[int, int]:
    found = planned(bundle, root, *more)["preflight"]
    return found["space"]["needed"], found["inodes"]["needed"]


def points(document: dict[str, Any]) -> list[str]:
    return [point["code"] for point in document["preflight"]["points"]]


# Room: what is said to be needed is enough, and with less nothing is begun.


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_is_said_to_be_needed_is_enough(tmp_path: Path, bundle: Path, jobs: str) -> None:
    space, inodes = needed(bundle, tmp_path / "root")
    # A tmpfs counts its own top folder.
    with mounted(tmp_path / "disk", f"size={space},nr_inodes={inodes + 1}") as mount:
        root = tmp_path / "disk" / "root"
        assert_done(install(bundle, root, "--jobs", jobs, before=mount.before))
        assert_done(run("verify", "--root", root, before=mount.before))


@pytest.mark.parametrize(
    ("options", "code"), [("size={half}", "space"), ("nr_inodes={few}", "inodes")]
)
def test_too_little_room_is_told_before_anything_is_written(
    tmp_path: Path, bundle: Path, options: str, code: str
) -> None:
    space, inodes = needed(bundle, tmp_path / "root")
    with mounted(tmp_path / "disk", options.format(half=space // 2, few=inodes // 2)) as mount:
        root = tmp_path / "disk" / "root"
        assert points(planned(bundle, root, before=mount.before)) == [code]
        ran = install(bundle, root, before=mount.before)
        assert_refused(ran, 5, str(root), "are needed there", "--root")
        assert os.listdir(mount.view) == []
        # One of the two fits.
        assert points(planned(bundle, root, "3.13", before=mount.before)) in ([], [code])


def test_a_reinstall_needs_room_for_the_new_beside_the_old(tmp_path: Path, bundle: Path) -> None:
    space, _ = needed(bundle, tmp_path / "root")
    with mounted(tmp_path / "disk", f"size={space * 3 // 2}") as mount:
        root = tmp_path / "disk" / "root"
        assert_done(install(bundle, root, before=mount.before))
        assert points(planned(bundle, root, before=mount.before)) == []
        before = snapshot(mount.view)
        assert points(planned(bundle, root, "--reinstall", before=mount.before)) == ["space"]
        assert_refused(install(bundle, root, "--reinstall", before=mount.before), 5, "free some")
        assert snapshot(mount.view) == before


def test_what_is_reserved_for_root_is_not_for_others(bundle: Path) -> None:
    """An ext4 with half of it reserved, in which the install would fit once."""
    mkfs, setpriv = require_command("mkfs.ext4"), require_command("setpriv")
    with public_folder() as folder:
        place, image = folder / "disk", folder / "image"
        own = shutil.copy(bundle, folder / "tools.kitbag")
        size = needed(bundle, place)[0] * 2 // 1024
        make = f'{mkfs} -q -m 50 -b 4096 -O ^has_journal "{image}" {size}k > /dev/null 2>&1'
        then = f'{make} && mount -o loop "{image}" "$1" && chmod 777 "$1"'
        with mounted(place, "size=1m", then=then) as mount:
            other = [*mount.before, setpriv, "--reuid=1000", "--regid=1000", "--clear-groups"]
            assert points(planned(own, place / "root", before=other)) == ["space"]
            assert_refused(install(own, place / "root", before=other), 5, "free some space")
            found = planned(own, place / "root", before=mount.before)["preflight"]
            assert (found["file-system"], found["points"]) == ("ext4", [])
            assert_done(install(own, place / "root", before=mount.before))


# Everything at once, and nothing written.


def test_every_point_in_one_answer(tmp_path: Path, bundle: Path) -> None:
    with mounted(tmp_path / "disk", "size=64k,nr_inodes=10,noexec") as mount:
        root = tmp_path / "disk" / "root"
        ran = run(
            *("install", bundle, "--root", root, "--bin-dir", "/dev/null/bin"),
            before=mount.before,
        )
        assert os.listdir(mount.view) == []
    assert_refused(ran, 5, f"{root}: 4 things are in the way")
    warnings = [line for line in ran.err.splitlines() if line.startswith("kitbag: warning: ")]
    assert len(warnings) == 4
    for line, word in zip(
        warnings, ("noexec", "free some space", "inodes", "--no-bin"), strict=True
    ):
        assert word in line


@pytest.mark.parametrize("options", ["ro", "noexec"])
def test_a_dry_run_sees_what_an_install_would(tmp_path: Path, bundle: Path, options: str) -> None:
    with mounted(tmp_path / "disk", options) as mount:
        root = tmp_path / "disk" / "root"
        code = {"ro": "read-only"}.get(options, options)
        assert points(planned(bundle, root, before=mount.before)) == [code]
        # Force is for advice.
        assert points(planned(bundle, root, "--force", before=mount.before)) == [code]
        ran = install(bundle, root, "--force", before=mount.before)
        assert_refused(ran, 5, str(root), "choose another root")
        assert os.listdir(mount.view) == []


def test_a_dry_run_changes_nothing(tmp_path: Path, bundle: Path) -> None:
    """Not one system call that could, but for what it says."""
    root = tmp_path / "root"
    assert_done(install(bundle, root, "3.12"))
    for more in ([], ["--reinstall", "--json"], ["--root", str(tmp_path / "new" / "root")]):
        command = [*TARGET_SIDE, "install", str(bundle), "--root", str(root), "--no-bin"]
        calls = mutating_calls([*command, "--dry-run", *more], tmp_path / "log", env=environment())
        assert [call.text for call in calls if not call.text.split("(")[1].startswith("1,")] == []


# What a build needs of the system.


def _needing(tmp_path: Path, **needs: object) -> Path:
    packed = crafting.tiny_build(tmp_path)
    build = replace(packed.build, needs=replace(packed.build.needs, **needs))
    return crafting.write(tmp_path / "needing.kitbag", packed._replace(build=build))


def test_libraries_that_are_missing_are_advice(tmp_path: Path) -> None:
    path = _needing(tmp_path, libraries=("libnever.so.1", "libc.so.6", "libnot.so.2"))
    ran = call("install", path, "--root", tmp_path / "root", "--no-bin")
    assert_refused(ran, 5, KEY, "libnever.so.1, libnot.so.2", "--force")
    assert not (tmp_path / "root").exists()
    # The build is a script and needs nothing: the advice was wrong.
    ran = call("install", path, "--root", tmp_path / "root", "--no-bin", "--force")
    assert_done(ran)
    assert ran.err.startswith(f"kitbag: warning: {KEY}: needs shared libraries")


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"glibc": "9.99"}, "needs glibc 9.99, this system has"),
        ({"interpreter": "/lib/ld-never.so.1"}, "needs the system's loader /lib/ld-never.so.1"),
    ],
)
def test_the_wrong_c_library_is_a_fact(
    tmp_path: Path, needs: dict[str, object], words: str
) -> None:
    path = _needing(tmp_path, **needs)
    for more in ([], ["--force"]):
        ran = call("install", path, "--root", tmp_path / "root", "--no-bin", *more)
        assert_refused(ran, 5, KEY, words)
        assert "--force" not in ran.err
    assert not (tmp_path / "root").exists()


# What only trying tells.


def test_a_file_system_without_links(tmp_path: Path, bundle: Path) -> None:
    """The answer that FAT gives; a root that was made for it goes again."""
    refusing = [require_strace(), "-f", "-qq", "-o", os.devnull, "-e", "trace=symlink"]
    refusing += ["-e", "inject=symlink:error=EPERM"]
    root = tmp_path / "root"
    assert_refused(install(bundle, root, before=refusing), 5, str(root), "symbolic links", "--root")
    assert not root.exists()


def test_an_install_that_works_imports_no_more_than_it_needs(tmp_path: Path, bundle: Path) -> None:
    program = TARGET_SIDE[-1].replace("sys.exit(main())", "main()")
    program += "; print(*(name for name in sys.modules if '.preflight.' in name), file=sys.stderr)"
    ran = run(
        *("install", bundle, "--root", tmp_path / "root", "--no-bin"),
        command=[*TARGET_SIDE[:-1], program],
    )
    assert_done(ran)
    names = {name.rpartition(".")[2] for name in ran.err.split()}
    assert names == {"actions", "checks", "demand", "places", "plans", "points", "probing"}
