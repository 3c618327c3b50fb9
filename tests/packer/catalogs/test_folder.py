"""Folders of archives: on this machine, and as the page of a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.catalogs.folder import digest_of_files, listed, scan
from kitbag_packer.errors import CatalogError
from support.catalogs import digest

if TYPE_CHECKING:
    from pathlib import Path

NAME = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only.tar.gz"
URL = "https://me:secret@host.example/python/"


def put(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_mirror_and_what_is_left_out(tmp_path: Path) -> None:
    put(tmp_path / "flat.zip", b"1")
    put(tmp_path / "20250612" / NAME, b"12")
    put(tmp_path / "a" / "b" / "deep.zip", b"123")
    for hidden in (".hidden.zip", ".git/x.zip", "a/b/c/too-deep.zip"):
        put(tmp_path / hidden)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.zip").symlink_to(tmp_path / "nothing")
    (tmp_path / "link.zip").symlink_to(tmp_path / "flat.zip")
    found = {file.path: file for file in scan(tmp_path) if "loop" not in str(file.path)}
    assert {path.relative_to(tmp_path).as_posix(): file.size for path, file in found.items()} == {
        f"20250612/{NAME}": 2, "a/b/deep.zip": 3, "flat.zip": 1, "link.zip": 1,
    }  # fmt: skip
    assert found[tmp_path / "20250612" / NAME].filename == NAME


def test_digests_beside_the_archives(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        put(tmp_path / folder / NAME)
    put(tmp_path / "one" / "SHA256SUMS", f"{digest(NAME)}  {NAME}\n".encode())
    found = [file for file in scan(tmp_path) if file.filename == NAME]
    assert [file.sha256 for file in found] == [digest(NAME), ""]
    put(tmp_path / "two" / "SHA256SUMS", b"<html>")
    with pytest.raises(CatalogError, match="two/SHA256SUMS: line 1"):
        scan(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nothing: can't be read .* name another directory"):
        scan(tmp_path / "nothing")


def test_the_digest_tells_contents_apart_and_not_places(tmp_path: Path) -> None:
    digests = []
    for place, data in (("a", b"1"), ("b", b"1"), ("c", b"12")):
        folder = tmp_path / place
        put(folder / "20250612" / NAME, data)
        digests.append(digest_of_files(scan(folder), folder.as_uri() + "/"))
    assert digests[0] == digests[1] != digests[2]


def test_links_of_a_page() -> None:
    quoted = NAME.replace("+", "%2B")
    page = f"""<html><A HREF="{quoted}#sha256={"AB" * 32}">x</a> <a href='../'>up</a>
        <a href="?C=M;O=A">by date</a> <a href="/other/two.zip">2</a> <a>none</a> <a href>none</a>
        <a href="https://elsewhere.example/three.zip">3</a> <a href="https://[">bad</a>
        <a href="{quoted}">again</a>"""
    found = {file.filename: file for file in listed(page.encode(), URL)}
    assert {name: file.url for name, file in found.items()} == {
        NAME: URL + quoted,
        "two.zip": "https://me:secret@host.example/other/two.zip",
        "three.zip": "https://elsewhere.example/three.zip",
    }
    assert found[NAME].sha256 == "ab" * 32


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda x: f'<a href="{x}">'.encode()))
def test_whatever_a_page_holds(data: bytes) -> None:
    for file in listed(data, URL):
        assert file.filename
        assert "/" not in file.filename


def test_what_cannot_be_looked_at_is_left_out(tmp_path: Path) -> None:
    put(tmp_path / NAME)
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "lost+found").mkdir(mode=0)
    os.mkfifo(tmp_path / "pipe.zip")
    assert [file.filename for file in scan(tmp_path)] == [NAME]
