"""Fetches small documents: lists of builds, checksum files, index pages."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_packer.downloads.addresses import host_of, is_local, local_path, shown
from kitbag_packer.downloads.retries import Attempts, Failure, GaveUp
from kitbag_packer.downloads.stalls import Meter
from kitbag_packer.errors import DownloadError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from kitbag_packer.downloads.client import Web
    from kitbag_packer.downloads.settings import DownloadSettings

_LARGEST = 64 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True)
class Document:
    """What an address delivered, and what to give it next time."""

    data: bytes
    etag: str
    modified: str
    """The ``Last-Modified`` field as it was sent."""


def _tell_nobody(message: str) -> None:
    pass


def fetch_document(
    url: str,
    settings: DownloadSettings,
    *,
    etag: str = "",
    modified: str = "",
    tell: Callable[[str], object] = _tell_nobody,
) -> Document | None:
    """The document at ``url`` (http, https, file), or ``None`` if it is still the known one.

    ``etag`` and ``modified`` are those of the known one. What may pass is tried again,
    and ``tell`` gets a line about it before each pause. Raises
    :class:`DownloadError`, also for documents above 64 MiB, and :class:`OfflineError`.
    """
    if is_local(url):
        return _read(url)
    if settings.offline:
        raise OfflineError(
            f"{shown(url)} would have to be fetched, and --offline forbids it; name a local file, "
            "or run it once without --offline"
        )
    from kitbag_packer.downloads.client import Web

    conditions = {"If-None-Match": etag, "If-Modified-Since": modified}
    headers = {name: value for name, value in conditions.items() if value}
    attempts = Attempts((url,), settings)
    with Web(settings) as web:
        while True:
            try:
                return _try(web, url, headers, settings)
            except Failure as failure:
                try:
                    pause = attempts.failed(failure, progressed=False)
                except GaveUp:
                    raise DownloadError(
                        f"{shown(url)} can't be fetched: {host_of(url)} {failure.reason}; check "
                        "the address and the link"
                    ) from None
                tell(
                    f"{shown(url)}: {host_of(url)} {failure.reason}; again in {pause:.0f} s "
                    f"(try {attempts.fruitless + 1} of {max(1, settings.retries)})"
                )
                threading.Event().wait(pause)


def _try(
    web: Web, url: str, headers: dict[str, str], settings: DownloadSettings
) -> Document | None:
    with web.open(url, {**headers, "Accept-Encoding": "gzip, deflate"}) as response:
        if response.status_code == 304 and headers:
            return None
        if response.status_code != 200:
            raise Failure(f"answered {response.status_code}", passing=False)
        if "," in response.headers.get("content-encoding", ""):
            # Each layer multiplies what a few bytes can unfold to, before anybody can count them.
            raise Failure("sent a document that is compressed more than once", passing=False)
        return Document(
            _body(response, settings),
            response.headers.get("etag", ""),
            response.headers.get("last-modified", ""),
        )


def _body(response: httpx.Response, settings: DownloadSettings) -> bytes:
    parts: list[bytes] = []
    size = 0
    meter = Meter(settings.minimum_rate, settings.rate_window)
    asked = time.monotonic()
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > _LARGEST:
            raise Failure(f"sends more than {_LARGEST} bytes", passing=False)
        if meter.add(time.monotonic() - asked, len(part)):
            raise Failure("sends too slowly", passing=True)
        asked = time.monotonic()
    return b"".join(parts)


def _read(url: str) -> Document:
    path = local_path(url)
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise DownloadError(f"{path} can't be read: {error.strerror}; check the path") from None
    if len(data) > _LARGEST:
        raise DownloadError(f"{path} has more than {_LARGEST} bytes; that is no list of builds")
    return Document(data, "", "")
