from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles import zipformat
from kitbag_bundles.errors import BundleError, KitbagError, UnsupportedFormat
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.reporting import SilentReporter
from support.bundles import (
    HEADER,
    raw_bundle,
    reseal,
    seal,
    small_bundle,
    small_files,
    small_members,
    structure_offsets,
)
from support.require import require_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRESS = SilentReporter().progress("", 0)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "tools.kitbag"
    small_bundle(path)
    return path


def verified(path: Path) -> None:
    """Read every byte of a bundle."""
    with closing(ZipContainer(str(path))) as container:
        container.verify(PROGRESS)


def opened(path: Path, data: bytes) -> None:
    """Write ``data`` and read the structure of the result."""
    path.write_bytes(data)
    ZipContainer(str(path)).close()


@pytest.mark.parametrize("header", [b"", HEADER, HEADER * 3])
def test_members_are_where_the_container_says(tmp_path: Path, header: bytes) -> None:
    # A second first line is only a comment to the shell, and of no meaning here.
    path = tmp_path / "x.kitbag"
    written = small_bundle(path, header=header)
    data = path.read_bytes()
    container = ZipContainer(str(path))
    assert container.header_size == len(header)
    assert container.size == len(data) == written.size
    assert container.names() == tuple(member.name for member in small_members())
    for name, content in small_files().items():
        where, offset, size = container.location(name)
        assert (where, size) == (str(path), container.size_of(name))
        assert data[offset : offset + size] == content
        if name == "kitbag.pyz" or name.startswith("archives/"):
            assert offset % 4096 == 0
        with container.open(name) as stream:
            assert stream.read() == content
    with pytest.raises(BundleError, match="no member 'x'"):
        container.open("x")
    verified = container.verify(PROGRESS)
    container.close()
    assert verified.sha256 == hashlib.sha256(data).hexdigest() == written.sha256
    assert verified.members == {m.name: m.sha256 for m in small_members()}


