from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import zipformat
from kitbag_bundles.damage import Damage, diagnose
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.reporting import SilentReporter
from support.bundles import HEADER, LINUX, raw_bundle, small_bundle, small_directory, small_files
from support.volumes import BASE, SIZE, noisy_volumes, parts_of

if TYPE_CHECKING:
    from pathlib import Path

SILENT = SilentReporter()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / BASE
    small_bundle(path)
    return path


@pytest.fixture(scope="module")
def records(sound: Path) -> dict[str, zipformat.Record]:
    container = ZipContainer(str(sound))
    container.close()
    return {record.name: record for record in container.records}


def flipped(sound: Path, folder: Path, *places: int) -> Path:
    """A copy with a bit changed at each place."""
    data = bytearray(sound.read_bytes())
    for at in places:
        data[at] ^= 0x20
    path = folder / "bad"
    path.write_bytes(data)
    return path


def kinds(found: list[Damage]) -> list[tuple[str, str]]:
    return [(each.what, each.name) for each in found]


def test_nothing_is_wrong_with_a_sound_one(sound: Path, tmp_path: Path) -> None:
    assert diagnose(sound, SILENT) == []
    small_directory(tmp_path / "x")
    assert diagnose(tmp_path / "x", SILENT) == []


def test_every_damaged_member_is_told(
    sound: Path, tmp_path: Path, records: dict[str, zipformat.Record]
) -> None:
    for name, record in records.items():
        start = zipformat.data_offset(record)
        (damage,) = diagnose(flipped(sound, tmp_path, start + record.size // 2), SILENT)
        assert damage[:4] == ("member", name, start, record.size)
    chosen = [records[name] for name in ("kitbag.pyz", "licenses/python.txt")]
    places = [zipformat.data_offset(record) for record in chosen]
    found = diagnose(flipped(sound, tmp_path, *places), SILENT)
    assert kinds(found) == [("member", record.name) for record in chosen]


def test_every_damaged_local_header_is_told(
    sound: Path, tmp_path: Path, records: dict[str, zipformat.Record]
) -> None:
    for name, record in records.items():
        size = zipformat.data_offset(record) - record.offset
        for at in (0, 6, 15, 20, 31, size - 1):
            (damage,) = diagnose(flipped(sound, tmp_path, record.offset + at), SILENT)
            assert damage[:4] == ("local-header", name, record.offset, size), at


def test_every_damaged_byte_of_the_directory_and_the_end_is_told(
    sound: Path, tmp_path: Path, records: dict[str, zipformat.Record]
) -> None:
    """All members are found sound without them."""
    data = sound.read_bytes()
    start = data.index(zipformat.CENTRAL_SIGNATURE)
    end = len(data) - zipformat.COMMENT_SIZE - zipformat.END.size
    for at in range(start, len(data), 7):
        found = diagnose(flipped(sound, tmp_path, at), SILENT)
        what = "directory" if at < end else "end"
        mine = [each for each in found if each.offset <= at < each.offset + each.size]
        assert [each.what for each in mine] == [what], at
        assert not any(each.what in ("member", "local-header") for each in found), at


def test_the_shell_header_is_what_is_left(sound: Path, tmp_path: Path) -> None:
    found = diagnose(flipped(sound, tmp_path, 2000), SILENT)
    assert kinds(found) == [("shell-header", ""), ("end", "")]
    assert found[0][2:4] == (0, len(HEADER))


def test_a_bundle_that_was_cut_off(
    sound: Path, tmp_path: Path, records: dict[str, zipformat.Record]
) -> None:
    """The archives that are not there any more are named, from the manifest."""
    archives = [record for name, record in records.items() if name.startswith("archives/")]
    start = zipformat.data_offset(archives[0])
    path = tmp_path / "cut"
    path.write_bytes(sound.read_bytes()[: start + 5])
    found = diagnose(path, SILENT)
    (cut,) = [each for each in found if each.name == archives[0].name]
    assert (cut.offset, cut.size) == (start, 5)
    assert (
        cut.problem
        == f"cut off: {archives[0].size - 5} of its {archives[0].size} bytes are missing"
    )
    (lost,) = [each for each in found if each.name == archives[1].name]
    assert lost.problem == "missing: the bundle ends before it"
    assert len(found) == 2


def test_both_ends_of_the_structure_are_damaged(
    sound: Path, tmp_path: Path, records: dict[str, zipformat.Record]
) -> None:
    """What can't be told apart any more is one range."""
    third = list(records.values())[3]
    size = sound.stat().st_size
    found = diagnose(flipped(sound, tmp_path, third.offset, size - 90), SILENT)
    assert kinds(found)[0] == ("rest", "")
    assert found[0][2:4] == (third.offset, size - third.offset)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(0, 10**6))
def test_any_damage_is_told_and_none_is_too_much(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, places: list[int], cut: int
) -> None:
    size = sound.stat().st_size
    path = flipped(sound, tmp_path_factory.mktemp("bad"), *{at % size for at in places})
    if cut % 3 == 0:
        os.truncate(path, cut % size)
    for each in diagnose(path, SILENT):
        assert 0 <= each.offset <= each.offset + each.size <= size
        assert each.problem
        assert "\n" not in each.problem


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" * 2000, b"#!/bin/sh\n" + b"x" * 9000])
def test_other_files_have_no_damage_to_tell(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert diagnose(tmp_path / "x", SILENT) == []


def test_names_that_try_to_trick_are_told_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(raw_bundle([("../a\x1b[2J", b"x"), ("../a\x1b[2J", b"y")])[:-1])
    assert isinstance(diagnose(tmp_path / "x", SILENT), list)


def test_a_folder(sound: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(sound) as archive:
        archive.extractall(tmp_path / "x")
    (tmp_path / "x" / "kitbag.pyz").write_bytes(b"other")
    archive_name = next(name for name in small_files() if LINUX.partition("-linux")[0] in name)
    (tmp_path / "x" / archive_name).unlink()
    found = {each.name: each for each in diagnose(tmp_path / "x", SILENT)}
    assert set(found) == {"kitbag.pyz", archive_name}
    assert (found["kitbag.pyz"].size, found[archive_name].problem) == (5, "missing")
    (tmp_path / "x" / "SHA256SUMS").write_bytes(b"no")
    assert kinds(diagnose(tmp_path / "x", SILENT)) == [("member", "SHA256SUMS")]


def test_volumes_are_told_too(tmp_path: Path) -> None:
    noisy_volumes(tmp_path)
    parts = parts_of(tmp_path)
    data = bytearray(parts[-3].read_bytes())
    data[10] ^= 1
    parts[-3].write_bytes(data)
    member, volume = diagnose(tmp_path, SILENT)
    assert member.what == "member"
    assert sum(piece.size for piece in member.pieces) == member.size
    assert str(parts[-3]) in [piece.path for piece in member.pieces]
    assert (volume.what, volume.name) == ("volume", parts[-3].name)
    assert (volume.offset, volume.size) == (SIZE * (len(parts) - 3), SIZE)
