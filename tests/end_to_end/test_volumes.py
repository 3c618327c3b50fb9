"""The journey on small media: packed into volumes, carried on FAT, installed without joining."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import crafting
from support.bundled import tiny_bundle
from support.cli import BOTH_SIDES, assert_done, assert_refused, call, finish, run, start
from support.installed import bare_environment
from support.require import require, require_command
from support.tiny import make_tiny_archive
from support.volumes import BASE, noisy_members, parts_of, sums_of

KEY = crafting.host_key()


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the volumes of a bundle of two builds."""
    folder = tmp_path_factory.mktemp("stick")
    whole = tiny_bundle(folder.parent / f"{folder.name}.whole", "3.12.9", "3.13.5")
    assert_done(call("split", whole, "--volume-size", "64KiB", "-o", folder / BASE))
    assert len(parts_of(folder)) > 5
    return folder


def test_packing_straight_into_volumes_gives_the_same_bytes(tmp_path: Path) -> None:
    archive = make_tiny_archive(tmp_path / "archives")
    words = ("pack", "--from", archive, "--key", KEY)
    (tmp_path / "stick").mkdir()
    done = call(*words, "-o", tmp_path / "whole", "--json")
    assert_done(done)
    said = call(*words, "-o", tmp_path / "stick" / BASE, "--volume-size", "64KiB", "--json")
    assert_done(said)
    parts = parts_of(tmp_path / "stick")
    assert b"".join(path.read_bytes() for path in parts) == (tmp_path / "whole").read_bytes()
    found = json.loads(said.out)
    assert found["sha256"] == json.loads(done.out)["sha256"]
    assert found["volumes"] == [path.name for path in parts]
    assert sorted(os.listdir(tmp_path / "stick")) == [*found["volumes"], f"{BASE}.sha256"]
    said = call(*words, "-o", tmp_path / "stick" / BASE, "--volume-size", "64KiB")
    assert f"into {parts[0]} to {parts[-1].suffix[1:]} (" in said.out
    for more in (("--format", "dir"), ("-o", tmp_path / "x.001")):
        refused = call(*words, "-o", tmp_path / "x", "--volume-size", "64KiB", *more)
        assert_refused(refused, 2)


@pytest.mark.parametrize("name", [f"{BASE}.001", f"{BASE}.003", BASE, f"{BASE}.sha256", ""])
def test_every_verb_takes_any_name(stick: Path, tmp_path: Path, name: str) -> None:
    assert KEY in call("show", stick / name).out
    assert ": sound; " in call("verify", stick / name).out
    words = ("install", stick / name, "--root", tmp_path / "root", "--no-bin", "--jobs", "2")
    assert_done(run(*words))
    assert_done(call("verify", "--root", tmp_path / "root"))
    assert not list(Path(stick).glob("*.partial"))


def test_the_pyz_of_a_root_reads_volumes(stick: Path, tmp_path: Path) -> None:
    assert_done(run("install", stick, "3.13", "--root", tmp_path / "root", "--no-bin"))
    pyz = tmp_path / "root" / ".kitbag" / "kitbag.pyz"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", pyz, "show", stick / f"{BASE}.001"],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert KEY in done.stdout


def test_install_names_the_bad_volume(stick: Path, tmp_path: Path) -> None:
    """In an archive that is used, or in what is read before; by forked processes too."""
    refusals = 0
    for part in parts_of(stick):
        copy = Path(shutil.copytree(stick, tmp_path / part.suffix[1:]))
        data = bytearray(part.read_bytes())
        data[100:110] = bytes(each ^ 1 for each in data[100:110])
        (copy / part.name).write_bytes(data)
        words = ("install", copy, "--root", tmp_path / "root", "--no-bin", "--jobs", "2")
        done = run(*words)
        if done.status:
            assert_refused(done, 3, f"{part.name} is damaged or of another set")
            refusals += 1
        refused = call("verify", copy)
        assert_refused(refused, 3, f"{part.name} is damaged or of another set")
        assert f"  volume {part.name}, bytes " in refused.out
    assert refusals >= len(parts_of(stick)) - 2


