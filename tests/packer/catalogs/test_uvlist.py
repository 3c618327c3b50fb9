"""Lists in uv's format: thousands of entries, and the tolerance that uv has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import Target
from kitbag_bundles.requests import parse_requests
from kitbag_packer.catalogs.model import Interest, Offer
from kitbag_packer.catalogs.naming import GITHUB
from kitbag_packer.catalogs.uvlist import UvListCatalog
from support.catalogs import digest, uv_entry, uv_list

NAME = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
URL = f"{GITHUB}20250612/{NAME.replace('+', '%2B')}"


def read(*entries: Any, interest: Interest | None = None) -> list[Offer]:
    table = {str(number): entry for number, entry in enumerate(entries)}
    catalog = UvListCatalog(table, name="list", digest="0" * 64)
    return list(catalog.offers(interest or Interest()))


def test_thousands_of_entries() -> None:
    table = uv_list()
    assert len(table) > 5000
    offers = read(*table.values())
    assert len(offers) == len({offer.key for offer in offers}) == len(table)
    found = Counter(offer.key.implementation for offer in offers)
    assert set(found) == {"cpython", "pypy", "graalpy", "pyodide"}
    assert {offer.key.implementation for offer in offers if not offer.sha256} == {"pyodide"}
    assert {offer.key.target.os for offer in offers} == {"linux", "macos", "windows", "emscripten"}
    for offer in offers:
        assert offer.canonical == offer.url
        assert offer.catalog == "list"
        assert offer.release
        assert not offer.sha256 or offer.sha256 == digest(offer.filename)
    variants = {(offer.key.variant, offer.flavor) for offer in offers}
    assert ("freethreaded+debug", "full") in variants
    assert ("", "install_only_stripped") in variants


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, "cpython-3.13.5-linux-x86_64-gnu"),
        ({"os": "darwin", "arch": "aarch64", "libc": "none"}, "cpython-3.13.5-macos-aarch64-none"),
        ({"os": "windows", "arch": "i686", "libc": "none"}, "cpython-3.13.5-windows-x86-none"),
        ({"arch": "riscv64"}, "cpython-3.13.5-linux-riscv64gc-gnu"),
        ({"os": "emscripten", "arch": "wasm32", "libc": "musl"},
         "pyodide-3.13.5-emscripten-wasm32-musl"),
        ({"level": "v3"}, "cpython-3.13.5-linux-x86_64_v3-gnu"),
        ({"arch": "armv7", "libc": "gnueabihf"}, "cpython-3.13.5-linux-armv7-gnueabihf"),
        ({"variant": "freethreaded+debug"}, "cpython-3.13.5+freethreaded+debug-linux-x86_64-gnu"),
        ({"name": "pypy"}, "pypy-3.13.5-linux-x86_64-gnu"),
    ],
)  # fmt: skip
def test_keys(fields: dict[str, Any], key: str) -> None:
    (offer,) = read(uv_entry("3.13.5", URL, **fields))
    assert str(offer.key) == key


def test_a_whole_entry() -> None:
    url = URL.replace("//", "//user:secret@") + "?token=x#y"
    (offer,) = read(
        uv_entry("3.14.0rc1", url, sha256="AB" * 32, build="20250612", size=7, novelty=[1])
    )
    assert offer == Offer(
        key=offer.key,
        filename=NAME,
        url=url,
        canonical=URL,
        sha256="ab" * 32,
        size=7,
        flavor="install_only_stripped",
        release="20250612",
        catalog="list",
    )
    assert str(offer.key.version) == "3.14.0rc1"


def test_what_may_be_absent() -> None:
    entry = uv_entry("3.13.5", "file:///srv/python.tar.gz")
    for field in ("prerelease", "sha256", "variant", "build"):
        del entry[field]
    (offer,) = read(entry)
    assert (offer.sha256, offer.size, offer.canonical) == ("", None, "")
    assert (offer.flavor, offer.release, offer.filename) == ("", "", "python.tar.gz")


GOOD = uv_entry("3.13.5", URL)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "jython"}, {"name": None}, {"os": "freebsd"}, {"os": 7}, {"libc": "bionic"},
        {"arch": "x86_64"}, {"arch": {"family": "vax"}}, {"arch": {"family": "aarch64",
         "variant": "v2"}}, {"arch": {"family": "x86_64", "variant": "v9"}}, {"major": "3"},
        {"patch": -1}, {"minor": True}, {"patch": 99999}, {"prerelease": "dev3"},
        {"prerelease": 3}, {"variant": "gil"}, {"variant": ["debug"]}, {"url": None},
        {"url": "python.tar.gz"}, {"url": "ftp://host.example/python.tar.gz"},
        {"url": "https://host.example/"}, {"url": "https://[/x"}, {"url": "https:///x"},
        {"url": "https://host.example/a%2Fb"}, {"url": "https://host.example/%2E%2E"},
    ],
)  # fmt: skip
def test_entries_of_unknown_kinds_are_skipped(change: dict[str, Any]) -> None:
    assert len(read({**GOOD, **change}, GOOD, None, [])) == 1


@pytest.mark.parametrize("value", ["", "ab" * 31, "zz" * 32, 7, None])
def test_a_digest_that_is_none_counts_as_unknown(value: object) -> None:
    (offer,) = read({**GOOD, "sha256": value, "size": "12"})
    assert (offer.sha256, offer.size) == ("", None)


def test_only_what_is_of_interest_is_built() -> None:
    target = Target.parse("linux-x86_64-gnu")
    interest = Interest(parse_requests(["3.13t", "pyodide"]), frozenset({target}))
    found = read(*uv_list().values(), interest=interest)
    assert {offer.key.version.minor_text for offer in found} == {"3.13"}
    assert {offer.key.target for offer in found} == {target}


_WORDS = st.sampled_from(("cpython", "linux", "x86_64", "gnu", "debug", URL, "rc1", "v2", ""))
_ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | _WORDS
_ENTRY = st.fixed_dictionaries(
    {},
    optional={
        **{name: _ANY for name in GOOD if name != "arch"},
        "arch": st.fixed_dictionaries({}, optional={"family": _ANY, "variant": _ANY}) | _ANY,
    },
)


@given(_ENTRY)
def test_whatever_an_entry_holds(entry: dict[str, Any]) -> None:
    for mixed in (entry, {**GOOD, **entry}):
        for offer in read(mixed):
            assert offer.filename


@given(st.text(max_size=30))
def test_whatever_an_address_holds(rest: str) -> None:
    for prefix in ("https://", "https://host.example/", "file:///"):
        for offer in read({**GOOD, "url": prefix + rest}):
            assert "/" not in offer.filename
            assert "@" not in offer.canonical.partition("//")[2].partition("/")[0]


@pytest.mark.parametrize("build", ["\x1b[31m", "a\nb", "../x", "http://me:secret@h", "a" * 65, 7])
def test_a_release_that_is_none_counts_as_unknown(build: object) -> None:
    (offer,) = read({**GOOD, "build": build})
    assert offer.release == read({**GOOD, "build": None})[0].release
