"""The data of pbs-installer, all of it, and what becomes of it when it is not as expected."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import Target
from kitbag_bundles.requests import parse_requests
from kitbag_packer.catalogs.embedded import EmbeddedCatalog
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.naming import GITHUB
from kitbag_packer.errors import CatalogError

EVERYTHING = Interest()


def rows() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every file of the real table, with its version."""
    table = json.loads(EmbeddedCatalog()._data)
    return [(row["python_version"], file) for row in table for file in row["files"]]


def test_every_row_is_an_offer() -> None:
    """None is known that can't be used; a new one that can't must be looked at."""
    offers = {offer.url: offer for offer in EmbeddedCatalog().offers(EVERYTHING)}
    listed = rows()
    unusable = [file["filename"] for _, file in listed if file["url"] not in offers]
    assert unusable == []
    assert len(offers) == len(listed) > 1900
    for version, file in listed:
        offer = offers[file["url"]]
        target = offer.key.target
        assert (target.os, target.arch) == (file["platform"], file["arch"])
        assert offer.key.implementation == version["implementation"]
        numbers = tuple(version[name] for name in ("major", "minor", "micro"))
        found = offer.key.version
        assert (found.major, found.minor, found.patch) == numbers
        assert offer.key.free_threaded is version["freethreaded"]
        assert offer.filename == file["filename"]
        assert offer.sha256 == (file["sha256"] or "")
        assert target.libc == ("gnu" if target.os == "linux" else "none")
        if offer.key.implementation == "cpython":
            assert offer.canonical.startswith(GITHUB), offer
            assert offer.flavor.startswith("install_only") or offer.flavor == "full"
            assert offer.flavor.startswith("install_only") is file["install_only"]
        else:
            assert offer.canonical == file["url"]
            assert found.minor_text in offer.filename


def test_what_is_in_it() -> None:
    catalog = EmbeddedCatalog()
    found = Counter(offer.key.implementation for offer in catalog.offers(EVERYTHING))
    assert found["cpython"] > 1800
    assert found["pypy"] > 140
    assert catalog.name == "embedded"
    assert len(catalog.digest) == 64
    assert catalog.date >= "2026-01-01"


def test_only_what_is_of_interest_is_built() -> None:
    target = Target.parse("linux-x86_64_v3-gnu")
    interest = Interest(parse_requests(["3.13", "pypy3.11"]), frozenset({target}))
    found = list(EmbeddedCatalog().offers(interest))
    assert found
    # More than asked for is allowed, but not other versions or machines.
    assert {offer.key.version.minor_text for offer in found} == {"3.13", "3.11"}
    assert {(offer.key.target.os, offer.key.target.cpu) for offer in found} == {("linux", "x86_64")}


def test_a_variable_of_pbs_installer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBS_INSTALLER_BASE_URL", "https://elsewhere.example/")
    urls = {offer.url for offer in EmbeddedCatalog().offers(EVERYTHING)}
    assert not any("elsewhere" in url for url in urls)


def test_rows_that_cannot_be_builds_are_left_out() -> None:
    name = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only.tar.gz"
    version = {"implementation": "cpython", "major": 3, "minor": 13, "micro": 5}
    good = {"url": f"https://host.example/{name}", "platform": "linux", "arch": "x86_64"}
    files = [
        *(None, {}, {"url": 7}, {"url": "https://host.example/setup.exe"}, {"url": name}),
        good | {"url": good["url"].replace("3.13.5", "3.13.6")},
        good,
    ]
    table = [
        {"python_version": version, "files": files},
        {"python_version": {**version, "micro": True}, "files": [good]},
        *({"python_version": version, "files": None}, {"files": [good]}, 7),
    ]
    found = EmbeddedCatalog(json.dumps(table).encode()).offers(EVERYTHING)
    assert [offer.url for offer in found] == [good["url"]]


@pytest.mark.parametrize("data", [b"", b"[", b"{}", b"\xff"])
def test_a_table_that_is_none(data: bytes) -> None:
    with pytest.raises(CatalogError, match="pbs-installer can't be read; install another"):
        list(EmbeddedCatalog(data).offers(EVERYTHING))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CatalogError, match="install a newer version of the package pbs-installer"):
        list(EmbeddedCatalog().offers(EVERYTHING))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("python_version", "files", "implementation", "major", "minor", "micro", "url")
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(_VALUES, max_size=3))
def test_whatever_the_table_holds(table: list[Any]) -> None:
    assert list(EmbeddedCatalog(json.dumps(table).encode()).offers(EVERYTHING)) == []
