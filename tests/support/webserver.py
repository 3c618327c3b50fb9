"""A web server on loopback that misbehaves on purpose, and remembers what it was asked.

::

    with serving({"/a.bin": data}, cut_after=3000) as server:
        fetch(server.url + "a.bin")
        assert server.sent("/a.bin") == len(data)

What it serves is a folder, or a mapping of paths to bytes that may be changed meanwhile. How it
behaves is said for every path by keywords, or for one path with ``behaviours`` or ``behave``.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import mimetypes
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

_PIECE = 64 * 1024
_LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


@dataclass(frozen=True)
class Behaviour:
    """How one path is answered; the default is what a good server does."""

    statuses: tuple[int, ...] = ()
    """Statuses of the first answers, one each; ``0`` is a good answer among them."""
    always: int = 0
    """The status of every answer."""
    retry_after: str = ""
    """The header of those statuses: seconds or a date."""
    location: str = ""
    """Where redirects among those statuses lead."""
    versions: tuple[bytes, ...] = ()
    """Bodies of one GET after another, the last one from then on; each has its own ETag."""
    rate: float | None = None
    """Bytes per second."""
    cut_after: int | None = None
    """Bytes of a body after which the connection ends, each time."""
    cuts: int | None = None
    """How often it is cut; ``None`` is always."""
    reset: bool = False
    """A cut is a reset, not an orderly end."""
    stall_after: int | None = None
    """Bytes of a body after which nothing comes any more, while the connection stays."""
    stalls: int | None = None
    """How often it stalls; ``None`` is always."""
    drip: float = 0.0
    """Bytes per second that still come after ``stall_after``."""
    ranges: bool = True
    """Whether ranges are understood."""
    wrong_range: int = 0
    """Content-Range and the body begin so many bytes from what was asked for."""
    if_range: bool = True
    """Whether If-Range is understood; a range is answered in any case where it is not."""
    etag: str | None = None
    """The ETag as it is sent; ``""`` for none, ``None`` for one of the content's digest."""
    weak: bool = False
    """Whether the ETag is a weak one."""
    modified: str = _LAST_MODIFIED
    """Last-Modified; ``""`` for none."""
    length: int | None = 0
    """Added to Content-Length; ``None`` for no length at all, the end is the connection's."""
    chunked: bool = False
    """Send in chunks, without Content-Length."""
    truncate: int | None = None
    """Bytes of the body that are sent before an end that looks orderly (see ``length``)."""
    content_type: str = ""
    content_encoding: str = ""
    """A label; the body stays as it is."""
    html: str = ""
    """A page that is sent instead of the content, with status 200."""
    head: bool = True
    """Whether HEAD is allowed."""
    delay: float = 0.0
    """Seconds before the answer."""
    basic: str = ""
    """``user:password`` that a request must have; others get a 401."""


@dataclass
class Record:
    """One request and what came of it; complete when the answer has ended."""

    method: str
    path: str
    """Decoded, without host and query."""
    target: str
    """As it stood in the request."""
    headers: dict[str, str]
    """Names in lower case."""
    status: int = 0
    sent: int = 0
    """Bytes of the body."""
    began: float = field(default_factory=time.monotonic)


