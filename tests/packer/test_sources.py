from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import DigestMismatch, FileSystemError
from kitbag_packer.sources import bytes_member, file_member

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"abc" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def test_facts_of_bytes_and_files(file: Path) -> None:
    for source in (bytes_member("m", DATA), file_member("m", file)):
        assert (source.name, source.size) == ("m", 3000)
        assert (source.crc32, source.sha256) == (zlib.crc32(DATA), SHA256)
        for _ in range(2):
            with source.open() as stream:
                assert stream.read() == DATA


def test_known_facts_are_not_looked_up_again(file: Path) -> None:
    source = file_member("m", file, sha256="0" * 64, crc32=7)
    assert (source.size, source.crc32, source.sha256) == (3000, 7, "0" * 64)


def test_a_file_with_another_digest_is_refused(file: Path) -> None:
    assert file_member("m", file, sha256=SHA256).crc32 == zlib.crc32(DATA)
    with pytest.raises(DigestMismatch, match=f"{file} has the SHA-256 {SHA256} and not 00"):
        file_member("m", file, sha256="0" * 64)


def test_a_file_that_is_not_there(tmp_path: Path, file: Path) -> None:
    with pytest.raises(FileSystemError, match=r"cannot read .*missing: No such file"):
        file_member("m", tmp_path / "missing")
    source = file_member("m", file)
    file.unlink()
    with pytest.raises(FileSystemError, match=r"cannot read .*file: No such file"):
        source.open()
