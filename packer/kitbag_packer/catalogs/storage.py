"""Lists from the network that are kept in the cache, with what is needed to ask for news.

::

    <cache>/catalogs/<id>.json                url, etag, modified, fetched, sha256, place
    <cache>/catalogs/<id>-<digest>.list       the list, byte for byte

``id`` stands for the address. The first file is replaced by one rename and names the second, so a
reader finds an old list or a new one, whatever happens. A list is held against its digest whenever
it is used, and one that another user (but root) could have written is not: it says which bytes are
right. ``place`` is its turn among those that are used when nobody names a catalog; a list that
was named once is kept without one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kitbag_packer.catalogs.naming import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_bundles.reporting import Reporter

DEFAULT_SOURCES = (
    "https://releases.astral.sh/github/versions/main/v1/python-build-standalone.ndjson",
    "https://raw.githubusercontent.com/astral-sh/uv/main/crates/uv-python/download-metadata.json",
)
"""What ``kitbag catalog update`` fetches: every CPython, then PyPy, GraalPy and Pyodide."""

_LARGEST_RECORD = 65536
_ID = re.compile(r"[0-9a-f]{32}\.json")
_CREDENTIALS = re.compile(r"(?<=:)//[^/?#]*@")
_SECRETS = re.compile(rb"://[^/?#\s\"]*@")
"""Addresses with credentials in a list; its copy is for nobody else."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class StoredList:
    """One list as it was fetched."""

    identity: str
    url: str
    """Without credentials."""
    etag: str
    modified: str
    """The server's ``Last-Modified``."""
    fetched: str
    """The day it was fetched or last found unchanged, in UTC: ``2026-11-21``."""
    sha256: str
    place: int | None
    data: bytes


class Storage:
    """The lists in one cache; nothing is made before it is needed."""

    def __init__(self, cache_dir: Path, reporter: Reporter) -> None:
        self._cache = cache_dir
        self._folder = cache_dir / "catalogs"
        self._reporter = reporter

    def find(self, url: str) -> StoredList | None:
        """The list from ``url``, or ``None``; a damaged one is thrown away with a warning."""
        return self._load(_identity(url))

    def used(self) -> list[StoredList]:
        """The lists that are used when nobody names a catalog, in their order."""
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return []
        found = [self._load(name[:-5], placed=True) for name in names if _ID.fullmatch(name)]
        lists = [each for each in found if each is not None]
        return sorted(lists, key=lambda each: (each.place or 0, each.url))

    def keep(
        self, url: str, data: bytes, *, etag: str, modified: str, place: int | None
    ) -> StoredList:
        """Store ``data`` from ``url``, or the news that it has not changed; raises OSError."""
        from kitbag_packer.cache.files import make_cache_folder, make_folder, write_atomically
        from kitbag_packer.downloads.addresses import shown

        kept = StoredList(
            identity=_identity(url),
            url=shown(url),
            etag=etag,
            modified=modified,
            fetched=today(),
            sha256=hashlib.sha256(data).hexdigest(),
            place=place,
            data=data,
        )
        make_cache_folder(self._cache)
        make_folder(self._folder)
        path = self._data_path(kept.identity, kept.sha256)
        if not _holds(path, data):
            write_atomically(path, data, private=bool(_SECRETS.search(data)))
        self._write(kept)
        self._sweep(kept.identity, path.name)
        return kept

    def place(self, stored: StoredList, place: int | None) -> None:
        """Give a stored list another turn, or none; raises OSError."""
        if stored.place != place:
            from dataclasses import replace

            self._write(replace(stored, place=place))

    def _write(self, stored: StoredList) -> None:
        import json

        from kitbag_packer.cache.files import write_atomically

        table = {
            "url": stored.url,
            "etag": stored.etag,
            "modified": stored.modified,
            "fetched": stored.fetched,
            "sha256": stored.sha256,
            "place": stored.place,
        }
        path = self._folder / f"{stored.identity}.json"
        write_atomically(path, json.dumps(table, indent=2).encode() + b"\n")

    def _load(self, identity: str, *, placed: bool = False) -> StoredList | None:
        url = ""
        # Another process may replace the list between the two reads; then the record is new too.
        for _ in range(3):
            record = self._read_record(identity)
            if record is None or (placed and record["place"] is None):
                return None
            url = record["url"]
            try:
                data = self._data_path(identity, record["sha256"]).read_bytes()
            except FileNotFoundError:
                continue
            except OSError:
                return None
            if hashlib.sha256(data).hexdigest() == record["sha256"]:
                return StoredList(identity=identity, data=data, **record)
            break
        self._reporter.warn(
            f"{url}: the stored list is damaged and was thrown away; fetch it again with "
            "kitbag catalog update"
        )
        self._discard(identity)
        return None

    def _read_record(self, identity: str) -> dict[str, Any] | None:
        import json

        from kitbag_packer.cache.records import is_trusted

        try:
            with open(self._folder / f"{identity}.json", "rb") as file:
                trusted = is_trusted(os.fstat(file.fileno()))
                table = json.loads(file.read(_LARGEST_RECORD))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(table, dict):
            return None
        texts = {name: table.get(name) for name in ("url", "etag", "modified", "fetched")}
        place, sha256 = table.get("place"), digest_of(table.get("sha256"))
        if not all(_is_line(value) for value in texts.values()) or not sha256:
            return None
        if not _DATE.fullmatch(str(texts["fetched"])) or type(place) not in (int, type(None)):
            return None
        if not trusted:
            self._reporter.warn(
                f"{texts['url']}: the stored list is not used, since another user can change it; "
                "fetch it again with kitbag catalog update"
            )
            return None
        return {**texts, "sha256": sha256, "place": place}

    def _data_path(self, identity: str, sha256: str) -> Path:
        return self._folder / f"{identity}-{sha256[:16]}.list"

    def _sweep(self, identity: str, keep: str) -> None:
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith(f"{identity}-") and name != keep:
                    os.unlink(self._folder / name)

    def _discard(self, identity: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._folder / f"{identity}.json")
        self._sweep(identity, "")


def today() -> str:
    """The day in UTC, ``2026-11-21``."""
    return datetime.now(UTC).date().isoformat()


def _identity(url: str) -> str:
    plain = _CREDENTIALS.sub("//", url, count=1)
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _is_line(value: object) -> bool:
    return isinstance(value, str) and len(value) < 4096 and value.isprintable()
