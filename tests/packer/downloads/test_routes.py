"""Heads of answers that come in drops, and failures at the end of redirects."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.downloads.documents import fetch_document
from kitbag_packer.errors import DownloadError
from support.downloading import FAST
from support.webserver import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def answering(*pieces: bytes, pause: float = 0.0) -> Iterator[str]:
    """A server that sends the same pieces to everyone; yields the address of a list."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65536)
                        for piece in pieces:
                            connection.sendall(piece)
                            stop.wait(pause)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/list.json"
        finally:
            stop.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_a_head_that_comes_in_drops_is_given_up() -> None:
    hasty = replace(FAST, read_timeout=0.1, rate_window=0.1, retries=1)
    drops = [b"HTTP/1.1 200 OK\r\n", *(b"X-%d: a\r\n" % number for number in range(1000))]
    with (
        answering(*drops, pause=0.02) as url,
        pytest.raises(DownloadError, match=r"took more than 0\.5 s to send the head"),
    ):
        fetch_document(url, hasty)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"only text\r\n\r\n", "sent an answer that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n{}" % (b"9" * 99), "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "before everything was sent"),
        (b"", "before everything was sent"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n", "redirects to an address"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "not on the web"),
    ],
)
def test_odd_answers_are_told_in_words(answer: bytes, reason: str) -> None:
    with answering(answer) as url, pytest.raises(DownloadError, match=reason):
        fetch_document(url, FAST)


def test_a_failure_after_a_redirect_names_the_host_that_failed() -> None:
    place = "http://me:secret@localhost:9/there?key=secret"
    with (
        serving({}, always=302, location=place) as server,
        pytest.raises(DownloadError, match="redirects to localhost:9, which can't be") as refused,
    ):
        fetch_document(server.url + "list.json", replace(FAST, retries=1))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://", "http:///list", "http://127.0.0.1:99999/list"])
def test_an_address_that_is_none_is_not_tried_again(url: str) -> None:
    said: list[str] = []
    with pytest.raises(DownloadError, match="address that can't be used"):
        fetch_document(url, FAST, tell=said.append)
    assert said == []
