"""Asks how large archives are, without fetching them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_packer.downloads.addresses import is_local, local_path
from kitbag_packer.downloads.answers import content_length, content_range
from kitbag_packer.downloads.bodies import is_page
from kitbag_packer.downloads.retries import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.downloads.client import Web
    from kitbag_packer.downloads.settings import DownloadSettings

_PATIENCE = 15.0
"""Seconds for an answer: a size is nice to have and not worth a long wait."""
_TRIES = 2


def measure(urls: Sequence[tuple[str, ...]], settings: DownloadSettings) -> list[int | None]:
    """Bytes of each item, which may be at several addresses; ``None`` where nobody tells.

    Side by side. Never raises for the network or for what the environment says about it.
    """
    sizes: list[int | None] = [None] * len(urls)
    todo = deque(enumerate(urls))
    done: SimpleQueue[None] = SimpleQueue()
    stop = threading.Event()
    patient = replace(settings, read_timeout=min(settings.read_timeout, _PATIENCE))
    with contextlib.ExitStack() as stack:
        web: Web | None = None
        if not settings.offline and any(not is_local(url) for item in urls for url in item):
            from kitbag_packer.downloads.client import Web

            web = stack.enter_context(Web(patient))

        def work() -> None:
            while not stop.is_set():
                try:
                    number, item = todo.popleft()
                except IndexError:
                    break
                sizes[number] = _size(item, web)
            done.put(None)

        threads = [
            threading.Thread(target=work, daemon=True, name="measure")
            for _ in range(min(len(urls), max(1, settings.jobs)))
        ]
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                done.get()
        finally:
            stop.set()
            if web is not None and any(thread.is_alive() for thread in threads):
                web.abort()
            for thread in threads:
                thread.join(1.0)
    return sizes


def _size(item: Sequence[str], web: Web | None) -> int | None:
    for url in item:
        try:
            if is_local(url):
                return _local_size(url)
            size = _remote_size(url, web) if web is not None else None
        except (KitbagError, OSError):
            continue
        if size is not None:
            return size
    return None


def _local_size(url: str) -> int:
    return os.stat(local_path(url)).st_size


def _remote_size(url: str, web: Web) -> int | None:
    for method, headers in (("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):
        for _ in range(_TRIES):
            try:
                with web.open(url, headers, method) as response:
                    said = content_range(response.headers.get("content-range", ""))
                    if response.status_code == 206:
                        size = said[2] if said else None
                    elif response.status_code == 200 and not is_page(
                        b"", b"", response.headers.get("content-type", "")
                    ):
                        size = content_length(response.headers)
                    else:
                        size = None
            except Failure as failure:
                if failure.passing:
                    continue
                size = None
            if size is not None:
                return size
            break
    return None
