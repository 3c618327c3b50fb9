"""``SHA256SUMS`` of a release, beside its archives or alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.catalogs.checksums import local_files, parse_sums, remote_files
from kitbag_packer.catalogs.naming import GITHUB
from kitbag_packer.errors import CatalogError
from support.catalogs import digest

if TYPE_CHECKING:
    from pathlib import Path

NAME = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only.tar.gz"
OLD = "cpython-3.10.0-aarch64-apple-darwin-pgo+lto-20211017T1616.tar.zst"
SUMS = {name: digest(name) for name in (NAME, OLD, "notes.txt", "pypy3.11-v7.3.20-linux64.tar.gz")}


def test_the_forms_of_a_line() -> None:
    data = f"{'AB' * 32} *one.tar.gz\r\n\n{'cd' * 32}  ./two.zip\n{'ef' * 32}  other/three.zip"
    assert parse_sums(data.encode(), "S") == {"one.tar.gz": "ab" * 32, "two.zip": "cd" * 32}


def test_beside_an_address() -> None:
    files = remote_files(SUMS, "https://me:secret@host.example/20250612/SHA256SUMS?x=1")
    assert [file.filename for file in files] == list(SUMS)
    quoted = NAME.replace("+", "%2B")
    assert files[0].url == f"https://me:secret@host.example/20250612/{quoted}"
    assert files[0].sha256 == digest(NAME)


def test_beside_archives(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"1234")
    (file,) = local_files(SUMS, tmp_path)
    assert (file.filename, file.size, file.sha256) == (NAME, 4, digest(NAME))
    assert file.url == (tmp_path / NAME).as_uri()
    assert file.path == tmp_path / NAME


def test_alone_it_is_about_the_release(tmp_path: Path) -> None:
    files = {file.filename: file.url for file in local_files(SUMS, tmp_path)}
    assert files == {
        NAME: f"{GITHUB}20250612/{NAME.replace('+', '%2B')}",
        OLD: f"{GITHUB}20211017/{OLD.replace('+', '%2B')}",
    }


@pytest.mark.parametrize("bad", ["x", "ab" * 31 + "  a.zip", "# comment"])
def test_a_broken_line(bad: str) -> None:
    with pytest.raises(CatalogError, match="S: line 2 is not '<sha256>  <name>'"):
        parse_sums(f"{'ab' * 32}  a.zip\n{bad}\n".encode(), "S")


@given(
    st.binary(max_size=100) | st.text(max_size=60).map(lambda text: f"{'0' * 64} {text}".encode())
)
def test_whatever_it_holds(data: bytes) -> None:
    with contextlib.suppress(CatalogError):
        for name in parse_sums(data, "S"):
            assert "/" not in name
            assert name
