"""What goes into a bundle; taking it from this machine is tested in test_packing.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_packer.materials import Material, one_of_each
from support.bundled import host_key

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")


def material(key: BuildKey, sha256: str, filename: str) -> Material:
    inspection = type("Inspection", (), {"key": key, "sha256": sha256})()
    return Material(filename, Path(filename), filename, inspection)


def test_names_that_differ_in_case_alone_are_the_same() -> None:
    """On many targets a folder can't hold both."""
    both = [material(KEY, "a", "X.tar.gz"), material(host_key("3.12.1"), "b", "x.tar.gz")]
    with pytest.raises(UsageError, match="have the same name; rename one of them"):
        one_of_each(both)


def test_the_same_build_twice_is_one() -> None:
    one, other = material(KEY, "a", "x.tar.gz"), material(KEY, "a", "x.tar.gz")
    assert one_of_each([one, other]) == [one]
    with pytest.raises(UsageError, match=r"are both cpython-3\.13\.5"):
        one_of_each([one, material(KEY, "b", "y.tar.gz")])


def test_the_order_is_that_of_the_keys() -> None:
    older = material(host_key("3.12.1"), "b", "y.tar.gz")
    newer = material(host_key("3.13.1"), "a", "x.tar.gz")
    assert one_of_each([newer, older]) == one_of_each([older, newer]) == [older, newer]
