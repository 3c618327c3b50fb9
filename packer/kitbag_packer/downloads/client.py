"""The HTTP client: proxies, certificates, redirects, and its failures in words.

The environment decides as it does for other tools: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``,
``NO_PROXY``, ``~/.netrc``; ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE``, otherwise the system's certificates and certifi's. Imported
late, for httpx is heavy.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import weakref
from typing import TYPE_CHECKING, Any

import httpx

from kitbag_bundles import __version__
from kitbag_bundles.errors import UsageError
from kitbag_packer.downloads.addresses import shown
from kitbag_packer.downloads.retries import Failure, status_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_packer.downloads.settings import DownloadSettings

_REDIRECTS = 10
_SMALLEST_BUFFER = 4096
_TLS_LASTING = ("WRONG_VERSION", "UNSUPPORTED", "ALERT", "NO_PROTOCOLS", "DH_KEY_TOO_SMALL")


class Web:
    """Opens addresses; safe for several threads, which :meth:`abort` wakes all at once."""

    def __init__(self, settings: DownloadSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._clients: dict[str, httpx.Client] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._aborted = False
        window = settings.rate_window if settings.minimum_rate > 0 else settings.read_timeout
        # A silence as long as the window means a rate of zero.
        self.patience = min(settings.read_timeout, window)
        self._timeout = httpx.Timeout(self.patience, connect=settings.connect_timeout, pool=None)

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def prepare(self, scheme: str) -> None:
        """Find out now whether proxies and certificates are usable; raises UsageError."""
        if scheme in ("http", "https"):
            self._client(scheme)

    def abort(self) -> None:
        """Break every connection, so that threads that wait for one notice at once."""
        with self._lock:
            self._aborted = True
            sockets = list(self._sockets)
        for each in sockets:
            _break(each)

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], method: str = "GET"
    ) -> Iterator[httpx.Response]:
        """The answer to a request, after redirects; its body is read by the caller.

        Answers from 400 on are failures, except 416. Raises :class:`Failure`, also while the
        block reads the body.
        """
        try:
            response = self._follow(url, headers, method)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise self._failure(error) from None
        try:
            if response.status_code >= 400 and response.status_code != 416:
                raise status_failure(response.status_code, response.headers.get("retry-after", ""))
            yield response
        except httpx.HTTPError as error:
            raise self._failure(error) from None
        finally:
            response.close()

    def _follow(self, url: str, headers: Mapping[str, str], method: str) -> httpx.Response:
        target = httpx.URL(url)
        request = self._client(target.scheme).build_request(
            method,
            target,
            headers=headers,
            timeout=self._timeout,
            extensions={"trace": self._trace},
        )
        for _ in range(_REDIRECTS + 1):
            client = self._client(request.url.scheme)
            response = client.send(request, stream=True, auth=_auth(request.url))
            if response.next_request is None:
                return response
            response.close()
            # What the next host gets is httpx's affair: it takes credentials out.
            request = response.next_request
            if request.url.scheme not in ("http", "https"):
                raise Failure(
                    f"redirects to {shown(str(request.url))}, which is not on the web",
                    passing=False,
                )
            request.extensions = {
                "trace": self._trace,
                "timeout": self._timeout.as_dict(),
            }
        raise Failure(f"redirects more than {_REDIRECTS} times, in circles perhaps", passing=False)

    def _client(self, scheme: str) -> httpx.Client:
        if scheme not in ("http", "https"):
            raise Failure(f"has an address that starts with '{scheme}:'", passing=False)
        with self._lock:
            if scheme not in self._clients:
                # Certificates cost time to load, so a client for plain HTTP has none.
                verify = (
                    _trusted() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                )
                self._clients[scheme] = _make_client(verify)
            return self._clients[scheme]

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        stream = info.get("return_value")
        if not name.endswith((".connect_tcp.complete", ".start_tls.complete")) or stream is None:
            return
        connection = stream.get_extra_info("socket")
        if not isinstance(connection, socket.socket):
            return
        with self._lock:
            self._sockets.add(connection)
            aborted = self._aborted
        limit = self._settings.limit_rate
        if limit is not None:
            # Otherwise the system's buffer takes in megabytes at full speed.
            size = max(_SMALLEST_BUFFER, min(limit, 1 << 20))
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        if aborted:
            _break(connection)

    def _failure(self, error: Exception) -> Failure:
        """What an exception of httpx means, in words that go after the name of the host."""
        cause = _root(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(
                f"has a certificate that is not trusted ({cause.verify_message}); if it is your "
                "organisation's own, name the file of its CA in SSL_CERT_FILE",
                passing=False,
            )
        if isinstance(cause, ssl.SSLError) and cause.reason:
            lasting = any(word in cause.reason for word in _TLS_LASTING)
            words = cause.reason.replace("_", " ").lower()
            return Failure(f"broke off the TLS handshake ({words})", passing=not lasting)
        if isinstance(error, httpx.ConnectTimeout):
            return Failure(
                f"took no connection within {self._settings.connect_timeout:g} s", passing=True
            )
        if isinstance(error, httpx.TimeoutException):
            return Failure(f"was silent for {self.patience:g} s", passing=True)
        if isinstance(error, httpx.ProxyError):
            refused = "407" in str(error)
            return Failure(f"is behind a proxy that answered: {error}", passing=not refused)
        if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError)):
            return Failure("has an address that can't be used", passing=False)
        if isinstance(error, httpx.LocalProtocolError):
            return Failure(f"can't be asked ({error})", passing=False)
        if isinstance(cause, socket.gaierror):
            return Failure(f"has no address ({_words(cause)})", passing=True)
        if isinstance(error, httpx.ConnectError):
            return Failure(f"can't be reached ({_words(cause)})", passing=True)
        if isinstance(error, httpx.RemoteProtocolError):
            return Failure("ended the connection before everything was sent", passing=True)
        return Failure(f"broke the connection ({_words(cause)})", passing=True)


def _make_client(verify: ssl.SSLContext) -> httpx.Client:
    try:
        return httpx.Client(
            verify=verify,
            headers={
                "User-Agent": f"kitbag/{__version__}",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            },
            follow_redirects=False,
        )
    except ImportError:
        raise UsageError(
            "a SOCKS proxy is set (ALL_PROXY, HTTPS_PROXY or HTTP_PROXY), and that needs the "
            "package 'socksio'; install it beside kitbag, or unset the variable"
        ) from None
    except (ValueError, httpx.InvalidURL):
        raise UsageError(
            "the proxy in ALL_PROXY, HTTPS_PROXY or HTTP_PROXY is not an address that kitbag can "
            "use; it looks like http://host:port"
        ) from None


def _trusted() -> ssl.SSLContext:
    """The certificates to trust; raises :class:`UsageError` if the environment's are unusable."""
    variables = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    for name in variables:
        place = os.environ.get(name, "")
        if not place:
            continue
        try:
            if os.path.isdir(place):
                return ssl.create_default_context(capath=place)
            return ssl.create_default_context(cafile=place)
        except OSError as error:
            raise UsageError(
                f"{name} names {place}, which has no certificates that can be read "
                f"({_words(error)}); correct or unset it"
            ) from None
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _auth(url: httpx.URL) -> httpx.Auth | None:
    """Credentials of ``~/.netrc``, or of ``NETRC``; those in the address itself come first."""
    place = os.environ.get("NETRC") or os.path.expanduser(os.path.join("~", ".netrc"))
    if url.userinfo or not os.path.isfile(place):
        return httpx.USE_CLIENT_DEFAULT  # type: ignore[return-value]
    import netrc

    try:
        return httpx.NetRCAuth(place)
    except (netrc.NetrcParseError, OSError, UnicodeError):
        raise UsageError(f"{place} can't be read as netrc; correct it or set NETRC") from None


def _break(connection: socket.socket) -> None:
    # Not the method of an SSLSocket: that one would let the other thread read ciphertext.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _root(error: BaseException) -> BaseException:
    """The system's error below those of the libraries."""
    seen = error
    while True:
        below = seen.__cause__ or seen.__context__
        if below is None or below is seen:
            return seen
        seen = below
        if isinstance(seen, ssl.SSLError):
            return seen


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__
