"""``kitbag catalog``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.catalogs.storage import today
from support.catalogs import uv_entry
from support.cli import assert_done, assert_refused, call
from support.webserver import serving

if TYPE_CHECKING:
    from pathlib import Path

UV = json.dumps({"a": uv_entry("3.13.5", "https://h.example/python.tar.gz")}).encode()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITBAG_HTTP_RETRIES", "1")


def test_update_then_show() -> None:
    with serving({"/uv.json": UV}) as server:
        url = f"{server.url}uv.json"
        done = call("catalog", "update", "--catalog", url.replace("//", "//me:secret@"))
        assert_done(done)
        lines = done.out.splitlines()
        assert lines[0] == f"Stored {url}"
        assert lines[1] == f"  date      {today()}"
        assert lines[2] == "  builds    1 of 1 version, in 1 archive"
        assert lines[3].startswith("  sha256    ")
        done = call("catalog", "update", "--catalog", url, "--json")
        (entry,) = json.loads(done.out)["catalogs"]
        assert (entry["name"], entry["changed"], entry["date"]) == (url, False, today())
    shown = call("catalog", "show", "--offline")
    assert_done(shown)
    assert shown.out.splitlines()[:4] == [url, *lines[1:]]
    assert shown.out.splitlines()[4] == "embedded"
    listed = json.loads(call("catalog", "show", "--json").out)["catalogs"]
    assert [each["name"] for each in listed] == [url, "embedded"]
    assert set(listed[0]) == {"name", "date", "sha256", "archives", "builds", "versions"}
    assert listed[1]["archives"] > 1900


def test_one_that_fails(tmp_path: Path) -> None:
    with serving({"/uv.json": UV}) as server:
        names = ("--catalog", f"{server.url}none.json", "--catalog", f"{server.url}uv.json")
        done = call("catalog", "update", "--cache-dir", tmp_path, *names)
        assert done.status == 1
        assert f"Stored {server.url}uv.json" in done.out
        assert "warning: " in done.err
        assert "none.json can't be fetched" in done.err
        table = json.loads(call("catalog", "update", "--cache-dir", tmp_path, *names, "--json").out)
        assert table["error"] == table["catalogs"][0]["error"]
        assert table["error"]["code"] == "download"
        assert table["catalogs"][1]["changed"] is False
        server.behave("/uv.json", always=404)
        stale = call("catalog", "update", "--cache-dir", tmp_path, *names[2:])
        assert stale.status == 1
        assert f"; the copy of {today()} stays in use" in stale.err
    assert_refused(call("catalog", "update", *names[:2]), 1, "none.json can't be fetched")


def test_all_that_fail() -> None:
    done = call("catalog", "update", "--offline")
    assert_refused(done, 1, "--offline forbids", "python-build-standalone.ndjson")
    assert "download-metadata.json" in done.err


def test_show_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_bytes(UV)
    done = call("catalog", "show", "--catalog", tmp_path / "list.json")
    assert_done(done)
    assert done.out.splitlines()[:2] == [
        str(tmp_path / "list.json"),
        "  builds    1 of 1 version, in 1 archive",
    ]
    (tmp_path / "list.json").write_bytes(b"<html>")
    refused = call("catalog", "show", "--catalog", tmp_path / "list.json")
    assert_refused(refused, 2, "is a web page")


def test_usage() -> None:
    assert_refused(call("catalog", "fetch"), 2, "fetch", "see kitbag catalog --help")
    assert_refused(call("catalog"), 2, "ACTION")
    assert_refused(call("catalog", "update", "--catalog", "x.json"), 2, "x.json", "--catalog")
