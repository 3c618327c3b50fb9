from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitbag_bundles.errors import BundleError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.volumes.copying import join, split
from kitbag_packer.writing import write_bundle
from support.bundles import HEADER, small_directory
from support.snapshots import snapshot
from support.volumes import BASE, noisy_members, parts_of

SILENT = SilentReporter()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / BASE
    write_bundle(path, noisy_members(archive=50_000), header=HEADER, reporter=SILENT)
    return path


@settings(max_examples=25)
@given(blocks=st.integers(1, 60), again=st.integers(1, 60))
def test_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, whole: Path, blocks: int, again: int
) -> None:
    folder = tmp_path_factory.mktemp("volumes")
    first = split(whole, folder / BASE, blocks * 4096, SILENT)
    assert len(first.volumes) == len(parts_of(folder)) == -(-first.size // (blocks * 4096))
    other = split(Path(first.volumes[-1]), folder / "other", again * 4096, SILENT)
    joined = join(Path(other.volumes[0]), folder / "joined", SILENT)
    assert joined.sha256 == other.sha256 == first.sha256
    assert (folder / "joined").read_bytes() == whole.read_bytes()


def test_thirty_volumes_and_more(tmp_path: Path, whole: Path) -> None:
    assert len(split(whole, tmp_path / BASE, 4096, SILENT).volumes) > 30
    join(tmp_path, tmp_path / "joined", SILENT)
    assert (tmp_path / "joined").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("at", [20, -100, -1, 40_000])
def test_a_damaged_bundle_is_not_copied(tmp_path: Path, whole: Path, at: int) -> None:
    data = bytearray(whole.read_bytes())
    data[at] ^= 1
    bad = tmp_path / "bad"
    bad.write_bytes(data)
    before = snapshot(tmp_path)
    with pytest.raises(BundleError, match=r"damaged|its end is missing or was changed"):
        split(bad, tmp_path / "x", 8192, SILENT)
    assert snapshot(tmp_path) == before


def test_a_damaged_part_is_named_and_nothing_joined(tmp_path: Path, whole: Path) -> None:
    volumes = split(whole, tmp_path / BASE, 8192, SILENT).volumes
    middle = Path(volumes[len(volumes) // 2])
    data = bytearray(middle.read_bytes())
    data[100] ^= 1
    middle.write_bytes(data)
    before = snapshot(tmp_path)
    with pytest.raises(BundleError, match=rf"{middle.name} is damaged or of another set"):
        join(tmp_path / BASE, tmp_path / "joined", SILENT)
    assert snapshot(tmp_path) == before


def test_what_is_read_is_not_written_over(tmp_path: Path, whole: Path) -> None:
    first = split(whole, tmp_path / BASE, 8192, SILENT).volumes[0]
    with pytest.raises(UsageError, match="is what is to be read"):
        split(Path(first), tmp_path / BASE, 16384, SILENT)
    with pytest.raises(UsageError, match="is what is to be read"):
        join(Path(first), Path(first), SILENT)


def test_a_folder_has_no_volumes(tmp_path: Path) -> None:
    small_directory(tmp_path / "x")
    os.mkfifo(tmp_path / "fifo")
    for name, problem in (("x", "is a folder"), ("fifo", "is no file"), ("none", "no bundle at")):
        with pytest.raises(UsageError, match=problem):
            split(tmp_path / name, tmp_path / BASE, 8192, SILENT)