@pytest.mark.parametrize(
    "command",
    [
        ["unzip", "-tqq"],
        ["zipinfo"],
        ["7z", "t"],
        ["bsdtar", "-tf"],
        ["busybox", "unzip", "-t"],
        [sys.executable, "-m", "zipfile", "-t"],
    ],
    ids=lambda command: os.path.basename(command[0]),
)
@pytest.mark.parametrize("header", [b"", HEADER], ids=["plain", "header"])
def test_other_tools_accept_it(tmp_path: Path, command: list[str], header: bytes) -> None:
    require_command(command[0])
    path = tmp_path / "x.kitbag"
    small_bundle(path, header=header)
    done = subprocess.run(
        [*command, str(path)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "warning" not in output.lower()


def test_zipfile_reads_the_same(sound: Path) -> None:
    with zipfile.ZipFile(sound) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == small_files()
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())
        assert archive.getinfo("install.sh").external_attr >> 16 == 0o100755
        assert archive.getinfo("manifest.toml").external_attr >> 16 == 0o100644


def test_a_file_that_was_cut_off_is_refused(sound: Path, tmp_path: Path) -> None:
    data = sound.read_bytes()
    near = {at + shift for at in structure_offsets(sound) for shift in range(-3, 4)}
    sampled = set(range(0, len(data), 97))
    for length in sorted(each for each in near | sampled if 0 <= each < len(data)):
        with pytest.raises(BundleError, match=r"is not a kitbag bundle|damaged"):
            opened(tmp_path / "cut", data[:length])


def test_a_file_that_lost_its_beginning_is_refused(sound: Path, tmp_path: Path) -> None:
    data = sound.read_bytes()
    for length in structure_offsets(sound)[1:]:
        with pytest.raises(BundleError):
            opened(tmp_path / "cut", data[length:])
        with pytest.raises(BundleError):
            opened(tmp_path / "cut", reseal(data)[length:])


@pytest.mark.parametrize("more", [b"\0", b"\n", b"x" * 101, b"PK\x05\x06" + bytes(18)])
def test_appended_bytes_are_refused(sound: Path, tmp_path: Path, more: bytes) -> None:
    with pytest.raises(BundleError):
        opened(tmp_path / "x", sound.read_bytes() + more)


@pytest.mark.parametrize("count", [1, 4095, 4096, 8192])
def test_bytes_in_front_are_refused(tmp_path: Path, count: int) -> None:
    path = tmp_path / "x"
    small_bundle(path, header=b"")
    with pytest.raises(BundleError):
        opened(path, reseal(b"\0" * count + path.read_bytes()))


def test_no_flipped_byte_goes_unnoticed(sound: Path, tmp_path: Path) -> None:
    """Every byte outside of runs of zeros, and some of those: opened and verified."""
    data = sound.read_bytes()
    edges = {at + shift for at in structure_offsets(sound) for shift in (-1, 0, 1)}
    dull = b"\0#"
    chosen = [at for at, byte in enumerate(data) if byte not in dull or at % 61 == 0 or at in edges]
    path = tmp_path / "flipped"
    path.write_bytes(data)
    for at in chosen:
        with open(path, "r+b", buffering=0) as stream:
            stream.seek(at)
            stream.write(bytes([data[at] ^ (1 << at % 8)]))
            with pytest.raises(KitbagError):
                verified(path)
            stream.seek(at)
            stream.write(data[at : at + 1])
    ZipContainer(str(path)).close()


def test_only_the_members_data_and_the_header_are_free(sound: Path, tmp_path: Path) -> None:
    """With the digest made right again, the structure still has one spelling only."""
    data = sound.read_bytes()
    container = ZipContainer(str(sound))
    container.close()
    free = [range(10, container.header_size)]
    for record in container.records:
        start = zipformat.data_offset(record)
        free.append(range(start, start + record.size))
    outside = [at for at in range(len(data) - 79) if not any(at in span for span in free)]
    assert len(outside) > 2000
    # CRCs are the one thing that the structure itself cannot judge.
    crcs: set[int] = set()
    for record in container.records:
        crcs.update(range(record.offset + 14, record.offset + 18))
    for at in outside:
        if data[at] or at % 37 == 0:
            changed = bytearray(data)
            changed[at] ^= 1 << at % 8
            with pytest.raises(KitbagError):
                opened(tmp_path / "x", reseal(bytes(changed)))


def test_a_wrong_crc_is_found_by_verify(tmp_path: Path) -> None:
    data = raw_bundle({"a": b"aaaa"})
    position = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    for at in (14, position + 16):
        changed[at] ^= 1
    path = tmp_path / "x"
    path.write_bytes(reseal(bytes(changed)))
    container = ZipContainer(str(path))
    with pytest.raises(BundleError, match="member a does not have its CRC"):
        container.verify(PROGRESS)
    container.close()


def test_verify_says_which_member_is_damaged(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(sound.read_bytes().replace(b"not an archive", b"not an ARCHIVE"))
    with pytest.raises(BundleError, match=r"member archives/cpython.* does not have its CRC"):
        verified(path)
    path.write_bytes(sound.read_bytes().replace(b"exit 0", b"exit 1"))
    with pytest.raises(BundleError, match="do not have the SHA-256 of its comment"):
        verified(path)


def test_an_empty_member_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(raw_bundle([("a", b""), ("b", b"x"), ("c", b"")]))
    container = ZipContainer(str(path))
    empty = hashlib.sha256(b"").hexdigest()
    members = container.verify(PROGRESS).members
    container.close()
    assert members == {"a": empty, "b": hashlib.sha256(b"x").hexdigest(), "c": empty}


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a"],
        ["a", "A"],
        ["../a"],
        ["/a"],
        ["a/../../b"],
        ["C:/a"],
        ["a\\b"],
        ["nul"],
        ["a/"],
        ["a", "a/b"],
        ["a\nb"],
        [""],
    ],
)
def test_forbidden_names_are_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(BundleError, match=r"member|members"):
        opened(tmp_path / "x", raw_bundle([(name, b"x") for name in names]))


@pytest.mark.parametrize(
    "header", [b"#!/bin/sh\n", HEADER + b"\n", b"#!/bin/bash\n".ljust(4096, b"#")]
)
def test_an_unfit_shell_header_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(BundleError, match="shell header"):
        opened(tmp_path / "x", raw_bundle({"a": b"x"}, header))


def _entries(write: Callable[[zipfile.ZipFile], None], **options: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:  # type: ignore[call-overload]
        write(archive)
        archive.comment = zipformat.COMMENT_START + b"0" * 64
    return reseal(buffer.getvalue())


def _plain(archive: zipfile.ZipFile) -> None:
    for name, data in small_files().items():
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o100755 if name == "install.sh" else 0o100644) << 16
        archive.writestr(info, data)


def _streamed(archive: zipfile.ZipFile) -> None:
    with archive.open("a", "w", force_zip64=True) as member:
        member.write(b"x")


