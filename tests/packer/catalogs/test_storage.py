"""Stored lists: whole or not at all, checked, and used in their order."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.catalogs.storage import Storage, today
from support.caches import Messages

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://me:secret@host.example/list.json"


def keep(storage: Storage, url: str = URL, data: bytes = b"data", place: int | None = 0) -> None:
    storage.keep(url, data, etag='"1"', modified="Thu, 01 Jan 2026 00:00:00 GMT", place=place)


def files(cache: Path) -> list[Path]:
    return sorted((cache / "catalogs").iterdir())


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "cache", Messages())
    assert storage.find(URL) is None
    assert storage.used() == []
    assert not (tmp_path / "cache").exists()
    keep(storage)
    found = storage.find(URL)
    assert found is not None
    assert (found.data, found.etag, found.place) == (b"data", '"1"', 0)
    assert found.modified.endswith("GMT")
    assert found.fetched == today()
    assert storage.find(URL.replace("me:secret@", "you:other@")) == found
    assert storage.find(URL + "?branch=next") is None
    keep(storage, data=b"newer")
    assert [found.data for found in storage.used()] == [b"newer"]
    assert len(files(tmp_path / "cache")) == 2
    assert (tmp_path / "cache" / "CACHEDIR.TAG").is_file()


def test_no_secret_is_written(tmp_path: Path) -> None:
    keep(Storage(tmp_path, Messages()), url=URL + "?token=hidden")
    for path in files(tmp_path):
        assert b"secret" not in path.read_bytes()
        assert b"hidden" not in path.read_bytes()


def test_places(tmp_path: Path) -> None:
    storage = Storage(tmp_path, Messages())
    for place, name in ((1, "b"), (0, "c"), (None, "a"), (2, "d")):
        keep(storage, f"https://host.example/{name}", name.encode(), place)
    assert [each.data for each in storage.used()] == [b"c", b"b", b"d"]
    last = storage.used()[-1]
    storage.place(last, None)
    assert [each.data for each in storage.used()] == [b"c", b"b"]
    assert storage.find("https://host.example/d") is not None


@pytest.mark.parametrize("damage", ["list", "list gone", "list cut"])
def test_a_damaged_list_is_thrown_away(tmp_path: Path, damage: str) -> None:
    said = Messages()
    keep(Storage(tmp_path, said))
    path = next(path for path in files(tmp_path) if path.suffix == ".list")
    if damage == "list gone":
        path.unlink()
    else:
        path.write_bytes(b"tada" if damage == "list" else b"dat")
    assert Storage(tmp_path, said).used() == []
    (line,) = said.warnings
    assert "host.example/list.json: the stored list is damaged and was thrown away" in line
    assert "kitbag catalog update" in line
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "record",
    [
        b"", b"{", b"[]", b"{}", b"\xff", {"sha256": "x"}, {"place": "1"}, {"url": 7},
        {"url": "\n"}, {"fetched": "yesterday"}, {"etag": None},
    ],
)  # fmt: skip
def test_a_damaged_record_counts_as_none(tmp_path: Path, record: bytes | dict[str, object]) -> None:
    storage = Storage(tmp_path, Messages())
    keep(storage)
    path = next(path for path in files(tmp_path) if path.suffix == ".json")
    if isinstance(record, bytes):
        path.write_bytes(record)
    else:
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **record}))
    assert storage.used() == []
    keep(storage)
    assert len(storage.used()) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of files here")
def test_a_list_that_others_can_change_is_not_used(tmp_path: Path) -> None:
    said = Messages()
    storage = Storage(tmp_path, said)
    keep(storage)
    path = next(path for path in files(tmp_path) if path.suffix == ".json")
    path.chmod(0o666)
    assert storage.used() == []
    assert "another user can change it; fetch it again" in said.warnings[0]
    keep(storage)
    assert len(storage.used()) == 1


def test_a_reader_while_the_list_is_replaced(tmp_path: Path) -> None:
    """Between a reader's look at the record and at the list, another process replaces both."""
    said = Messages()
    storage = Storage(tmp_path, said)
    keep(storage)

    class Interrupted(Storage):
        def _read_record(self, identity: str) -> dict[str, object] | None:
            found = super()._read_record(identity)
            if storage.find(URL).data == b"data":  # type: ignore[union-attr]
                keep(storage, data=b"newer")
            return found

    assert [each.data for each in Interrupted(tmp_path, said).used()] == [b"newer"]
    assert said.warnings == []


def test_a_list_with_secrets_in_it_is_for_nobody_else(tmp_path: Path) -> None:
    storage = Storage(tmp_path, Messages())
    keep(storage, data=b'{"url": "https://me:secret@host.example/a.zip"}')
    keep(storage, "https://host.example/b", b'{"url": "https://host.example/a@b.zip"}')
    modes = {path.stat().st_mode & 0o777: path for path in files(tmp_path) if "list" in path.suffix}
    assert b"secret" in modes[0o600].read_bytes()
    assert 0o644 in modes
