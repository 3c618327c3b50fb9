from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import BundleError
from kitbag_bundles.names import check_member_name, check_member_names


@pytest.mark.parametrize(
    "name",
    [
        "__main__.py",
        "archives/cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz",
        "meta/.hidden",
        "meta/a b",
        "meta/console",
        "meta/com10",
        "meta/a.con",
        "x" * 255,
    ],
)
def test_fit_names(name: str) -> None:
    check_member_names([name])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../x",
        "a/./x",
        "a//x",
        "a/",
        ".",
        "..",
        "C:",
        "C:/x",
        "a:stream",
        "\\\\host\\share",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x1b[0mb",
        "a\x7f",
        "caf\u00e9",
        "a\u202eb",
        "nul",
        "NUL.txt",
        "meta/Con.tar.gz",
        "aux .txt",
        "COM1",
        "lpt9.x",
        "conin$",
        "a.",
        "a ",
        " a",
        "a/b./c",
        "a<b",
        'a"b',
        "a|b",
        "a?",
        "a*",
        "x" * 256,
    ],
)
def test_unfit_names(name: str) -> None:
    with pytest.raises(BundleError, match="member name") as caught:
        check_member_names(["fine", name])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a", "a"], "two members"),
        (["a", "A"], "two members"),
        (["a", "a/b"], "also the folder"),
        (["a/b", "a"], "also the folder"),
        (["a/b", "A"], "also the folder"),
        (["a/b", "A/c"], "spelt otherwise"),
        (["x/a/b", "x/A/c"], "spelt otherwise"),
    ],
)
def test_names_that_cannot_live_side_by_side(names: list[str], why: str) -> None:
    with pytest.raises(BundleError, match=why):
        check_member_names(names)


@given(st.text(max_size=20) | st.text("ab./\\: \0", max_size=8))
def test_a_fit_name_stays_where_it_is(name: str) -> None:
    try:
        check_member_name(name)
    except BundleError:
        return
    assert name.isascii()
    assert name.isprintable()
    assert posixpath.normpath(name) == name
    assert not name.startswith(("/", ".."))
    assert not any(each in name for each in '\\:*?"<>|')
