from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import toml


def test_loads() -> None:
    assert toml.loads('a = 1\n[[b]]\nc = "x"\n') == {"a": 1, "b": [{"c": "x"}]}


@pytest.mark.parametrize(
    "text", ["a", "a = 1\na = 2", "a = " + "[" * 50_000, "a = " + "9" * 5000, "a = 2026-02-31"]
)
def test_what_is_not_toml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the class is all that is promised
        toml.loads(text)


@given(st.text(max_size=60) | st.text('a=[]{}".\n1', max_size=30))
def test_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(ValueError):
        toml.loads(text)
