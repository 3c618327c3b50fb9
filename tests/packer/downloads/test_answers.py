from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.downloads.answers import content_length, content_range, is_framed, validators

OLD = "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("bytes 0-99/100", (0, 100, 100)),
        ("bytes 5-9/*", (5, 10, None)),
        ("bytes */100", (None, None, 100)),
        ("bytes 9-5/100", None),
        ("bytes 0-100/100", None),
        ("items 0-9/100", None),
        ("", None),
    ],
)
def test_content_range(value: str, read: tuple[int | None, int | None, int | None] | None) -> None:
    assert content_range(value) == read


@given(st.text())
def test_any_field_is_read_without_an_error(text: str) -> None:
    content_range(text)
    content_length({"content-length": text})
    validators({"etag": text, "last-modified": text, "date": text})


def test_the_length_counts_only_where_it_frames_the_body() -> None:
    assert content_length({"content-length": "5"}) == 5
    assert content_length({"content-length": "5", "transfer-encoding": "chunked"}) is None
    assert content_length({}) is None
    assert is_framed({"transfer-encoding": "chunked"})
    assert not is_framed({})


@pytest.mark.parametrize(
    ("headers", "strong"),
    [
        ({"etag": '"a"', "last-modified": OLD}, ('"a"', OLD)),
        ({"etag": 'W/"a"'}, ("", "")),
        ({"etag": "a"}, ("", "")),
        ({"last-modified": OLD, "date": OLD}, ("", "")),
        ({"last-modified": OLD, "date": "Thu, 01 Jan 2026 00:01:00 GMT"}, ("", OLD)),
        ({"last-modified": "yesterday"}, ("", "")),
    ],
)
def test_only_strong_validators_count(headers: dict[str, str], strong: tuple[str, str]) -> None:
    assert validators(headers) == strong
