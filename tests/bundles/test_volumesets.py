from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.container import open_container
from kitbag_bundles.errors import BundleError, IntegrityError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.volumes import Volumes
from kitbag_bundles.volumesets import find, promised_size
from support.bundles import small_bundle, small_directory
from support.volumes import BASE, SIZE, noisy_volumes, parts_of, sums_of

SILENT = SilentReporter()
WITH_SUMS = pytest.mark.parametrize("sums", [True, False], ids=["sums", "bare"])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two sets that differ in every part and in no size."""
    folders = [tmp_path_factory.mktemp("set") for _ in range(2)]
    wholes = [noisy_volumes(folder, seed) for seed, folder in enumerate(folders)]
    assert len(wholes[0]) == len(wholes[1])
    return folders[0], folders[1]


@pytest.fixture
def folder(pristine: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the first set."""
    return Path(shutil.copytree(pristine[0], tmp_path / "stick"))


def checked(path: Path) -> None:
    """Open and read every byte."""
    with Bundle.open(path) as bundle:
        bundle.verify(SILENT)


def complaint(path: Path) -> str:
    """What is said of a set that is not whole: one line."""
    with pytest.raises(IntegrityError) as caught:
        checked(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def names_in(message: str, folder: Path) -> set[str]:
    """The numbers of the parts that a message names, apart from where the bundle is."""
    said = message.replace(f"{folder / BASE}.001", "")
    return {f"{number:03}" for number in range(1, 40) if f"{BASE}.{number:03}" in said}


@pytest.mark.parametrize("name", [f"{BASE}.001", f"{BASE}.004", BASE, f"{BASE}.sha256", "."])
@WITH_SUMS
def test_any_name_means_the_set(folder: Path, name: str, sums: bool) -> None:
    if not sums:
        sums_of(folder).unlink()
        if name.endswith(".sha256"):
            return
    whole = b"".join(path.read_bytes() for path in parts_of(folder))
    with closing(open_container(folder / name)) as container:
        assert container.path == str(folder / f"{BASE}.001")
        assert container.size == len(whole)
        for member in container.names():
            _, offset, size = container.location(member)
            with container.open(member) as stream:
                assert stream.read() == whole[offset : offset + size]
    checked(folder / name)


def test_a_renamed_set_is_the_same_set(folder: Path) -> None:
    for path in folder.iterdir():
        path.rename(folder / path.name.replace(BASE, "kit"))
    checked(folder / "kit.001")


def test_other_things_are_what_they_were(tmp_path: Path) -> None:
    """A file or a bundle's folder is never taken for volumes, whatever lies beside it."""
    small_bundle(tmp_path / "x.kitbag")
    small_directory(tmp_path / "x")
    (tmp_path / "x.kitbag.002").write_bytes(b"x")
    (tmp_path / "x.kitbag.sha256").write_bytes(b"0" * 64 + b"  x.kitbag\n")
    small_bundle(tmp_path / "y.123")
    for name in ("x.kitbag", "x", "y.123", "none", "none.007", "none.sha256"):
        assert find(str(tmp_path / name)) is None, name
    checked(tmp_path / "y.123")


def test_a_folder_with_two_sets_does_not_choose(folder: Path) -> None:
    (folder / "other.kitbag.001").write_bytes(b"")
    with pytest.raises(UsageError, match=r"name one of other\.kitbag\.001, tools\.kitbag\.001"):
        open_container(folder)


@WITH_SUMS
def test_every_lost_part_is_named(folder: Path, sums: bool) -> None:
    if not sums:
        sums_of(folder).unlink()
    for part in parts_of(folder):
        data = part.read_bytes()
        part.unlink()
        for name in (f"{BASE}.001", f"{BASE}.002", BASE, "."):
            assert f"missing: {part.name}" in complaint(folder / name)
        part.write_bytes(data)


@WITH_SUMS
@pytest.mark.parametrize("left", [0, 5000, SIZE - 1])
def test_every_cut_part_is_named(folder: Path, sums: bool, left: int) -> None:
    if not sums:
        sums_of(folder).unlink()
    for part in parts_of(folder):
        data = part.read_bytes()
        if left < len(data):
            part.write_bytes(data[:left])
            assert names_in(complaint(folder), folder) == {part.suffix[1:]} or (
                # Cut to nothing it might as well be that the one after it is missing.
                not sums and part == parts_of(folder)[-1]
            )
            part.write_bytes(data)


@WITH_SUMS
def test_every_flipped_part_is_named(folder: Path, sums: bool) -> None:
    if not sums:
        sums_of(folder).unlink()
    parts = parts_of(folder)
    for part in parts:
        data = bytearray(part.read_bytes())
        data[len(data) // 2] ^= 1
        part.write_bytes(data)
        named = names_in(complaint(folder), folder)
        if sums:
            assert named == {part.suffix[1:]}
        else:
            # A member's digests can't tell which of its parts it is.
            assert part.suffix[1:] in named
            assert len(named) <= 5
        data[len(data) // 2] ^= 1
        part.write_bytes(data)
    checked(folder)


@WITH_SUMS
def test_every_part_of_another_bundle_is_named(
    folder: Path, pristine: tuple[Path, Path], sums: bool
) -> None:
    if not sums:
        sums_of(folder).unlink()
    for part, other in zip(parts_of(folder), parts_of(pristine[1]), strict=True):
        data = part.read_bytes()
        if data == other.read_bytes():
            continue  # all bundles have the same installer
        shutil.copy(other, part)
        named = names_in(complaint(folder), folder)
        if sums:
            assert named == {part.suffix[1:]}
        elif part != parts_of(folder)[-1]:
            assert part.suffix[1:] in named
        part.write_bytes(data)


def test_parts_that_changed_places_are_told(folder: Path) -> None:
    second, third = parts_of(folder)[1:3]
    data = second.read_bytes()
    shutil.copy(third, second)
    third.write_bytes(data)
    message = complaint(folder)
    assert names_in(message, folder) == {"002", "003"}
    assert f"{second.name} is another volume: it holds the bytes of {third.name}" in message


def test_a_part_of_another_set_beyond_the_end(folder: Path) -> None:
    extra = folder / f"{BASE}.{len(parts_of(folder)) + 1:03}"
    extra.write_bytes(b"x" * 100)
    assert extra.name in complaint(folder)
    sums_of(folder).unlink()
    assert extra.name in complaint(folder)


def test_sums_of_another_set_are_told_from_bad_parts(
    folder: Path, pristine: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copy(sums_of(pristine[1]), sums_of(folder))
    assert "the bundle is sound, but the .sha256 file beside it is of another" in complaint(folder)
    noisy_volumes(tmp_path / "larger", archive=60_000)
    shutil.copy(sums_of(tmp_path / "larger"), sums_of(folder))
    assert f"{BASE}.sha256 is of another set than the volumes" in complaint(folder)


def test_a_file_with_sums_that_others_wrote_is_ignored(folder: Path) -> None:
    sums_of(folder).write_text(f"{'0' * 64}  {BASE}.001\n")
    checked(folder)


def test_a_part_that_changes_while_it_is_read(folder: Path) -> None:
    with Bundle.open(folder) as bundle:
        os.utime(parts_of(folder)[3], ns=(0, 0))
        with pytest.raises(BundleError, match=rf"{BASE}\.004 changed while it was read"):
            bundle.verify(SILENT)


def test_a_part_that_is_no_file(folder: Path) -> None:
    second = parts_of(folder)[1]
    second.unlink()
    second.mkdir()
    assert f"{second.name} is no regular file" in complaint(folder / f"{BASE}.001")


def test_a_file_tells_how_large_it_should_be(tmp_path: Path) -> None:
    small_bundle(tmp_path / "x")
    size = (tmp_path / "x").stat().st_size
    assert promised_size(Volumes.of_file(str(tmp_path / "x"))) == size
    start = b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + (100).to_bytes(8, "little")
    (tmp_path / "y").write_bytes(start + (50).to_bytes(8, "little") + bytes(4))
    assert promised_size(Volumes.of_file(str(tmp_path / "y"))) == 182
    (tmp_path / "z").write_bytes(b"x" * 300)
    assert promised_size(Volumes.of_file(str(tmp_path / "z"))) is None
