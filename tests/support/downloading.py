"""What tests of downloads need: settings without long waits, a watcher that notes, archives."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.downloads.fetching import Download, Fetched, fetch
from kitbag_packer.downloads.settings import DownloadSettings

if TYPE_CHECKING:
    from kitbag_packer.cache import Cache

FAST = DownloadSettings(
    retries=4,
    connect_timeout=5.0,
    read_timeout=5.0,
    rate_window=5.0,
    first_pause=0.001,
    longest_pause=0.02,
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@dataclass
class Note:
    """What one track was told."""

    label: str
    total: int | None
    begins: list[tuple[int | None, int]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    pauses: list[tuple[str, float, int]] = field(default_factory=list)
    end: str = ""

    def begin(self, total: int | None, done: int) -> None:
        self.begins.append((total, done))

    def advance(self, count: int) -> None:
        self.steps.append(count)

    def pause(self, reason: str, seconds: float, attempt: int) -> None:
        self.pauses.append((reason, seconds, attempt))

    def finish(self) -> None:
        self.end = "finished"

    def fail(self, reason: str) -> None:
        self.end = reason


class Notes(SilentReporter):
    """A reporter and a watcher that keeps everything."""

    def __init__(self) -> None:
        self.tracks: list[Note] = []
        self.messages: list[str] = []
        self.counts: list[int] = []
        self.open = 0

    def info(self, message: str) -> None:
        self.messages.append(message)

    def warn(self, message: str) -> None:
        self.messages.append(message)

    def downloads(self, count: int) -> Notes:
        self.counts.append(count)
        return self

    def __enter__(self) -> Notes:
        self.open += 1
        return self

    def __exit__(self, *exc: object) -> None:
        self.open -= 1

    def track(self, label: str, total: int | None) -> Note:
        note = Note(label, total)
        self.tracks.append(note)
        return note


@dataclass
class Fetching:
    """``fetch`` with everything that it needs."""

    cache: Cache
    notes: Notes
    settings: DownloadSettings = FAST

    def __call__(self, *downloads: Download, arrived: Any = None, **settings: Any) -> Fetched:
        return fetch(downloads, self.cache, replace(self.settings, **settings), self.notes, arrived)

    def one(self, download: Download, **settings: Any) -> bytes:
        """The bytes of one download; raises what became of it."""
        fetched = self(download, **settings)
        for failure in fetched.failures.values():
            raise failure
        return fetched.entries[download].path.read_bytes()

    @property
    def leftovers(self) -> list[str]:
        """Data of partial files, and archives."""
        folder = self.cache.folder
        places = [*folder.glob("partial/*/data"), *folder.glob("archives/*")]
        return sorted(str(path.relative_to(folder)) for path in places)


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that nothing could have made up, with the begin of a gzip file."""
    return (b"\x1f\x8b" + random.Random(seed).randbytes(size))[:size]


def download(data: bytes, *urls: str, sha256: str | None = None, **more: Any) -> Download:
    """A download of ``data``; ``sha256=""`` for one without a known digest."""
    name = more.pop("filename", "a.tar.gz")
    digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    return Download(more.pop("label", name), urls, name, digest, **more)
