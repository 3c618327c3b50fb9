"""What the exceptions of the HTTP client mean, in words that go after the name of the host.

Imported late, for httpx is heavy.
"""

from __future__ import annotations

import socket
import ssl

import httpx

from kitbag_packer.downloads.retries import Failure

_ENDED = ("disconnected", "peer closed connection", "incomplete message body")
"""How httpcore and h11 call a connection that ended too early."""
_TLS_LASTING = ("WRONG_VERSION", "UNSUPPORTED", "ALERT", "NO_PROTOCOLS", "DH_KEY_TOO_SMALL")


def failure_of(error: Exception, timeout: httpx.Timeout) -> Failure:
    """The failure that ``error`` stands for; ``timeout`` is what was in force, in seconds."""
    cause = _root(error)
    if isinstance(cause, ssl.SSLError):
        failure = _tls_failure(cause)
        if failure is not None:
            return failure
    if isinstance(error, httpx.ConnectTimeout):
        return Failure(f"took no connection within {timeout.connect:g} s", passing=True)
    if isinstance(error, httpx.TimeoutException):
        return Failure(f"was silent for {timeout.read:g} s", passing=True)
    if isinstance(error, httpx.ProxyError):
        refused = "407" in str(error)
        return Failure(f"is behind a proxy that answered: {error}", passing=not refused)
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError)):
        return Failure("has an address that can't be used", passing=False)
    if isinstance(error, httpx.LocalProtocolError):
        return Failure(f"can't be asked ({error})", passing=False)
    if isinstance(error, httpx.RemoteProtocolError):
        return _protocol_failure(error)
    if isinstance(error, httpx.DecodingError):
        return Failure("sent what can't be decompressed", passing=True)
    return _network_failure(error, cause)


def words_of(error: BaseException) -> str:
    """What the system says, without numbers and paths."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__


def _tls_failure(cause: ssl.SSLError) -> Failure | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Failure(
            f"has a certificate that is not trusted ({cause.verify_message}); if it is your "
            "organisation's own, name the file of its CA in SSL_CERT_FILE",
            passing=False,
        )
    if not cause.reason:
        return None
    lasting = any(word in cause.reason for word in _TLS_LASTING)
    words = cause.reason.replace("_", " ").lower()
    return Failure(f"broke off the TLS handshake ({words})", passing=not lasting)


def _protocol_failure(error: httpx.RemoteProtocolError) -> Failure:
    if "Invalid URL in location header" in str(error):
        return Failure("redirects to an address that can't be used", passing=False)
    if any(words in str(error) for words in _ENDED):
        return Failure("ended the connection before everything was sent", passing=True)
    return Failure("sent an answer that is not HTTP", passing=True)


def _network_failure(error: Exception, cause: BaseException) -> Failure:
    if isinstance(cause, socket.gaierror):
        return Failure(f"has no address ({words_of(cause)})", passing=True)
    if isinstance(error, httpx.ConnectError):
        return Failure(f"can't be reached ({words_of(cause)})", passing=True)
    return Failure(f"broke the connection ({words_of(cause)})", passing=True)


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