def _compressed(archive: zipfile.ZipFile) -> None:
    archive.writestr(zipfile.ZipInfo("a"), b"x" * 100, zipfile.ZIP_DEFLATED)


def _folder(archive: zipfile.ZipFile) -> None:
    archive.writestr(zipfile.ZipInfo("a/"), b"")


def _unicode(archive: zipfile.ZipFile) -> None:
    archive.writestr(zipfile.ZipInfo("\u00e9"), b"")


def _dated(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("a", (2026, 1, 1, 0, 0, 0))
    info.external_attr = 0o100644 << 16
    archive.writestr(info, b"x")


def _commented(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = 0o100644 << 16
    info.comment = b"x"
    archive.writestr(info, b"x")


@pytest.mark.parametrize(
    "write", [_plain, _streamed, _compressed, _folder, _unicode, _dated, _commented]
)
def test_lookalikes_made_by_zipfile_are_refused(
    tmp_path: Path, write: Callable[[zipfile.ZipFile], None]
) -> None:
    with pytest.raises(BundleError):
        opened(tmp_path / "x", _entries(write))


def test_zipfile_can_spell_a_member_the_same_way(tmp_path: Path) -> None:
    """So the lookalikes are refused for what they are, and not for having been made by zipfile."""

    def write(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("a")
        info.external_attr = 0o100644 << 16
        archive.writestr(info, b"x")

    opened(tmp_path / "x", _entries(write))


@pytest.mark.parametrize("data", [b"", b"\0" * 500, b"PK\x03\x04" * 100, HEADER, b"x" * 101])
def test_other_files_are_no_bundles(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match="is not a kitbag bundle"):
        opened(tmp_path / "x", data)


def test_a_newer_container_is_told_from_a_broken_one(tmp_path: Path) -> None:
    data = raw_bundle({"a": b"x"}).replace(b"kitbag1 ", b"kitbag2 ")
    with pytest.raises(UnsupportedFormat, match="newer kitbag"):
        opened(tmp_path / "x", data)


def test_a_hidden_member_between_two_members_is_refused(tmp_path: Path) -> None:
    hidden = zipformat.local_header(zipformat.Record("h", 1, 0, 0, False, False)) + b"h"
    data = raw_bundle({"a": b"x", "b": b"y"})
    directory = data.index(b"PK\x01\x02")
    size, offset = struct.unpack_from("<2L", data, len(data) - 79 - 10)
    assert offset == directory
    moved = bytearray(data[:directory] + hidden + data[directory:])
    struct.pack_into("<2L", moved, len(moved) - 79 - 10, size, offset + len(hidden))
    with pytest.raises(BundleError, match="something lies between"):
        opened(tmp_path / "x", reseal(bytes(moved)))


@pytest.mark.parametrize("count", [0, 2, 0xFFFF])
def test_a_wrong_count_of_members_is_refused(tmp_path: Path, count: int) -> None:
    changed = bytearray(raw_bundle({"a": b"x"}))
    struct.pack_into("<2H", changed, len(changed) - 79 - 14, count, count)
    with pytest.raises(BundleError):
        opened(tmp_path / "x", reseal(bytes(changed)))


def _zip64(data: bytes) -> bytes:
    """The same bundle with ZIP64 end records that nothing needs."""
    count, _, size, offset = struct.unpack_from("<2H2L", data, len(data) - 79 - 14)
    before = data[: len(data) - 79 - 22]
    record = zipformat.ZIP64_END.pack(
        b"PK\x06\x06", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, offset
    )
    locator = zipformat.ZIP64_LOCATOR.pack(b"PK\x06\x07", 0, len(before), 1)
    end = zipformat.END.pack(b"PK\x05\x06", 0, 0, count, count, size, 0xFFFFFFFF, 79)
    return seal(before + record + locator + end)


def test_zip64_records_that_nothing_needs_are_refused(tmp_path: Path) -> None:
    data = _zip64(raw_bundle({"a": b"x"}))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("a") == b"x"
    with pytest.raises(BundleError, match="end record"):
        opened(tmp_path / "x", data)


def test_nothing_is_left_open(sound: Path, tmp_path: Path) -> None:
    """Neither by success nor by failure; pytest turns a leaked file into an error."""
    ZipContainer(str(sound)).close()
    with pytest.raises(BundleError):
        opened(tmp_path / "x", b"no")