class WebServer:
    """A running server; made by :func:`serving`."""

    def __init__(
        self,
        content: Path | Mapping[str, bytes],
        usual: Behaviour,
        behaviours: Mapping[str, Behaviour],
        tls: ssl.SSLContext | None,
        host: str,
    ) -> None:
        self.content: Any = content if isinstance(content, Path) else dict(content)
        self.requests: list[Record] = []
        self._usual = usual
        self._behaviours = dict(behaviours)
        self._tls = tls
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._changed = threading.Condition(self._lock)
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._answers: Counter[str] = Counter()
        self._bodies: Counter[str] = Counter()
        self._cuts: Counter[str] = Counter()
        self._stalls: Counter[str] = Counter()
        self.most_at_once = 0
        """The most bodies that were under way at the same time."""
        self._under_way: set[int] = set()
        self._listener = socket.create_server((host, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.host = host
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://{host}:{self.port}/"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def behave(self, path: str, **behaviour: Any) -> None:
        """Answer ``path`` differently from now on."""
        with self._lock:
            self._behaviours[path] = replace(self._behaviours.get(path, self._usual), **behaviour)

    def sent(self, path: str | None = None) -> int:
        """Body bytes sent for ``path``, or for all paths; unfinished answers count too."""
        with self._lock:
            return sum(record.sent for record in self.requests if path in (None, record.path))

    def count(self, path: str | None = None, method: str | None = None) -> int:
        """How many requests came in."""
        with self._lock:
            return sum(
                path in (None, record.path) and method in (None, record.method)
                for record in self.requests
            )

    def wait_until_sent(self, path: str, count: int, timeout: float = 30.0) -> None:
        """Return as soon as ``count`` body bytes of ``path`` have been sent."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: sum(r.sent for r in self.requests if r.path == path) >= count, timeout
            )
        assert done, f"{path}: not {count} bytes in {timeout} s"

    def close(self) -> None:
        """End everything that is under way."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()
            if self._stop.is_set():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._connections.add(connection)
            while not self._stop.is_set() and self._answer(connection):
                pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._connections.discard(raw)
                self._connections.discard(connection)
            connection.close()
            raw.close()

    def _answer(self, connection: socket.socket) -> bool:
        """Answer one request; whether another may follow on the connection."""
        head = _read_head(connection)
        if head is None:
            return False
        method, target, headers = head
        path = unquote(urlsplit(target).path) or "/"
        record = Record(method, path, target, headers)
        with self._lock:
            behaviour = self._behaviours.get(path, self._usual)
            number = self._answers[path]
            self._answers[path] += 1
            self.requests.append(record)
        if behaviour.delay:
            self._stop.wait(behaviour.delay)
        answer = self._prepare(record, behaviour, number)
        record.status = answer.status
        if self._tls is None or not answer.body:
            connection.sendall(answer.head())
        else:
            connection.sendall(answer.head())
        if method == "HEAD":
            return not answer.closes
        with self._lock:
            self._under_way.add(id(record))
            self.most_at_once = max(self.most_at_once, len(self._under_way))
        try:
            whole = self._send_body(connection, record, answer, behaviour)
        finally:
            self._ends(record)
        if answer.chunked and whole:
            connection.sendall(b"0\r\n\r\n")
        if not whole and behaviour.reset:
            _drain(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return whole and not answer.closes

    def _prepare(self, record: Record, behaviour: Behaviour, number: int) -> _Answer:
        status = behaviour.always
        if number < len(behaviour.statuses):
            status = behaviour.statuses[number]
        if status:
            headers = {"Content-Type": "text/plain"}
            if behaviour.retry_after:
                headers["Retry-After"] = behaviour.retry_after
            if behaviour.location:
                headers["Location"] = behaviour.location
            return _Answer(status, headers, b"no\n" if status not in (204, 304) else b"")
        if behaviour.basic and not _is_allowed(record.headers, behaviour.basic):
            return _Answer(401, {"WWW-Authenticate": 'Basic realm="index"'}, b"who are you?\n")
        if behaviour.html:
            return _Answer(
                200, {"Content-Type": "text/html; charset=utf-8"}, behaviour.html.encode()
            )
        if record.method not in ("GET", "HEAD") or (record.method == "HEAD" and not behaviour.head):
            return _Answer(405, {"Allow": "GET"}, b"")
        body = self._body(record, behaviour)
        if body is None:
            return _Answer(404, {"Content-Type": "text/plain"}, b"no such file\n")
        return _content(record, behaviour, body)

    def _body(self, record: Record, behaviour: Behaviour) -> bytes | None:
        if behaviour.versions:
            with self._lock:
                number = self._bodies[record.path]
                if record.method == "GET":
                    self._bodies[record.path] += 1
            return behaviour.versions[min(number, len(behaviour.versions) - 1)]
        if isinstance(self.content, Path):
            place = self.content.joinpath(
                *(p for p in record.path.split("/") if p not in ("", ".."))
            )
            if place.is_dir():
                return _index(
                    [entry.name + "/" * entry.is_dir() for entry in sorted(place.iterdir())]
                )
            return place.read_bytes() if place.is_file() else None
        body: bytes | None = self.content.get(record.path)
        if body is None and record.path.endswith("/"):
            inner = [path.removeprefix(record.path) for path in self.content]
            below = {
                name.partition("/")[0] + "/" * ("/" in name)
                for path, name in zip(self.content, inner, strict=True)
                if path.startswith(record.path)
            }
            return _index(sorted(below)) if below else None
        return body

    def _ends(self, record: Record) -> None:
        with self._lock:
            self._under_way.discard(id(record))

    def _send_body(
        self, connection: socket.socket, record: Record, answer: _Answer, behaviour: Behaviour
    ) -> bool:
        """Send the body as ``behaviour`` wants it; whether the connection is still good."""
        content = answer.status in (200, 206)
        body = memoryview(answer.body)
        if content and behaviour.truncate is not None:
            body = body[: behaviour.truncate]
        cut = self._limit(self._cuts, record.path, behaviour.cut_after, behaviour.cuts)
        stall = self._limit(self._stalls, record.path, behaviour.stall_after, behaviour.stalls)
        limit = min(
            (n for n in (cut, stall, len(body)) if n is not None and content), default=len(body)
        )
        self._send(connection, record, body[:limit], behaviour.rate, answer.chunked)
        if limit == len(body):
            return not (content and behaviour.truncate is not None)
        if limit == cut:
            with self._lock:
                self._cuts[record.path] += 1
            return False
        with self._lock:
            self._stalls[record.path] += 1
        if behaviour.drip:
            self._send(connection, record, body[limit:], behaviour.drip, answer.chunked)
        else:
            _wait_for_end(connection, self._stop)
        return False

    def _limit(
        self, counter: Counter[str], path: str, limit: int | None, times: int | None
    ) -> int | None:
        with self._lock:
            return None if times is not None and counter[path] >= times else limit

    def _send(
        self,
        connection: socket.socket,
        record: Record,
        body: memoryview,
        rate: float | None,
        chunked: bool,
    ) -> None:
        piece = _PIECE if rate is None else max(1, min(_PIECE, int(rate / 100)))
        began, done = time.monotonic(), 0
        while done < len(body) and not self._stop.is_set():
            part = body[done : done + piece]
            if done + piece >= len(body):
                # Whoever has the last byte may ask for the next body before this thread goes on.
                self._ends(record)
            if chunked:
                connection.sendall(b"%x\r\n" % len(part) + part.tobytes() + b"\r\n")
            else:
                connection.sendall(part)
            done += len(part)
            with self._changed:
                record.sent += len(part)
                self._changed.notify_all()
            if rate is not None and self._stop.wait(
                max(0.0, began + done / rate - time.monotonic())
            ):
                return


@dataclass
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    chunked: bool = False
    length: int | None = 0

    @property
    def closes(self) -> bool:
        return self.length is None

    def head(self) -> bytes:
        headers = dict(self.headers)
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif self.length is None:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(max(0, len(self.body) + self.length))
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _content(record: Record, behaviour: Behaviour, body: bytes) -> _Answer:
    etag = behaviour.etag
    if etag is None:
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        etag = "W/" + etag if behaviour.weak else etag
    headers = {
        "Content-Type": behaviour.content_type
        or ("text/html" if record.path.endswith("/") else mimetypes.guess_type(record.path)[0])
        or "application/octet-stream"
    }
    if etag:
        headers["ETag"] = etag
    if behaviour.modified:
        headers["Last-Modified"] = behaviour.modified
    if behaviour.content_encoding:
        headers["Content-Encoding"] = behaviour.content_encoding
    if _unchanged(record.headers, etag, behaviour.modified):
        return _Answer(304, headers, b"")
    wanted = _wanted(record.headers, behaviour, etag, len(body))
    if behaviour.ranges:
        headers["Accept-Ranges"] = "bytes"
    if wanted == "unsatisfiable":
        return _Answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
    status = 200
    if isinstance(wanted, tuple):
        start, stop = (max(0, at + behaviour.wrong_range) for at in wanted)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
        body, status = body[start:stop], 206
    return _Answer(status, headers, body, behaviour.chunked, behaviour.length)


def _is_allowed(headers: Mapping[str, str], account: str) -> bool:
    expected = base64.b64encode(account.encode()).decode()
    return headers.get("authorization", "") == f"Basic {expected}"


def _unchanged(headers: Mapping[str, str], etag: str, modified: str) -> bool:
    if "if-none-match" in headers:
        asked = headers["if-none-match"].removeprefix("W/")
        return bool(etag) and asked == etag.removeprefix("W/")
    if "if-modified-since" in headers and modified:
        since = parsedate_to_datetime(headers["if-modified-since"])
        return parsedate_to_datetime(modified) <= since
    return False


def _wanted(
    headers: Mapping[str, str], behaviour: Behaviour, etag: str, size: int
) -> tuple[int, int] | str | None:
    asked = headers.get("range", "")
    if not behaviour.ranges or not asked.startswith("bytes=") or "," in asked:
        return None
    condition = headers.get("if-range")
    if condition is not None and behaviour.if_range:
        strong = condition == etag and not etag.startswith("W/")
        if not (strong or condition == (behaviour.modified or "-")):
            return None
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, size - int(last)), size
    start = int(first)
    if start >= size:
        return "unsatisfiable"
    return start, min(size, int(last) + 1) if last else size


def _index(names: list[str]) -> bytes:
    rows = "".join(f'<a href="{quote(name, safe="/")}">{html.escape(name)}</a>\n' for name in names)
    page = f'<html><head><title>Index</title></head><body><pre><a href="../">../</a>\n{rows}'
    return (page + "</pre></body></html>\n").encode()


def _read_head(connection: socket.socket) -> tuple[str, str, dict[str, str]] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
        if not data[:1].isalpha():
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return None
    first, *rest = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in rest)
    return method, target, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _drain(connection: socket.socket) -> None:
    """Wait until the other side's system has what was sent: a reset throws away the rest."""
    if not sys.platform.startswith("linux"):
        return
    import fcntl
    import termios

    until = time.monotonic() + 5
    while time.monotonic() < until:
        left = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
        if not left:
            return
        time.sleep(0.001)


def _wait_for_end(connection: socket.socket, stop: threading.Event) -> None:
    """Keep silent until the client goes away."""
    with contextlib.suppress(OSError):
        while not stop.is_set() and connection.recv(65536):
            pass


def http_date(seconds_from_now: float) -> str:
    """A date for ``Retry-After``."""
    return formatdate(time.time() + seconds_from_now, usegmt=True)


@contextlib.contextmanager
def serving(
    content: Path | Mapping[str, bytes],
    *,
    behaviours: Mapping[str, Behaviour] | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    **behaviour: Any,
) -> Iterator[WebServer]:
    """Serve ``content`` until the block ends; ``behaviour`` are fields of :class:`Behaviour`.

    ``tls`` makes it ``https``. A request in absolute form, as a proxy gets it, is answered like
    any other; the record's ``target`` shows it.
    """
    server = WebServer(content, Behaviour(**behaviour), behaviours or {}, tls, host)
    try:
        yield server
    finally:
        server.close()
