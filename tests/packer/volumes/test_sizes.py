from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import FileSystemError, UsageError
from kitbag_packer.volumes.sizes import (
    check_file_size,
    count_volumes,
    file_system,
    parse_volume_size,
)

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /media rw - tmpfs tmpfs rw
31 30 8:1 / /media/my\040stick rw,nosuid shared:3 master:1 - vfat /dev/sda1 rw,utf8
32 30 8:2 / /media/large rw - exfat /dev/sdb1 rw
33 30 8:3 / /media/twice rw - vfat /dev/sdc1 rw
34 33 8:4 / /media/twice rw - ext4 /dev/sdd1 rw
odd line
"""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB-1", 4 * 1024**3 - 4096),
        ("2GiB", 2 * 1024**3),
        ("4G", 4_000_000_000 // 4096 * 4096),
        ("700MB", 700_000_000 // 4096 * 4096),
        ("4.7 GB", 4_700_000_000 // 4096 * 4096),
        ("1.44mib", 1_509_949 // 4096 * 4096),
        ("65536", 65536),
        ("64k", None),
        ("64KiB", 65536),
        ("1TiB - 5000", 1024**4 - 8192),
        ("0", None),
        ("1GiB-1GiB", None),
        ("1GiB-2000000000", None),
        ("64i", None),
        ("-5", None),
        ("five", None),
        ("", None),
    ],
)
def test_what_people_write(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(UsageError, match="volume"):
            parse_volume_size(text)
    else:
        assert parse_volume_size(text) == size


@given(st.integers(1, 10**13), st.integers(16, 2**21))
def test_volumes_are_as_many_as_it_takes(size: int, blocks: int) -> None:
    volume = blocks * 4096
    try:
        count = count_volumes(size, volume)
    except UsageError as error:
        assert size > 999 * volume
        least = int(str(error).split()[-2])
        assert count_volumes(size, least) == count_volumes(size, least + 4096) == 999 or (
            count_volumes(size, least) <= 999 < -(-size // (least - 4096))
        )
    else:
        assert (count - 1) * volume < size <= count * volume


def test_the_file_system_of_a_folder(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    for folder, kind in {
        "/": "ext4",
        "/media": "tmpfs",
        "/media/my stick": "vfat",
        "/media/my stick/kits": "vfat",
        "/media/my stick 2": "tmpfs",
        "/media/twice/x": "ext4",
        "/mediateca": "ext4",
    }.items():
        assert file_system(folder, str(mounts)) == kind, folder
    assert file_system("/", str(tmp_path / "none")) == ""
    assert file_system(str(tmp_path))


def test_fat_holds_no_large_file(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    target = "/media/my stick/tools.kitbag"
    with pytest.raises(FileSystemError) as caught:
        check_file_size(target, 2**32, "write volumes with --volume-size 4GiB-1", str(mounts))
    assert str(caught.value) == (
        f"cannot write {target}: it would have 4294967296 bytes, and the FAT file system there "
        "holds files of less than 4 GiB; write volumes with --volume-size 4GiB-1"
    )
    check_file_size(target, 2**32 - 1, "", str(mounts))
    check_file_size("/media/large/tools.kitbag", 2**40, "", str(mounts))
