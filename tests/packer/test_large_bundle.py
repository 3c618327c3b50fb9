"""More than 4 GiB: the only place where ZIP64 records are in a bundle. Needs 14 GB in /tmp."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from kitbag_bundles import zipformat
from kitbag_bundles.bundle import Bundle
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.sources import MemberSource
from kitbag_packer.volumes.copying import split
from kitbag_packer.volumes.sizes import parse_volume_size
from kitbag_packer.writing import WrittenBundle, write_bundle
from support.bundles import HEADER, LINUX, OLDER, PackedBuild, bundle_members, packed_build
from support.require import require, require_command

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SIZE = 4 * 1024**3 + 100 * 1024**2 + 17
SILENT = SilentReporter()


def _facts(path: Path) -> tuple[int, str]:
    crc, digest = 0, hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            crc = zlib.crc32(chunk, crc)
            digest.update(chunk)
    return crc, digest.hexdigest()


def _large(folder: Path) -> PackedBuild:
    """A build whose archive is one large hole with a few bytes at its end."""
    path = folder / "hole"
    with open(path, "wb") as stream:
        stream.truncate(SIZE - 4)
        stream.seek(0, os.SEEK_END)
        stream.write(b"end.")
    crc, sha256 = _facts(path)

    def opener() -> BinaryIO:
        return open(path, "rb", buffering=0)

    small = packed_build(OLDER)
    source = MemberSource(small.source.name, SIZE, crc, sha256, str(path), opener)
    payload = replace(small.build.payload, size=SIZE, sha256=sha256)
    return PackedBuild(replace(small.build, payload=payload), small.contents, source)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WrittenBundle]:
    folder = tmp_path_factory.mktemp("large")
    require(shutil.disk_usage(folder).free > 3 * SIZE, "14 GB of free space")
    members = bundle_members([_large(folder), packed_build(LINUX)])
    # The small archive and what follows begin beyond 4 GiB, so their offsets need ZIP64 too.
    yield write_bundle(folder / "large.kitbag", members, header=HEADER, reporter=SILENT)
    shutil.rmtree(folder)


def test_our_reader_accepts_it(large: WrittenBundle) -> None:
    with Bundle.open(large.path) as bundle:
        report = bundle.verify(SILENT)
        assert report.sha256 == large.sha256
        beyond = bundle.manifest.builds[1]
        location = bundle.payload_location(beyond)
        assert location.offset > 2**32
        assert location.offset % 4096 == 0
        with bundle.open_payload(beyond) as stream:
            assert stream.read() == b"not an archive at all"
        with bundle.open_payload(bundle.manifest.builds[0]) as stream:
            stream.seek(-4, os.SEEK_END)
            assert stream.read() == b"end."


def test_zip64_is_there_only_where_a_value_does_not_fit(large: WrittenBundle) -> None:
    with zipfile.ZipFile(large.path) as archive:
        for info in archive.infolist():
            needed = info.file_size >= 2**32 - 1 or info.header_offset >= 2**32 - 1
            assert info.extract_version == (45 if needed else 20), info.filename
            assert bool(info.extra) == needed, info.filename
    with open(large.path, "rb") as stream:
        stream.seek(-(101 + 76), os.SEEK_END)
        assert stream.read(4) == zipformat.ZIP64_END_SIGNATURE


@pytest.mark.parametrize(
    "command",
    [["unzip", "-tqq"], ["7z", "t"], ["bsdtar", "-tf"], [sys.executable, "-m", "zipfile", "-t"]],
    ids=lambda command: os.path.basename(command[0]),
)
def test_other_tools_accept_it(large: WrittenBundle, command: list[str]) -> None:
    require_command(command[0])
    done = subprocess.run(
        [*command, large.path], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_volumes_for_fat32_are_read_across(large: WrittenBundle) -> None:
    folder = Path(large.path).parent / "volumes"
    folder.mkdir()
    copied = split(Path(large.path), folder / "x", parse_volume_size("4GiB-1"), SILENT)
    try:
        assert [os.path.getsize(path) for path in copied.volumes] == [
            2**32 - 4096,
            large.size - 2**32 + 4096,
        ]
        assert copied.sha256 == large.sha256
        with Bundle.open(folder) as bundle:
            assert bundle.payload_location(bundle.manifest.builds[1]).offset > 2**32
            with bundle.open_payload(bundle.manifest.builds[1]) as stream:
                assert stream.read() == b"not an archive at all"
            with bundle.open_payload(bundle.manifest.builds[0]) as stream:
                stream.seek(2**32 - 50_000)
                assert stream.read(100_000) == bytes(100_000)
    finally:
        shutil.rmtree(folder)


def test_dd_finds_the_archive_beyond_four_gib(large: WrittenBundle) -> None:
    """What the shell header does: no arithmetic, blocks only."""
    with Bundle.open(large.path) as bundle:
        location = bundle.payload_location(bundle.manifest.builds[1])
    for dd in (["dd"], [require_command("busybox"), "dd"]):
        done = subprocess.run(
            [*dd, f"if={large.path}", "bs=4096", f"skip={location.offset // 4096}", "count=1"],
            capture_output=True,
            check=True,
        )
        assert done.stdout[: location.size] == b"not an archive at all"
