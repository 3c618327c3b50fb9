"""The NDJSON index: its quirks, its size, and lines that are broken."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import Target
from kitbag_bundles.requests import parse_requests
from kitbag_packer.catalogs.index import IndexCatalog
from kitbag_packer.catalogs.model import Interest, Offer
from kitbag_packer.errors import CatalogError
from support.catalogs import address, digest, ndjson, ndjson_line

LINUX = "x86_64-unknown-linux-gnu"


def read(data: bytes, interest: Interest | None = None) -> list[Offer]:
    return list(IndexCatalog(data, name="index", digest="0" * 64).offers(interest or Interest()))


def line(version: str, *artifacts: Any) -> dict[str, Any]:
    return {"version": version, "date": "2026-01-01", "artifacts": artifacts}


def artifact(name: str, platform: str = LINUX, variant: str = "full") -> dict[str, Any]:
    url = address("20260101", name)
    return {"platform": platform, "variant": variant, "url": url, "sha256": digest(name)}


def test_every_flavor_on_every_target() -> None:
    lines = [ndjson_line("3.13.5", "20260101"), ndjson_line("3.12.9", "20260101")]
    offers = read(ndjson(lines))
    assert len(offers) == sum(len(each["artifacts"]) for each in lines) > 200
    assert len({offer.key.target for offer in offers}) == 20
    assert {offer.flavor for offer in offers} == {"full", "install_only", "install_only_stripped"}
    assert {offer.key.variant for offer in offers} == {
        "", "debug", "freethreaded", "freethreaded+debug",
    }  # fmt: skip
    assert {offer.flavor for offer in offers if offer.key.variant == "freethreaded"} == {
        "full", "install_only", "install_only_stripped",
    }  # fmt: skip
    for offer in offers:
        assert offer.sha256 == digest(offer.filename)
        assert offer.url == offer.canonical
        assert offer.release == "20260101"
        assert offer.catalog == "index"
    static = [offer for offer in offers if "static" in offer.options]
    assert static
    assert all(offer.static and offer.key.target.libc == "musl" for offer in static)


def test_musl_was_static_without_saying_so() -> None:
    name = "cpython-3.12.2+{}-x86_64-unknown-linux-musl-install_only.tar.gz"
    found = read(
        ndjson(
            [
                line("3.12.2+20240224", artifact(name.format("20240224"))),
                line("3.12.2+20250311", artifact(name.format("20250311"))),
            ]
        )
    )
    assert [offer.static for offer in found] == [True, False]


@pytest.mark.parametrize(
    ("name", "platform", "variant", "key", "flavor", "options"),
    [
        # As the names were until 2022, with the variant in the platform.
        ("cpython-3.13.5-aarch64-apple-darwin-debug-20211017T1616.tar.zst",
         "aarch64-apple-darwin-debug", "full",
         "cpython-3.13.5+debug-macos-aarch64-none", "full", ()),
        ("cpython-3.13.5+20260101-aarch64-apple-darwin-freethreaded+pgo+lto-full.tar.zst",
         "aarch64-apple-darwin-freethreaded", "pgo+lto+full",
         "cpython-3.13.5+freethreaded-macos-aarch64-none", "full", ("lto", "pgo")),
        # Names that tell nothing.
        ("python.tar.zst", "aarch64-apple-darwin-debug", "full",
         "cpython-3.13.5+debug-macos-aarch64-none", "full", ()),
        ("python.tar.gz", "aarch64-apple-darwin-freethreaded", "install_only_stripped",
         "cpython-3.13.5+freethreaded-macos-aarch64-none", "install_only_stripped", ()),
        ("python.tar.zst", LINUX, "freethreaded+debug+full",
         "cpython-3.13.5+freethreaded+debug-linux-x86_64-gnu", "full", ()),
        ("python.tar.zst", "x86_64-pc-windows-msvc", "static-noopt+full",
         "cpython-3.13.5-windows-x86_64-none", "full", ("noopt", "static")),
        ("python.tar.zst", "x86_64-pc-windows-msvc", "shared-pgo",
         "cpython-3.13.5-windows-x86_64-none", "full", ("pgo", "shared")),
        ("python.tar.gz", "x86_64_v3-unknown-linux-musl", "install_only",
         "cpython-3.13.5-linux-x86_64_v3-musl", "install_only", ()),
    ],
)  # fmt: skip
def test_quirks(
    name: str, platform: str, variant: str, key: str, flavor: str, options: tuple[str, ...]
) -> None:
    data = ndjson([line("3.13.5+20260101", artifact(name, platform, variant))])
    target = Target.parse(key.partition("-")[2].partition("-")[2])
    for interest in (Interest(), Interest((), frozenset({target}))):
        (offer,) = read(data, interest)
        assert (str(offer.key), offer.flavor, offer.options) == (key, flavor, options)
        assert (offer.filename, offer.release) == (name, "20260101")
    assert read(data, Interest((), frozenset({Target.parse("linux-s390x-gnu")}))) == []


GOOD = artifact(f"cpython-3.13.5+20260101-{LINUX}-install_only.tar.gz")


@pytest.mark.parametrize(
    "bad",
    [
        None, [], {}, {**GOOD, "url": 7}, {**GOOD, "url": "x.tar.gz"}, {**GOOD, "url": "https://["},
        artifact("python.tar.gz", "vax-dec-vms"), artifact("python.tar.gz", LINUX, "shiny+full"),
        artifact("python.tar.gz", LINUX, "full+install_only"), {"url": "https://h.example/x.gz"},
        artifact(f"cpython-3.13.4+20260101-{LINUX}-install_only.tar.gz"),
        artifact(f"cpython-3.13.5+20260102-{LINUX}-install_only.tar.gz"),
        artifact("pypy3.11-v7.3.19-linux64.tar.gz"),
    ],
)  # fmt: skip
def test_archives_that_cannot_be_builds_are_left_out(bad: Any) -> None:
    assert len(read(ndjson([line("3.13.5+20260101", bad, GOOD)]))) == 1


def test_lines_of_versions_that_are_none_are_left_out() -> None:
    lines = [line("3.13+20260101", GOOD), line("3.13.5+20260101", GOOD), line("", GOOD)]
    assert len(read(b"\n" + ndjson(lines) + b"  \r\n")) == 1


def test_only_what_is_of_interest_is_parsed() -> None:
    data = ndjson([ndjson_line("3.13.5", "20260101")])
    broken = b'{"version": "3.12.9+20260101", "artifacts": [{'
    found = read(
        broken + b"\n" + data,
        Interest(parse_requests(["3.13"]), frozenset({Target.parse("linux-x86_64-gnu")})),
    )
    assert {str(offer.key.target) for offer in found} == {"linux-x86_64-gnu"}
    with pytest.raises(CatalogError, match="index: line 1 is cut off or damaged"):
        read(broken + b"\n" + data, Interest(parse_requests(["3.12"])))


def test_order_of_fields_does_not_matter() -> None:
    turned = json.dumps({"artifacts": [GOOD], "version": "3.13.5+20260101"}).encode()
    assert len(read(turned)) == 1


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (b'{"version": "3.13.5+20260101", "arti', "line 2 is cut off or damaged"),
        (b"\xff\xfe", "line 2 is cut off or damaged"),
        (b"{}", "line 2 has no version with artifacts"),
        (b"[" * 100_000, "line 2 is cut off or damaged"),
    ],
)
def test_broken_lines(second: bytes, words: str) -> None:
    with pytest.raises(CatalogError, match=words):
        read(ndjson([line("3.13.5+20260101", GOOD)]) + second)


_ANY = st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(list(GOOD.values()))


@given(
    _ANY | st.just("3.13.5+20260101"),
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, _ANY)) | _ANY, max_size=3),
    st.binary(max_size=10),
)
def test_whatever_a_line_holds(version: Any, artifacts: list[Any], end: bytes) -> None:
    with contextlib.suppress(CatalogError):
        read(json.dumps(line(version, *artifacts)).encode() + b"\n" + end)
