"""The HTTP client: proxies, certificates, redirects, and its failures in words.

The environment decides as it does for other tools: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``,
``NO_PROXY``, ``~/.netrc``; ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE``, otherwise the system's certificates and certifi's. Imported
late, for httpx is heavy.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import ssl
import threading
import weakref
from typing import TYPE_CHECKING, Any

import httpx

from kitbag_bundles import __version__
from kitbag_bundles.errors import UsageError
from kitbag_packer.downloads.addresses import host_of, shown
from kitbag_packer.downloads.failures import failure_of, words_of
from kitbag_packer.downloads.retries import Failure, status_failure
from kitbag_packer.downloads.routes import Route, break_off

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_packer.downloads.settings import DownloadSettings

_REDIRECTS = 10
_HEAD_PATIENCE = 5
"""How many times the longest silence the head of an answer may take."""
_SMALLEST_BUFFER = 4096


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
            break_off(each)

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], method: str = "GET"
    ) -> Iterator[httpx.Response]:
        """The answer to a request, after redirects; its body is read by the caller.

        Answers from 400 on are failures, except 416. Raises :class:`Failure`, also while the
        block reads the body.
        """
        route = Route(self.patience * _HEAD_PATIENCE)
        try:
            response = self._follow(url, headers, method, route)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            if route.late:
                failure = Failure(
                    f"took more than {route.patience:g} s to send the head of its answer",
                    passing=True,
                )
            else:
                failure = failure_of(error, self._timeout)
            raise route.told(failure) from None
        finally:
            route.end()
        try:
            if response.status_code >= 400 and response.status_code != 416:
                raise route.told(
                    status_failure(response.status_code, response.headers.get("retry-after", ""))
                )
            yield response
        except httpx.HTTPError as error:
            raise route.told(failure_of(error, self._timeout)) from None
        finally:
            response.close()

    def _follow(
        self, url: str, headers: Mapping[str, str], method: str, route: Route
    ) -> httpx.Response:
        target = httpx.URL(url)
        trace = functools.partial(self._trace, route)
        if target.scheme in ("http", "https") and not _is_usable(target):
            raise Failure("has an address that can't be used", passing=False)
        request = self._client(target.scheme).build_request(
            method,
            target,
            headers=headers,
            timeout=self._timeout,
            extensions={"trace": trace},
        )
        for _ in range(_REDIRECTS + 1):
            client = self._client(request.url.scheme)
            response = client.send(request, stream=True, auth=self._auth(request.url))
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
            if not _is_usable(request.url):
                raise Failure("redirects to an address that can't be used", passing=False)
            route.host = host_of(str(request.url))
            request.extensions = {
                "trace": trace,
                "timeout": self._timeout.as_dict(),
            }
        raise Failure(f"redirects more than {_REDIRECTS} times, in circles perhaps", passing=False)

    def _auth(self, url: httpx.URL) -> httpx.Auth | None:
        """Those in the address itself come first, then those of a configured index, then netrc."""
        accounts = self._settings.accounts
        account = accounts.of(str(url)) if accounts is not None and not url.userinfo else None
        if account is not None:
            return httpx.BasicAuth(account.user, account.password)
        return _of_netrc(url)

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

    def _trace(self, route: Route, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(".receive_response_headers.started"):
            route.begin()
        elif ".receive_response_headers." in name:
            route.end()
        stream = info.get("return_value")
        if not name.endswith((".connect_tcp.complete", ".start_tls.complete")) or stream is None:
            return
        connection = stream.get_extra_info("socket")
        if not isinstance(connection, socket.socket):
            return
        route.connection = connection
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
            break_off(connection)


def _is_usable(url: httpx.URL) -> bool:
    """Whether it has a host and a port that can be."""
    return bool(url.host) and (url.port or 0) < 65536


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
            # Archives are large and hosts differ, so a second use is rare; and without it the
            # connection of a request is always known.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
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
    """The certificates to trust; raises :class:`UsageError` if those that are named are unusable.

    What the environment names takes the place of the usual ones; what pip is configured with comes
    beside them, since not everything comes from where packages do.
    """
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
                f"({words_of(error)}); correct or unset it"
            ) from None
    import certifi

    from kitbag_packer.environments.pipconf import pip_configuration

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    place = pip_configuration(os.environ).cert
    if place:
        try:
            context.load_verify_locations(os.path.expanduser(place))
        except OSError as error:
            raise UsageError(
                f"pip's configuration names {place}, which has no certificates that can be read "
                f"({words_of(error)}); correct 'cert' in it"
            ) from None
    return context


def _of_netrc(url: httpx.URL) -> httpx.Auth | None:
    """Credentials of ``~/.netrc``, or of ``NETRC``; those in the address itself come first."""
    place = os.environ.get("NETRC") or os.path.expanduser(os.path.join("~", ".netrc"))
    if url.userinfo or not os.path.isfile(place):
        return httpx.USE_CLIENT_DEFAULT  # type: ignore[return-value]
    import netrc

    try:
        return httpx.NetRCAuth(place)
    except (netrc.NetrcParseError, OSError, UnicodeError):
        raise UsageError(f"{place} can't be read as netrc; correct it or set NETRC") from None
