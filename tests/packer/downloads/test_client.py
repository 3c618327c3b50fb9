"""Certificates, proxies, credentials and redirects, against real servers."""

from __future__ import annotations

import base64
import ssl
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from kitbag_bundles import __version__
from kitbag_bundles.errors import UsageError
from kitbag_packer.errors import DownloadError
from support.downloading import Fetching, content, download
from support.webserver import Behaviour, serving

if TYPE_CHECKING:
    from pathlib import Path

DATA = content(5000)
PATH = "/a.tar.gz"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


class TestCertificates:
    def test_one_that_nobody_knows_is_refused_at_once_with_a_hint(
        self, fetching: Fetching, tls: ssl.SSLContext
    ) -> None:
        with serving({PATH: DATA}, tls=tls) as server:
            with pytest.raises(DownloadError, match=r"certificate .*SSL_CERT_FILE") as refused:
                fetching.one(download(DATA, server.url + "a.tar.gz"))
            assert f"127.0.0.1:{server.port}" in str(refused.value)
            assert server.count() == 0
        assert fetching.notes.tracks[0].pauses == []

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_the_environment_names_who_is_trusted(
        self,
        fetching: Fetching,
        tls: ssl.SSLContext,
        authority: trustme.CA,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
        with serving({PATH: DATA}, tls=tls, cut_after=2000) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA
            assert server.sent(PATH) == len(DATA)

    def test_those_of_pip_are_trusted_beside_the_usual_ones(
        self,
        fetching: Fetching,
        tls: ssl.SSLContext,
        authority: trustme.CA,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
        with serving({PATH: DATA}, tls=tls) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA

    def test_pips_without_certificates_are_one_clear_line(
        self, fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
        with pytest.raises(UsageError, match=r"pip's configuration names .*ca\.pem, .*'cert'"):
            fetching.one(download(DATA, "https://127.0.0.1:9/a"))

    @pytest.mark.parametrize("text", [None, "no certificate"])
    def test_a_file_without_certificates_is_one_clear_line(
        self,
        fetching: Fetching,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        text: str | None,
    ) -> None:
        place = tmp_path / "ca.pem"
        if text is not None:
            place.write_text(text)
        monkeypatch.setenv("SSL_CERT_FILE", str(place))
        with pytest.raises(UsageError, match=r"SSL_CERT_FILE names .*ca\.pem"):
            fetching.one(download(DATA, "https://127.0.0.1:9/a"))

    def test_plain_http_needs_none(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", "/none")
        with serving({PATH: DATA}) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA

    def test_a_caller_that_stops_does_not_wait_for_a_silent_server(
        self,
        fetching: Fetching,
        tls: ssl.SSLContext,
        authority: trustme.CA,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        silent = {PATH: Behaviour(stall_after=2000)}
        with serving({PATH: DATA, "/b": DATA[:9]}, tls=tls, behaviours=silent) as server:

            def arrived(*_: object) -> None:
                server.wait_until_sent(PATH, 2000)
                raise ZeroDivisionError

            wanted = [download(DATA, server.url + "a.tar.gz"), download(DATA[:9], server.url + "b")]
            began = time.monotonic()
            with pytest.raises(ZeroDivisionError):
                fetching(*wanted, arrived=arrived)
            assert time.monotonic() - began < 1.5
            server.behave(PATH, stall_after=None)
            assert fetching.one(wanted[0]) == DATA

    def test_a_server_that_speaks_no_tls(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}) as server:
            wanted = download(DATA, server.url.replace("http:", "https:") + "a.tar.gz")
            with pytest.raises(DownloadError, match="TLS handshake"):
                fetching.one(wanted)


class TestProxies:
    def test_the_environment_names_them(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving({PATH: DATA}) as proxy:
            address = proxy.url.replace("//", "//me:secret@")
            monkeypatch.setenv("HTTP_PROXY", address)
            assert fetching.one(download(DATA, "http://builds.example/a.tar.gz")) == DATA
            request = proxy.requests[0]
            assert request.target == "http://builds.example/a.tar.gz"
            credentials = request.headers["proxy-authorization"].removeprefix("Basic ")
            assert base64.b64decode(credentials) == b"me:secret"

    def test_no_proxy_excepts_hosts(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with serving({PATH: DATA}) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA

    def test_one_that_wants_a_password_is_not_asked_again(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving({}, always=407) as proxy:
            monkeypatch.setenv("ALL_PROXY", proxy.url)
            with pytest.raises(DownloadError, match="407 Proxy Authentication Required"):
                fetching.one(download(DATA, "http://builds.example/a.tar.gz"))
            assert proxy.count() == 1

    def test_socks_without_its_package_is_one_clear_line(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
        with pytest.raises(UsageError, match="socksio"):
            fetching.one(download(DATA, "http://builds.example/a.tar.gz"))


class TestCredentials:
    def test_those_of_the_address_go_to_its_host_and_no_further(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, host="127.0.0.2") as other:
            moved = Behaviour(always=302, location=other.url + "a.tar.gz")
            with serving({}, behaviours={PATH: moved}) as server:
                url = server.url.replace("//", "//me:secret@") + "a.tar.gz"
                assert fetching.one(download(DATA, url)) == DATA
                assert "authorization" in server.requests[0].headers
            assert "authorization" not in other.requests[0].headers
        kept = [path.read_bytes() for path in fetching.cache.folder.rglob("*") if path.is_file()]
        assert not any(b"secret" in data for data in kept)

    def test_netrc_is_read(self, fetching: Fetching, home: Path) -> None:
        (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
        (home / ".netrc").chmod(0o600)
        with serving({PATH: DATA}) as server:
            fetching.one(download(DATA, server.url + "a.tar.gz"))
            assert "authorization" in server.requests[0].headers


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_are_followed_with_the_range(self, fetching: Fetching, status: int) -> None:
        with serving({"/b": DATA}, behaviours={PATH: Behaviour(always=status, location="/b")}) as s:
            s.behave("/b", cut_after=3000)
            assert fetching.one(download(DATA, s.url + "a.tar.gz")) == DATA
            assert s.sent("/b") == len(DATA)
            assert s.requests[-1].headers["user-agent"] == f"kitbag/{__version__}"

    def test_in_circles_end(self, fetching: Fetching) -> None:
        circle = {PATH: Behaviour(always=302, location="/b"), "/b": Behaviour(always=302)}
        circle["/b"] = Behaviour(always=302, location=PATH)
        with serving({}, behaviours=circle) as server:
            with pytest.raises(DownloadError, match="redirects more than 10 times"):
                fetching.one(download(DATA, server.url + "a.tar.gz"))
            assert server.count() == 11

    def test_out_of_the_web_are_refused(self, fetching: Fetching) -> None:
        with (
            serving({}, always=302, location="file:///etc/passwd") as server,
            pytest.raises(DownloadError, match="not on the web"),
        ):
            fetching.one(download(DATA, server.url + "a.tar.gz"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "http://[::1/a", "http:///a", "nonsense"])
def test_addresses_that_make_no_sense(fetching: Fetching, url: str) -> None:
    with pytest.raises(DownloadError):
        fetching.one(download(DATA, url))
