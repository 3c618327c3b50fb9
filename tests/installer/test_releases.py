import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_installer.releases import installed_release, is_newer_release
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny

numbers = st.lists(st.integers(0, 10**20), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("20260202", "20260101"),
        ("20260101", "9"),
        ("7.3.19", "7.3.9"),
        ("7.4", "7.3.19"),
        ("25.0.1", "25"),
        ("v2", "v1"),
        ("20260101", ""),
    ],
)
def test_which_release_is_newer(newer, older):
    assert is_newer_release(newer, older)
    assert not is_newer_release(older, newer)


@pytest.mark.parametrize(("one", "other"), [("", ""), ("7.3", "7.3.0"), ("010", "10"), ("a", "a")])
def test_releases_that_are_the_same(one, other):
    assert not is_newer_release(one, other)
    assert not is_newer_release(other, one)


@given(st.text(max_size=60), st.text(max_size=60))
def test_never_is_each_newer_than_the_other(one, other):
    assert not (is_newer_release(one, other) and is_newer_release(other, one))
    assert not is_newer_release(one, one)


@given(numbers, numbers)
def test_dotted_numbers_compare_as_numbers(one, other):
    wide = [each + [0] * (4 - len(each)) for each in (one, other)]
    texts = [".".join(map(str, each)) for each in (one, other)]
    assert is_newer_release(*texts) == (wide[0] > wide[1])


def test_the_receipt_tells_the_release_and_without_one_uvs_file(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5@20260202")
    root = install_tiny(bundle, tmp_path / "root")
    tree = root.install_path(host_key())
    build = os.path.join(tree, "BUILD")
    with open(build, "w") as file:
        file.write("20260303\n")
    assert installed_release(tree) == "20260202"
    with open(os.path.join(tree, ".kitbag", "receipt.json"), "w") as file:
        file.write("{")
    assert installed_release(tree) == "20260303"
    os.unlink(build)
    assert installed_release(tree) == ""
