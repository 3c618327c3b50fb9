"""Bringing stored lists up to date."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import FileSystemError
from kitbag_packer.catalogs.opening import open_catalogs
from kitbag_packer.catalogs.storage import DEFAULT_SOURCES, today
from kitbag_packer.catalogs.updating import Updated, extent, update
from kitbag_packer.errors import CatalogError, DownloadError, OfflineError
from support.caches import Messages
from support.catalogs import ndjson, ndjson_line, uv_entry
from support.downloading import FAST
from support.webserver import serving

if TYPE_CHECKING:
    from pathlib import Path

UV = json.dumps({"a": uv_entry("3.13.5", "https://h.example/python.tar.gz")}).encode()
NEWER = json.dumps({"a": uv_entry("3.13.6", "https://h.example/python.tar.gz")}).encode()
INDEX = ndjson([ndjson_line("3.12.9", "20250612")])


def run(cache: Path, *given: str, offline: bool = False) -> tuple[Updated, ...]:
    settings = replace(FAST, offline=offline)
    return update(given, cache_dir=cache, settings=settings, reporter=Messages())


def used(cache: Path) -> list[str]:
    """The names of the catalogs that are used when nobody names one."""
    settings = replace(FAST, offline=True)
    found = open_catalogs((), cache_dir=cache, settings=settings, reporter=Messages())
    return [catalog.name.rpartition("/")[2] for catalog in found]


def test_lists_are_stored_in_their_order_and_used_offline(tmp_path: Path) -> None:
    with serving({"/index": INDEX, "/uv": UV}) as server:
        first, second = run(tmp_path, f"{server.url}index", f"{server.url}uv")
    assert used(tmp_path) == ["index", "uv", "embedded"]
    assert (first.news, second.news, first.error, second.error) == (True, True, None, None)
    assert second.stored is not None
    assert (second.stored.data, second.stored.fetched) == (UV, today())


def test_what_has_not_changed_is_not_fetched_again(tmp_path: Path) -> None:
    with serving({"/index": INDEX, "/uv": UV}) as server:
        urls = (f"{server.url}index", f"{server.url}uv")
        run(tmp_path, *urls)
        server.content["/uv"] = NEWER
        assert [each.news for each in run(tmp_path, *urls)] == [False, True]
        assert server.sent("/index") == len(INDEX)
        assert server.sent("/uv") == len(UV) + len(NEWER)


def test_other_lists_are_no_longer_used(tmp_path: Path) -> None:
    with serving({"/index": INDEX, "/uv": UV}) as server:
        run(tmp_path, f"{server.url}index", f"{server.url}uv")
        run(tmp_path, f"{server.url}uv", f"{server.url}uv")
        assert used(tmp_path) == ["uv", "embedded"]
        run(tmp_path, f"{server.url}uv", f"{server.url}index")
        assert used(tmp_path) == ["uv", "index", "embedded"]


@pytest.mark.parametrize("broken", ["gone", "page", "empty"])
def test_one_that_fails_does_not_stop_the_others(tmp_path: Path, broken: str) -> None:
    with serving({"/index": INDEX, "/uv": UV, "/more": UV}) as server:
        urls = (f"{server.url}index", f"{server.url}uv")
        run(tmp_path, *urls)
        how = {"gone": {"always": 404}, "page": {"html": "<html>"}}
        if broken == "empty":
            server.content["/index"] = b""
        else:
            server.behave("/index", **how[broken])
        server.content["/uv"] = NEWER
        first, second = run(tmp_path, *urls)
        assert isinstance(first.error, (DownloadError, CatalogError))
        assert first.stored is not None
        assert (first.stored.data, first.news) == (INDEX, False)
        assert (second.news, second.error) == (True, None)
        # What there was goes on being used as long as something is missing.
        missing, more = run(tmp_path, f"{server.url}none", f"{server.url}more")
        assert (missing.stored, more.error) == (None, None)
        assert "none" in str(missing.error)
    assert used(tmp_path) == ["index", "uv", "more", "embedded"]


def test_a_list_without_any_build_is_not_stored(tmp_path: Path) -> None:
    useless = json.dumps({"a": uv_entry("3.13.5", "https://h.example/x.gz", os="plan9")}).encode()
    with serving({"/uv": useless}) as server:
        (only,) = run(tmp_path, f"{server.url}uv")
    assert "lists no archive that kitbag can use" in str(only.error)
    assert used(tmp_path) == ["embedded"]


def test_files_by_address(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_bytes(UV)
    (only,) = run(tmp_path / "cache", (tmp_path / "list.json").as_uri(), offline=True)
    assert only.stored is not None
    assert used(tmp_path / "cache") == ["list.json", "embedded"]


def test_the_usual_sources(tmp_path: Path) -> None:
    done = run(tmp_path, offline=True)
    assert [each.name for each in done] == list(DEFAULT_SOURCES)
    for each in done:
        assert isinstance(each.error, OfflineError)
        assert each.name in str(each.error)
        assert each.stored is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["list.json", "embedded", "https://h.example/folder/", ""])
def test_only_lists_with_an_address_are_stored(tmp_path: Path, given: str) -> None:
    with pytest.raises(CatalogError, match="only lists with an address"):
        run(tmp_path, "https://h.example/list.json", given)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    (tmp_path / "list.json").write_bytes(UV)
    with pytest.raises(FileSystemError, match="cache"):
        run(tmp_path / "cache", (tmp_path / "list.json").as_uri())


def test_extent(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(
        ndjson([ndjson_line("3.12.9", "20250612"), ndjson_line("3.12.9", "20250712")])
    )
    (catalog,) = open_catalogs(
        [str(tmp_path / "index")], cache_dir=tmp_path, settings=FAST, reporter=Messages()
    )
    found = extent(catalog)
    assert (found.builds, found.versions) == (37, 1)
    assert found.archives > 2 * found.builds
