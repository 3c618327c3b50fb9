"""Several catalogs as one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.keys import Target, Version
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_packer.catalogs.files import FilesCatalog, ListedFile, Unversioned
from kitbag_packer.catalogs.merging import collect
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.naming import GITHUB
from kitbag_packer.catalogs.opening import open_catalogs
from kitbag_packer.catalogs.uvlist import UvListCatalog
from kitbag_packer.downloads.settings import DownloadSettings
from support.catalogs import digest, large_index, uv_entry, uv_list

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.catalogs.model import Catalog, Offer

REST = "x86_64-unknown-linux-gnu"
STRIPPED = f"cpython-3.13.5+20250612-{REST}-install_only_stripped.tar.gz"
FULL = f"cpython-3.13.5+20250612-{REST}-pgo+lto-full.tar.zst"
PYPY = "pypy3.11-v7.3.20-linux64.tar.gz"
PYPY_URL = f"https://downloads.python.org/pypy/{PYPY}"


def entry(
    filename: str = STRIPPED, base: str = f"{GITHUB}20250612/", **more: Any
) -> dict[str, Any]:
    version = more.pop("version", "3.13.5")
    return uv_entry(version, base + filename.replace("+", "%2B"), **more)


def uv(name: str, *entries: dict[str, Any]) -> Catalog:
    return UvListCatalog(dict(enumerate(entries)), name=name, digest="0" * 64)  # type: ignore[arg-type]


def offers(*catalogs: Catalog, flavor: str = "", requests: tuple[str, ...] = ()) -> list[Offer]:
    found = collect(catalogs, Interest(parse_requests(requests)), flavor)
    return [offer for each in found.values() for offer in each]


def test_the_first_that_knows_a_build_wins() -> None:
    one = uv("one", entry(sha256="11" * 32))
    two = uv("two", entry(sha256="22" * 32), entry(version="3.13.4"))
    found = {str(offer.key.version): (offer.catalog, offer.sha256) for offer in offers(one, two)}
    assert found == {"3.13.5": ("one", "11" * 32), "3.13.4": ("two", "")}
    assert [offer.catalog for offer in offers(two, one)] == ["two", "two"]


def test_a_flavor_is_asked_of_the_first_that_has_it() -> None:
    one, two = uv("one", entry()), uv("two", entry(FULL), entry())
    assert [offer.catalog for offer in offers(one, two, flavor="full")] == ["two"]
    assert [offer.catalog for offer in offers(one, two)] == ["one"]
    assert offers(one, two, flavor="community") == []


def test_gaps_are_filled_from_later_catalogs() -> None:
    one = uv("one", entry(base="file:///srv/"))
    two = uv("two", entry(sha256="22" * 32))
    three = uv("three", entry(sha256="22" * 32, size=7), entry(sha256="33" * 32, size=9))
    (offer,) = offers(one, two, three)
    assert (offer.catalog, offer.url) == ("one", f"file:///srv/{STRIPPED.replace('+', '%2B')}")
    assert (offer.sha256, offer.size) == ("22" * 32, 7)
    assert offer.canonical == f"{GITHUB}20250612/{STRIPPED.replace('+', '%2B')}"
    (offer,) = offers(two, one)
    assert (offer.sha256, offer.size) == ("22" * 32, None)


@pytest.mark.parametrize(
    "other",
    [
        entry(sha256="22" * 32, size=5), entry(sha256="11" * 32, size=6), entry(FULL, size=5),
        entry(size=5, version="3.13.4"),
    ],
)  # fmt: skip
def test_what_is_another_file_fills_nothing(other: dict[str, Any]) -> None:
    first = entry(base="file:///srv/", sha256="11" * 32)
    sized = {**first, "size": 5} if other["size"] == 6 else first
    found = next(offer for offer in offers(uv("one", sized), uv("two", other)))
    assert (found.canonical, found.sha256) == ("", "11" * 32)


def test_the_same_file_counts_once() -> None:
    assert len(offers(uv("one", entry(), entry(), entry(FULL)))) == 2


class TestVersionsThatNamesDoNotTell:
    def catalog(self, asked: list[str], version: str | None, **more: Any) -> FilesCatalog:
        def identify(unversioned: Unversioned) -> Version | None:
            asked.append(unversioned.file.filename)
            return Version.parse(version) if version else None

        names = more.pop("names", (PYPY, STRIPPED))
        files = [ListedFile(name, f"file:///srv/{name}", **more) for name in names]
        return FilesCatalog(files, name="folder", digest="0" * 64, identify=identify)

    def test_another_catalog_tells(self) -> None:
        asked: list[str] = []
        told = uv("list", entry(PYPY, PYPY_URL[: -len(PYPY)], version="3.11.13", name="pypy"))
        for catalogs in (
            (self.catalog(asked, None), told),
            (uv("x", entry(FULL)), self.catalog(asked, None), told),
        ):
            found = {str(offer.key): offer for offer in offers(*catalogs, requests=("pypy3.11",))}
            assert list(found) == ["pypy-3.11.13-linux-x86_64-gnu"]
            (offer,) = found.values()
            assert (offer.catalog, offer.canonical) == ("folder", PYPY_URL)
        assert asked == []

    def test_the_archive_itself_tells(self) -> None:
        asked: list[str] = []
        found = offers(self.catalog(asked, "3.11.9"), requests=("pypy",))
        assert [str(offer.key) for offer in found] == ["pypy-3.11.9-linux-x86_64-gnu"]
        assert asked == [PYPY]
        assert offers(self.catalog([], "3.10.9"), requests=("pypy",)) == []
        assert offers(self.catalog([], "3.11.9"), requests=("pypy3.11.8",)) == []
        assert offers(self.catalog([], None), requests=("pypy",)) == []

    @pytest.mark.parametrize(
        ("request_", "target"),
        [
            ("3.11", ""), ("graalpy", ""), ("pypy3.10", ""), ("pypy3.11t", ""), ("pypy", "windows"),
            ("pypy-3.11-linux-aarch64", ""), ("cpython-any-linux-x86_64", ""),
        ],
    )  # fmt: skip
    def test_what_nobody_wants_is_not_looked_into(self, request_: str, target: str) -> None:
        asked: list[str] = []
        targets = frozenset({Target.parse("windows-x86_64")}) if target else None
        collect([self.catalog(asked, "3.11.9")], Interest(parse_requests([request_]), targets), "")
        assert asked == []

    def test_names_without_any_version(self) -> None:
        asked: list[str] = []
        names = ("xbuildenv-0.29.5.tar.gz", "graalpy-24.2.2-linux-amd64.tar.gz")
        found = offers(self.catalog(asked, "3.13.2", names=names), requests=("pyodide3.13", "any"))
        assert {str(offer.key) for offer in found} == {
            "pyodide-3.13.2-emscripten-wasm32-musl", "graalpy-3.13.2-linux-x86_64-gnu",
        }  # fmt: skip
        assert asked == list(names)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An index of fifty thousand archives and a list of thousands."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "index.ndjson").write_bytes(large_index())
    (folder / "list.json").write_text(json.dumps(uv_list()))
    return [str(folder / name) for name in ("index.ndjson", "list.json")]


@pytest.mark.parametrize(
    ("requests", "least"),
    [(("3.13",), 10), (("pypy3.11",), 1), (("latest",), 1), ((">=3.12",), 10), (("3.14t",), 1)],
)
def test_one_request_is_quick(
    lists: list[str], tmp_path: Path, requests: tuple[str, ...], least: int
) -> None:
    """Opening and collecting takes some 0.1 s here; the bound leaves room for slow machines."""
    target = Target.parse("linux-x86_64-gnu")
    started = time.process_time()
    catalogs = open_catalogs(
        [*lists, "embedded"],
        cache_dir=tmp_path / "cache",
        settings=DownloadSettings(offline=True),
        reporter=SilentReporter(),
    )
    found = collect(catalogs, Interest(parse_requests(requests), frozenset({target})))
    assert time.process_time() - started < 1.0
    assert len(found) >= least
    assert all(key.target == target for key in found)
    for offers_ in found.values():
        assert all(offer.sha256 == digest(offer.filename) for offer in offers_ if
                   offer.catalog.endswith("index.ndjson"))  # fmt: skip
