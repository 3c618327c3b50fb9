"""What a list is, by its content, and one clear line for what is none."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.catalogs.formats import read_list
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.errors import CatalogError
from support.catalogs import digest, ndjson, ndjson_line, uv_entry

if TYPE_CHECKING:
    from kitbag_packer.catalogs.model import Catalog

NAME = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only.tar.gz"
SUMS = f"{digest(NAME)}  {NAME}\n".encode()
UV = json.dumps({"a": uv_entry("3.13.5", "https://host.example/python.tar.gz")}, indent=1).encode()
INDEX = ndjson([ndjson_line("3.13.5", "20250612"), ndjson_line("3.12.9", "20250612")])


def read(data: bytes) -> Catalog:
    return read_list(data, name="the list", url="https://h.example/SHA256SUMS", identify=len)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [SUMS, UV, INDEX, json.dumps(json.loads(UV)).encode()])
def test_each_kind_is_known_by_its_content(data: bytes) -> None:
    for variant in (data, b"\xef\xbb\xbf" + data, b"\n \n" + data, data.rstrip()):
        catalog = read(variant)
        assert catalog.name == "the list"
        assert len(catalog.digest) == 64
        assert list(catalog.offers(Interest()))


def test_an_index_of_one_line_is_one() -> None:
    assert list(read(INDEX.splitlines()[0]).offers(Interest()))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the list: is empty"),
        (b" \r\n\n", "the list: is empty"),
        (b"<!DOCTYPE html><title>Log in</title>", "is a web page .* asks for a login"),
        (b"\n<html>", "is a web page"),
        (gzip.compress(UV), "is an archive; pack it with --from"),
        (b"PK\x03\x04...", "is an archive; pack it with --from"),
        (UV[:-10], "line 17 is cut off or damaged"),
        (b"{", "line 1 is cut off or damaged"),
        (INDEX[:-30], "line 2 is cut off or damaged"),
        (b'{"version": 2, "downloads": []}', "newer format than kitbag knows .*'2'"),
        (b'{"version": "9", "items": {"a": 1}}', "newer format than kitbag knows"),
        (b"{}", "is JSON, but no list of builds; give uv's"),
        (b'{"a": {"b": 1}}', "is JSON, but no list of builds"),
        (b'{"a": 1}\n{"a": 2}\n', "line 2 is cut off or damaged"),
        (b"[1, 2]", "is JSON, but no list of builds that has digests"),
        (b"[1, 2", "line 1 is cut off or damaged"),
        (b"[" * 100_000, "is damaged, or no list"),
        (b'{"a": ' * 100_000, "is damaged, or no list"),
        (b'{"a": "\xff"}', "is damaged, or no list"),
        (b"cpython 3.13", "is no list of builds; known are"),
        (b"\x00\x01\x02", "is no list of builds; known are"),
        (SUMS + b"nonsense\n", "line 2 is not '<sha256>  <name>'"),
        (f"{digest('x')}  notes.txt\n".encode(), "lists no archive of a Python"),
    ],
)  # fmt: skip
def test_what_is_no_list(data: bytes, words: str) -> None:
    with pytest.raises(CatalogError, match=words) as caught:
        read(data)
    assert str(caught.value).startswith("the list: ")
    assert "\n" not in str(caught.value)


_STARTS = st.sampled_from(
    (b"", b"{", b"[", b"<", SUMS, UV, UV[:200], INDEX[:300], b"\xef\xbb\xbf{")
)


@given(_STARTS, st.binary(max_size=40))
def test_nothing_but_a_clear_refusal(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(CatalogError):
        list(read(start + rest).offers(Interest()))


@given(st.integers(min_value=0, max_value=len(UV)), st.binary(min_size=1, max_size=3))
def test_any_damage_to_a_list(at: int, data: bytes) -> None:
    with contextlib.suppress(CatalogError):
        list(read(UV[:at] + data + UV[at + len(data) :]).offers(Interest()))
