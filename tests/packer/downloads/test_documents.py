from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.downloads import documents
from kitbag_packer.downloads.documents import fetch_document
from kitbag_packer.errors import DownloadError, OfflineError
from support.downloading import FAST
from support.webserver import serving

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b'{"a": 1}\n' * 1000
PATH = "/list.json"


def test_fetched_and_known_again() -> None:
    with serving({PATH: TEXT}) as server:
        url = server.url + "list.json"
        found = fetch_document(url, FAST)
        assert found is not None
        assert found.data == TEXT
        assert fetch_document(url, FAST, etag=found.etag) is None
        assert fetch_document(url, FAST, modified=found.modified) is None
        server.content[PATH] = b"new"
        again = fetch_document(url, FAST, etag=found.etag, modified=found.modified)
        assert again is not None
        assert again.data == b"new"


def test_compressed_on_the_way() -> None:
    packed = gzip.compress(TEXT)
    with serving({PATH: packed}, content_encoding="gzip") as server:
        found = fetch_document(server.url + "list.json", FAST)
        assert found is not None
        assert found.data == TEXT


def test_what_may_pass_is_tried_again() -> None:
    with serving({PATH: TEXT}, statuses=(503, 0), cut_after=100, cuts=1) as server:
        assert fetch_document(server.url + "list.json", FAST) is not None
        assert server.count() == 3


def test_what_will_not_pass_is_told() -> None:
    with serving({PATH: TEXT}) as server:
        url = server.url.replace("//", "//me:secret@") + "none.json?key=secret"
        with pytest.raises(
            DownloadError, match=r"none\.json can't be fetched: .* answered 404"
        ) as e:
            fetch_document(url, FAST)
        assert "secret" not in str(e.value)
        assert server.count() == 1


def test_no_document_is_endless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(documents, "_LARGEST", 1000)
    with serving({PATH: TEXT}) as server, pytest.raises(DownloadError, match="more than 1000"):
        fetch_document(server.url + "list.json", FAST)
    (tmp_path / "list.json").write_bytes(TEXT)
    with pytest.raises(DownloadError, match="more than 1000"):
        fetch_document((tmp_path / "list.json").as_uri(), FAST)


def test_a_local_file_needs_no_network(tmp_path: Path) -> None:
    offline = replace(FAST, offline=True)
    (tmp_path / "list.json").write_bytes(TEXT)
    found = fetch_document((tmp_path / "list.json").as_uri(), offline)
    assert found is not None
    assert found.data == TEXT
    with pytest.raises(DownloadError, match=r"none\.json can't be read"):
        fetch_document((tmp_path / "none.json").as_uri(), offline)
    with pytest.raises(OfflineError, match="--offline"):
        fetch_document("http://127.0.0.1:9/list.json", offline)


def test_each_pause_is_told_without_secrets() -> None:
    said: list[str] = []
    with serving({PATH: TEXT}, statuses=(503, 0)) as server:
        url = server.url.replace("//", "//me:secret@") + "list.json?key=secret"
        fetch_document(url, FAST, tell=said.append)
    (line,) = said
    assert line.startswith(f"{server.url}list.json: 127.0.0.1:{server.port} answered 503 Service")
    assert line.endswith("; again in 0 s (try 2 of 4)")


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [("gzip", "can't be decompressed"), ("gzip, gzip", "compressed more than once")],
)
def test_what_cannot_be_decompressed(encoding: str, reason: str) -> None:
    with (
        serving({PATH: TEXT}, content_encoding=encoding) as server,
        pytest.raises(DownloadError, match=reason),
    ):
        fetch_document(server.url + "list.json", FAST)
