from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kitbag_bundles import volumesums
from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import DigestMismatch, FileSystemError, IntegrityError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer import safefiles
from kitbag_packer.volumes import outputs
from kitbag_packer.volumes.outputs import open_output
from kitbag_packer.writing import write_bundle
from support.bundles import HEADER
from support.cli import BOTH_SIDES, environment
from support.faults import killed_at, mutating_calls
from support.snapshots import snapshot
from support.volumes import BASE, noisy_members, noisy_volumes, parts_of, sums_of

SILENT = SilentReporter()


@pytest.mark.parametrize("size", [4096, 8192, 65536, 1 << 20])
def test_the_parts_are_the_bundle(tmp_path: Path, size: int) -> None:
    whole = write_bundle(tmp_path / "whole", noisy_members(), header=HEADER, reporter=SILENT)
    written = write_bundle(
        tmp_path / BASE, noisy_members(), header=HEADER, volume_size=size, reporter=SILENT
    )
    parts = parts_of(tmp_path)
    data = b"".join(path.read_bytes() for path in parts)
    assert data == Path(whole.path).read_bytes()
    assert (written.sha256, written.size) == (whole.sha256, whole.size)
    assert written.volumes == tuple(map(str, parts))
    assert {path.stat().st_size for path in parts[:-1]} <= {size}
    assert 0 < parts[-1].stat().st_size <= size
    sums = volumesums.parse(sums_of(tmp_path).read_bytes(), "x")
    assert (sums.size, sums.sha256) == (whole.size, whole.sha256)
    assert len(list(tmp_path.iterdir())) == len(parts) + 2


def test_an_older_set_is_replaced_with_all_its_parts(tmp_path: Path) -> None:
    noisy_volumes(tmp_path, 1, archive=60_000)
    before = len(parts_of(tmp_path))
    new = noisy_volumes(tmp_path, 2)
    assert len(parts_of(tmp_path)) < before
    with Bundle.open(tmp_path) as bundle:
        assert bundle.verify(SILENT).size == len(new)


def test_parts_that_no_sums_speak_of_stay(tmp_path: Path) -> None:
    noisy_volumes(tmp_path, 1)
    foreign = tmp_path / f"{BASE}.040"
    foreign.write_bytes(b"somebody's")
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=rf"in the way: .*{BASE}\.040; remove them"):
        noisy_volumes(tmp_path, 2)
    assert snapshot(tmp_path) == before


def test_what_fails_leaves_the_older_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy_volumes(tmp_path, 1)
    before = snapshot(tmp_path)

    def flush(output: object) -> None:
        """A byte changes right after the fsync, in the fourth part."""
        safefiles.flush(output)  # type: ignore[arg-type]
        path = Path(str(output.name))  # type: ignore[attr-defined]
        if ".004" in path.name:
            data = path.read_bytes()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    monkeypatch.setattr(outputs, "flush", flush)
    with pytest.raises(DigestMismatch, match="other bytes came back"):
        noisy_volumes(tmp_path, 2)
    assert snapshot(tmp_path) == before


def test_a_file_or_set_is_not_begun_where_it_has_no_room(tmp_path: Path) -> None:
    for volume_size in (0, 1 << 60):
        with pytest.raises(FileSystemError, match=r"it needs \d+ bytes and .* has \d+ left"):
            open_output(str(tmp_path / "x"), 1 << 60, volume_size)
    (tmp_path / "x.002").mkdir()
    with pytest.raises(UsageError, match=r"x\.002: something else is there"):
        open_output(str(tmp_path / "x"), 10_000, 8192)
    with pytest.raises(UsageError, match="control characters"):
        open_output(str(tmp_path / "a\nb"), 10_000, 8192)
    with pytest.raises(UsageError, match="hold the 4096 bytes that start the bundle"):
        write_bundle(
            tmp_path / "y", noisy_members(), header=HEADER, volume_size=2048, reporter=SILENT
        )
    assert [path.name for path in tmp_path.iterdir()] == ["x.002"]


def _problem(path: Path) -> str:
    """What is wrong with a bundle; empty if nothing is."""
    try:
        with Bundle.open(path) as bundle:
            bundle.verify(SILENT)
    except IntegrityError as error:
        return str(error)
    return ""


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    for number in (1, 2, 77):
        (tmp_path / f"{BASE}.{number:03}.partial").write_bytes(b"half")
    noisy_volumes(tmp_path, 1)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_never_leaves_a_mixture_that_looks_whole(tmp_path: Path) -> None:
    """Killed at each system call, over an older set of the same sizes: old, new, or not whole."""
    old, work = tmp_path / "old", tmp_path / "work"
    noisy_volumes(old, 1, size=65536, archive=90_000)
    source = write_bundle(tmp_path / "x", noisy_members(2, 60_000), reporter=SILENT)
    command = [
        *BOTH_SIDES,
        *("split", source.path, "-q", "--volume-size", "64KiB", "-o", str(work / BASE)),
    ]
    wholes = {b"".join(path.read_bytes() for path in parts_of(old)), Path(source.path).read_bytes()}
    shutil.copytree(old, work)
    calls = mutating_calls(command, tmp_path / "log", env=environment())
    assert len(parts_of(work)) < len(parts_of(old))
    assert len(calls) > 20
    seen = set()
    for call in calls:
        shutil.rmtree(work)
        shutil.copytree(old, work)
        subprocess.run(
            [*killed_at(call, tmp_path / "log"), *command],
            env=environment(),
            capture_output=True,
            check=False,
        )
        if problem := _problem(work / BASE):
            assert "missing" in problem, call
            seen.add(0)
        else:
            data = b"".join(path.read_bytes() for path in parts_of(work))
            assert data in wholes, call
            seen.add(len(data))
        # The next run clears up, whatever was left.
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
        assert done.returncode == 0, (call, done)
        assert sorted(os.listdir(work)) == sorted(
            [*(path.name for path in parts_of(work)), sums_of(work).name]
        )
    assert len(seen) == 3


def test_two_runs_at_once_do_no_harm_to_each_other(tmp_path: Path) -> None:
    target = str(tmp_path / "x")
    with open_output(target, 3) as first:
        first.write(b"one")
        with pytest.raises(UsageError, match=r"x\.partial is being written by another run"):
            open_output(target, 3)
        first.finish()
        with pytest.raises(UsageError, match="another run"):
            open_output(target, 3)
        first.commit("0" * 64)
    assert (tmp_path / "x").read_bytes() == b"one"
    with open_output(target, 5) as third:
        late = open_output(target, 4)
        third.write(b"three")
        with pytest.raises(UsageError, match="another run"), late:
            late.write(b"four")
        third.finish()
        third.commit("0" * 64)
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"three"
