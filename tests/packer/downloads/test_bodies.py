from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.cache import PartialFile
from kitbag_packer.downloads.bodies import Comparison, is_page, magic_of
from kitbag_packer.downloads.partials import Partial


@pytest.mark.parametrize(
    ("name", "magic"),
    [
        ("a.tar.gz", b"\x1f\x8b"),
        ("A.TGZ", b"\x1f\x8b"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd"),
        ("a.zip", b"PK"),
        ("a.tar.bz2", b"BZh"),
        ("a.tar.xz", b"\xfd7zXZ\x00"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c"),
        ("a", b""),
    ],
)
def test_magic(name: str, magic: bytes) -> None:
    assert magic_of(name) == magic


@pytest.mark.parametrize(
    ("begin", "content_type", "page"),
    [
        (b"\x1f\x8b\x08", "text/html", False),
        (b"\x1f", "text/html", None),
        (b"\x00\x01", "text/html; charset=utf-8", True),
        (b"\x00\x01", "application/gzip", False),
        (b"<!DOCTYPE html>", "", True),
        (b"\xef\xbb\xbf\r\n <HTML>", "application/gzip", True),
        (b"  \n", "", None),
        (b"<ht", "", None),
        (b"<?php", "", False),
    ],
)
def test_pages(begin: bytes, content_type: str, page: bool | None) -> None:
    assert is_page(begin, b"\x1f\x8b", content_type) is page


def test_a_name_without_magic_leaves_it_to_the_server() -> None:
    assert is_page(b"<html>", b"", "text/plain") is False
    assert is_page(b"anything", b"", "text/html") is True


@given(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.integers(0, 40),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_a_comparison_ends_with_the_new_bytes(
    old: bytes, tail: bytes, common: int, sizes: list[int]
) -> None:
    new = old[:common] + tail
    with TemporaryDirectory() as folder:
        place = PartialFile(Path(folder, "data"), Path(folder, "state.json"))
        with Partial(place, trusted=True) as partial:
            partial.append(old)
            comparison, at, number = Comparison(partial), 0, 0
            while at < len(new):
                size = sizes[number % len(sizes)]
                rest = memoryview(new[at : at + size])
                if not comparison.done:
                    rest, _ = comparison.feed(rest)
                partial.append(rest)
                at, number = at + size, number + 1
            comparison.end()
            assert partial.read(0, 100) == new
            assert partial.digest == hashlib.sha256(new).hexdigest()