def test_verify_tells_all_damage(stick: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(stick, tmp_path / "copy"))
    parts = parts_of(copy)
    for part in (parts[1], parts[-1]):
        data = bytearray(part.read_bytes())
        data[len(data) // 3] ^= 1
        part.write_bytes(data)
    report = tmp_path / "report.json"
    done = call("verify", copy, "--json", "--report", report)
    assert_refused(done, 3)
    found = json.loads(done.out)
    assert json.loads(report.read_text()) == found
    assert found["sound"] is False
    assert found["error"]["code"] in ("bundle", "digest")
    volumes = [each for each in found["damage"] if each["what"] == "volume"]
    assert [each["name"] for each in volumes] == [parts[1].name, parts[-1].name]
    others = [each for each in found["damage"] if each["what"] != "volume"]
    assert {piece["name"] for each in others for piece in each["parts"]} >= {
        parts[1].name,
        parts[-1].name,
    }
    for each in others:
        assert sum(piece["size"] for piece in each["parts"]) == each["size"]


def test_volumes_travel_on_fat(stick: Path, tmp_path: Path) -> None:
    """Through a FAT32 image by mtools, which needs no mount: names and bytes come back."""
    image = tmp_path / "fat.img"
    with open(image, "wb") as stream:
        stream.truncate(64 << 20)
    tools = {name: require_command(name) for name in ("mkfs.vfat", "mcopy")}
    subprocess.run([tools["mkfs.vfat"], "-F", "32", image], check=True, capture_output=True)
    sources = [*parts_of(stick), sums_of(stick)]
    subprocess.run([tools["mcopy"], "-i", image, *sources, "::"], check=True, capture_output=True)
    (tmp_path / "back").mkdir()
    subprocess.run(
        [tools["mcopy"], "-n", "-i", image, "::*", tmp_path / "back"],
        check=True,
        capture_output=True,
    )
    assert_done(call("verify", tmp_path / "back"))
    words = ("install", tmp_path / "back", "--root", tmp_path / "root", "--no-bin")
    assert_done(run(*words))
    check = [require_command("sha256sum"), "-c", f"{BASE}.sha256"]
    subprocess.run(check, cwd=tmp_path / "back", check=True, capture_output=True)


def test_cat_of_the_parts_is_the_bundle(stick: Path, tmp_path: Path) -> None:
    with open(tmp_path / "joined", "wb") as stream:
        subprocess.run(["cat", *parts_of(stick)], stdout=stream, check=True)
    assert_done(call("join", stick, tmp_path / "ours"))
    assert (tmp_path / "joined").read_bytes() == (tmp_path / "ours").read_bytes()
    assert_done(call("verify", tmp_path / "joined"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stop_while_volumes_are_written(tmp_path: Path, number: signal.Signals) -> None:
    from kitbag_bundles.reporting import SilentReporter
    from kitbag_packer.writing import write_bundle

    write_bundle(tmp_path / "whole", noisy_members(1, 20 << 20), reporter=SilentReporter())
    (tmp_path / "stick").mkdir()
    words = ("split", tmp_path / "whole", "--volume-size", "64KiB", "-o", tmp_path / "stick" / BASE)
    running = start(*words, command=BOTH_SIDES)
    end = time.monotonic() + 30
    while not list((tmp_path / "stick").glob("*.005.partial")) and time.monotonic() < end:
        require(running.poll() is None, "was too quick to be stopped")
    running.send_signal(number)
    done = finish(running)
    left = os.listdir(tmp_path / "stick")
    if number == signal.SIGKILL:
        assert left
        assert all(name.endswith(".partial") for name in left)
        assert_refused(call("show", tmp_path / "stick" / BASE), 2, "there is no bundle")
        assert_done(call(*words))
        assert not list((tmp_path / "stick").glob("*.partial"))
        assert_done(call("verify", tmp_path / "stick"))
    else:
        assert done.status == 130
        assert left == []
