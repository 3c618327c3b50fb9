"""One download from beginning to end: tries, resumes, compares, checks.

What arrives goes to the partial file at once and is hashed on the way. A try asks for the rest of
what is there. Where no digest is known the rest must be that of the same file, so a validator
(``If-Range``) is needed; where one is known it decides in the end, and any address may go on with
what another one began.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, BinaryIO

from kitbag_bundles.errors import DigestMismatch, KitbagError
from kitbag_packer.downloads.addresses import host_of, is_local, local_path, shown
from kitbag_packer.downloads.answers import (
    content_length,
    content_range,
    is_framed,
    validators,
)
from kitbag_packer.downloads.bodies import Comparison, is_page, magic_of
from kitbag_packer.downloads.partials import Origin, Partial
from kitbag_packer.downloads.retries import Attempts, Failure, GaveUp, Stopped, status_failure
from kitbag_packer.downloads.stalls import Meter
from kitbag_packer.errors import DownloadError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    import httpx

    from kitbag_packer.cache import PartialFile
    from kitbag_packer.downloads.client import Web
    from kitbag_packer.downloads.fetching import Download
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.downloads.throttling import Limiter
    from kitbag_packer.downloads.turns import Turn
    from kitbag_packer.downloads.watching import Track

_BLOCK = 1 << 20
_CHANGES = 5
"""How often a file may change under our hands."""


class Transfer:
    """One download under way, in one thread."""

    def __init__(
        self,
        download: Download,
        urls: Sequence[str],
        settings: DownloadSettings,
        *,
        web: Callable[[], Web],
        turn: Turn,
        limiter: Limiter,
        track: Track,
        stop: threading.Event,
    ) -> None:
        """``urls``: where to try, best first; ``turn`` is given back in pauses."""
        self._download = download
        self._settings = settings
        self._web = web
        self._turn = turn
        self._limiter = limiter
        self._track = track
        self._stop = stop
        self._attempts = Attempts(urls, settings)
        self._magic = magic_of(download.filename)
        self._whole_only: set[str] = set()
        self._refetched: set[str] = set()
        self._ended_at: dict[str, int] = {}
        self._changes = 0
        self._one_stream = False
        self._part: Partial

    def run(self, place: PartialFile) -> tuple[str, str]:
        """Get everything into ``place.data``; the SHA-256 and the address it came from.

        Raises :class:`DownloadError`, :class:`DigestMismatch`, :class:`Stopped`, OSError.
        """
        with Partial(place, trusted=bool(self._download.sha256)) as self._part:
            while True:
                url = self._attempts.url
                before = self._part.gained
                try:
                    return self._try(url), url
                except Failure as failure:
                    if self._stop.is_set():
                        raise Stopped from None
                    self._go_on(failure, progressed=self._part.gained > before)

    def _go_on(self, failure: Failure, *, progressed: bool) -> None:
        """Wait for the next try, or give up."""
        try:
            pause = self._attempts.failed(failure, progressed=progressed)
        except GaveUp:
            raise self._given_up() from None
        if pause:
            self._turn.give_back()
            self._track.pause(
                f"the server {failure.reason}", pause, max(1, self._attempts.fruitless)
            )
            if self._stop.wait(pause):
                raise Stopped

    def _try(self, url: str) -> str:
        """One try at ``url``; the digest of the whole."""
        if not self._is_all(url):
            if is_local(url):
                self._copy(url)
            else:
                self._turn.take(url)
                self._fetch(url)
        if not self._is_all(url):
            raise Failure("sent less than everything", passing=True)
        return self._checked(url)

    def _is_all(self, url: str) -> bool:
        part, wanted = self._part, self._download
        if wanted.sha256 and part.have and part.digest == wanted.sha256:
            return True
        total = wanted.size if wanted.size is not None else part.origin.total
        return total is not None and part.have >= total

    def _checked(self, url: str) -> str:
        part, wanted = self._part, self._download
        if not part.have:
            raise Failure("has an empty file", passing=False)
        seen = part.digest
        if not wanted.sha256 or seen == wanted.sha256:
            return seen
        again = not self._one_stream and url not in self._refetched
        part.discard()
        if again:
            # It was put together of pieces, perhaps of different files.
            self._refetched.add(url)
            raise Failure("sent pieces that don't fit together", passing=True, at_once=True)
        raise Failure(
            f"delivered a file with the SHA-256 {seen}, not {wanted.sha256}",
            passing=False,
            wrong=True,
        )

    def _copy(self, url: str) -> None:
        with _opened(url) as file:
            total = os.fstat(file.fileno()).st_size
            self._accept_total(total)
            origin = Origin(shown(url), "", "", total)
            self._receive(self._blocks(file), origin, url, "", framed=True)

    def _fetch(self, url: str) -> None:
        headers = self._range_headers(url)
        with self._web().open(url, headers) as response:
            if response.status_code == 416:
                self._unsatisfiable(url, response, headers)
            elif response.status_code == 206:
                self._resume(url, response, headers)
            elif response.status_code == 200:
                self._begin(url, response)
            else:
                raise status_failure(response.status_code, "")

    def _range_headers(self, url: str) -> dict[str, str]:
        part = self._part
        if not part.have or url in self._whole_only:
            return {}
        headers = {"Range": f"bytes={part.have}-"}
        origin = part.origin
        validator = origin.etag or origin.modified
        if validator and origin.url == shown(url):
            return {**headers, "If-Range": validator}
        # Without a digest nobody would notice a file put together of two.
        return headers if self._download.sha256 else {}

    def _unsatisfiable(self, url: str, response: httpx.Response, headers: dict[str, str]) -> None:
        """416: there is nothing after what is there."""
        said = content_range(response.headers.get("content-range", ""))
        total = said[2] if said else None
        part = self._part
        if "Range" not in headers:
            raise status_failure(416, "")
        if total == part.have and self._download.size in (None, total):
            part.learn_total(part.have)
            return
        if total is None and self._download.sha256 and self._download.size is None:
            part.learn_total(part.have)
            return
        self._change()
        part.discard()
        raise Failure("has another file by now", passing=True, at_once=True)

    def _resume(self, url: str, response: httpx.Response, headers: dict[str, str]) -> None:
        """206: the rest follows, if it is the rest."""
        part = self._part
        said = content_range(response.headers.get("content-range", ""))
        etag, modified = validators(response.headers)
        # Only its own address may say that the file is another one by now.
        known = part.origin if part.origin.url == shown(url) else Origin(total=part.origin.total)
        if (
            said is None
            or "Range" not in headers
            or said[0] != part.have
            or (None not in (said[2], known.total) and said[2] != known.total)
            or (etag and known.etag and etag != known.etag)
        ):
            if "Range" not in headers:
                raise Failure("sent a part of what was asked for", passing=False)
            self._whole_only.add(url)
            raise Failure("sent another part than was asked for", passing=True, at_once=True)
        total = said[2]
        self._accept_total(total)
        origin = Origin(
            shown(url),
            etag or known.etag,
            modified or known.modified,
            total if total is not None else part.origin.total,
        )
        part.note(origin)
        self._one_stream = False
        self._receive(self._body(response), origin, url, "", framed=False, begin=part.have)

    def _begin(self, url: str, response: httpx.Response) -> None:
        """200: the file from its beginning."""
        etag, modified = validators(response.headers)
        total = content_length(response.headers)
        origin = Origin(shown(url), etag, modified, total)
        self._receive(
            self._body(response),
            origin,
            url,
            response.headers.get("content-type", ""),
            framed=is_framed(response.headers),
        )

    def _accept_total(self, total: int | None) -> None:
        wanted = self._download.size
        if total is not None and wanted is not None and total != wanted:
            raise Failure(f"has a file of {total} bytes, not of {wanted}", passing=False)

    def _receive(
        self,
        chunks: Iterator[bytes],
        origin: Origin,
        url: str,
        content_type: str,
        *,
        framed: bool,
        begin: int = 0,
    ) -> None:
        """Take a body that begins at ``begin``: 0, or what is there."""
        part = self._part
        if begin == 0:
            chunks = self._without_pages(chunks, content_type)
            # Looked at after the page: a page is not a file of another size.
            first = next(chunks, b"")
            self._accept_total(origin.total)
        else:
            first = b""
        comparison = Comparison(part) if begin < part.have else None
        if comparison is None and begin == 0:
            self._one_stream = True
            part.note(origin)
        total = self._download.size if self._download.size is not None else origin.total
        self._track.begin(total, part.have)
        gained = part.gained
        for chunk in _chain(first, chunks):
            rest = memoryview(chunk)
            if comparison is not None:
                rest, changed = comparison.feed(rest)
                if changed:
                    self._change()
                    self._track.begin(total, part.have)
                if comparison.done:
                    self._compared(origin)
                    comparison = None
            if rest:
                self._append(rest)
        if comparison is not None and framed:
            if comparison.end():
                self._change()
            self._compared(origin)
        if begin == 0 and comparison is None:
            self._ended(url, framed=framed, progressed=part.gained > gained)

    def _compared(self, origin: Origin) -> None:
        """All that is there is of this one body."""
        self._one_stream = True
        self._part.note(origin)

    def _ended(self, url: str, *, framed: bool, progressed: bool) -> None:
        """A body from the beginning ended in order; is that the end of the file?"""
        part = self._part
        again = self._ended_at.get(url) == part.have and not progressed
        self._ended_at[url] = part.have
        if framed or (again and self._download.sha256):
            part.learn_total(part.have)

    def _change(self) -> None:
        self._changes += 1
        if self._changes > _CHANGES:
            raise Failure("has a file that changes all the time", passing=False)

    def _append(self, data: memoryview) -> None:
        part, size = self._part, self._download.size
        if size is not None and part.have + len(data) > size:
            part.discard()
            raise Failure(f"sends more than the {size} bytes of the file", passing=False)
        piece = self._limiter.piece or len(data)
        for start in range(0, len(data), piece):
            some = data[start : start + piece]
            self._limiter.take(len(some), self._stop)
            part.append(some)
            self._track.advance(len(some))

    def _blocks(self, file: BinaryIO) -> Iterator[bytes]:
        while True:
            try:
                block = file.read(_BLOCK)
            except OSError as error:
                raise _unreadable(error) from None
            if self._stop.is_set():
                raise Stopped
            if not block:
                return
            yield block

    def _body(self, response: httpx.Response) -> Iterator[bytes]:
        """The bytes as they are on the wire, as long as they come at a tolerable rate."""
        meter = Meter(self._settings.minimum_rate, self._settings.rate_window)
        chunks = response.iter_raw()
        while True:
            asked = time.monotonic()
            chunk = next(chunks, b"")
            stalled = meter.add(time.monotonic() - asked, len(chunk))
            if chunk:
                yield chunk
            if self._stop.is_set():
                raise Stopped
            if not chunk:
                return
            if stalled:
                raise Failure(
                    f"sent less than {self._settings.minimum_rate} bytes a second for "
                    f"{self._settings.rate_window:g} s",
                    passing=True,
                )

    def _without_pages(self, chunks: Iterator[bytes], content_type: str) -> Iterator[bytes]:
        """The same bytes, unless they are a web page; the first few are held back until known."""
        held = b""
        for chunk in chunks:
            held += chunk
            page = is_page(held, self._magic, content_type)
            if page:
                raise Failure(
                    "sent a web page instead of an archive (is there a login page in between?)",
                    passing=False,
                )
            if page is not None:
                yield held
                yield from chunks
                return
        if held:
            yield held

    def _given_up(self) -> KitbagError:
        """All addresses and their reasons, in one line."""
        reasons = self._attempts.reasons
        told = "; ".join(
            dict.fromkeys(f"{host_of(url)} {failure.reason}" for url, failure in reasons.items())
        )
        name = self._download.filename
        if any(failure.wrong for failure in reasons.values()):
            advice = "ask whoever publishes it, or try another mirror or catalog"
            if self._download.package:
                advice = "ask whoever publishes it, or make the lock anew if that one is right"
            return DigestMismatch(f"{name} was refused and is not kept: {told}; {advice}")
        if self._part.have:
            return DownloadError(
                f"{name} did not arrive: {told}; the {self._part.have} bytes that did are kept, "
                "so run the same command again to go on"
            )
        advice = "try --mirror"
        if self._download.package:
            advice = "make the lock anew if it is no longer published"
        return DownloadError(f"{name} did not arrive: {told}; check the link, or {advice}")


def _opened(url: str) -> BinaryIO:
    try:
        return open(local_path(url), "rb", buffering=0)
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> Failure:
    return Failure(f"can't be read ({error.strerror})", passing=False)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
