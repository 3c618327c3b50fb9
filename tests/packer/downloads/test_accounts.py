"""Credentials: taken out of addresses, given to their own server, hidden everywhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.downloads.addresses import shown
from kitbag_packer.errors import DownloadError
from support.downloading import FAST, Fetching, content, download
from support.webserver import Behaviour, serving

if TYPE_CHECKING:
    from pathlib import Path

DATA = content(5000)
PATH = "/files/a.tar.gz"
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1)


class TestOf:
    def test_what_an_address_carried_counts_for_its_server(self) -> None:
        accounts = Accounts()
        assert accounts.add("https://me:s3cret@host/simple/") == "https://host/simple/"
        assert accounts.of("https://host/files/a.whl") == ("me", "s3cret")
        assert accounts.of("https://HOST:443/files/a.whl") == ("me", "s3cret")
        assert accounts.of("http://host/files/a.whl") is None
        assert accounts.of("https://host:8443/files/a.whl") is None
        assert accounts.of("https://host.example/") is None
        assert accounts.of("nonsense") is None
        assert accounts.of("http://[::1/") is None

    def test_the_nearest_path_wins(self) -> None:
        accounts = Accounts()
        accounts.add("https://a:first1@host/team-a/simple")
        accounts.add("https://b:second@host/team-b/simple")
        assert accounts.of("https://host/team-b/files/x.whl") == ("b", "second")
        assert accounts.of("https://host/team-a/files/x.whl") == ("a", "first1")
        assert accounts.of("https://host/other") == ("a", "first1")

    @pytest.mark.parametrize("secret", ["pa/ss", "#a", "a?b#c/d", "x/y@z", "12a/3", "a%20b/"])
    def test_a_password_that_nobody_quoted(self, secret: str) -> None:
        text = f"'http://me:{secret}@host:8080/simple/': invalid port"
        assert Accounts().hide(text) == "'http://host:8080/simple/': invalid port"
        accounts = Accounts()
        url = accounts.add(f"http://me:{secret}@host:8080/simple/")
        assert url == "http://host:8080/simple/"
        assert accounts.of(url) == ("me", secret.replace("%20", " "))
        assert secret not in accounts.hide(text)

    @pytest.mark.parametrize(
        "url",
        [
            "https://host:8080/@scope/x",
            "https://host/a:b/c@d",
            "https://host/a.git@v1#egg=a@b",
            "https://[::1]:80/a@b",
            "git+https://host:8443/a.git@v1",
        ],
    )
    def test_an_at_sign_elsewhere_is_none(self, url: str) -> None:
        accounts = Accounts()
        assert accounts.add(url) == url
        assert accounts.of(url) is None
        assert accounts.hide(url) == url

    def test_a_repositorys_are_for_the_repository(self) -> None:
        accounts = Accounts()
        url = accounts.add("https://x:token1@host/me/app.git", below=True)
        assert url == "https://host/me/app.git"
        assert accounts.of(url) == ("x", "token1")
        assert accounts.of("https://host/me/app.git/info") == ("x", "token1")
        assert accounts.of("https://host/me/app.github") is None
        assert accounts.filled(url) == "https://x:token1@host/me/app.git"

    def test_a_given_name_beats_the_addresss(self) -> None:
        accounts = Accounts()
        assert accounts.add("https://old:older@host/", "new", "newer") == "https://host/"
        assert accounts.of("https://host/x") == ("new", "newer")

    @pytest.mark.parametrize(
        "url", ["ssh://git@host/me/app.git", "https://host/a?b", "file:///a", "git@host:me/app", ""]
    )
    def test_what_has_no_secret_stays_as_it_is(self, url: str) -> None:
        assert Accounts().add(url) == url

    def test_a_password_of_ssh_goes_and_its_user_stays(self) -> None:
        assert Accounts().add("ssh://me:s3cret@host/app") == "ssh://me@host/app"

    def test_git_of_an_address_is_nobody(self) -> None:
        accounts = Accounts()
        assert accounts.add("git+https://git@host/app") == "git+https://git@host/app"
        assert accounts.of("https://host/app") is None

    @given(_WORDS, _WORDS)
    def test_quoting(self, user: str, password: str) -> None:
        accounts = Accounts()
        url = f"https://{quote(user, safe='')}:{quote(password, safe='')}@host/simple"
        assert accounts.add(url) == "https://host/simple"
        assert accounts.of("https://host/") == (user, password)
        assert Accounts().add(accounts.filled("https://host/x")) == "https://host/x"


class TestHide:
    def test_secrets_in_any_form(self) -> None:
        accounts = Accounts()
        accounts.add("https://me:pa%2Fss%40word@host/")
        text = "tried pa/ss@word, pa%2Fss%40word and http://you:other@elsewhere/x"
        assert accounts.hide(text) == "tried ****, **** and http://elsewhere/x"

    def test_a_token_is_a_secret_and_a_name_beside_a_password_is_none(self) -> None:
        accounts = Accounts()
        accounts.add("https://t0k3n-of-mine@host/")
        accounts.add("https://alice:s3cret@other/")
        assert accounts.hide("alice t0k3n-of-mine s3cret") == "alice **** ****"

    def test_nothing_shows_them_by_accident(self) -> None:
        accounts = Accounts()
        accounts.add("https://me:s3cret@host/")
        settings = replace(FAST, accounts=accounts)
        assert "s3cret" not in repr((accounts, settings, accounts.of("https://host/")))
        assert settings == FAST


class TestDownloads:
    """Against a server that lets nobody in without."""

    def test_files_of_an_indexs_host_are_fetched_with_its_credentials(
        self, fetching: Fetching
    ) -> None:
        accounts = Accounts()
        with serving({PATH: DATA}, basic="me:s3cret", cut_after=3000) as server:
            accounts.add(server.url.replace("//", "//me:s3cret@") + "simple/")
            wanted = download(DATA, server.url + PATH[1:])
            assert fetching.one(wanted, accounts=accounts) == DATA
        kept = [path.read_bytes() for path in fetching.cache.folder.rglob("*") if path.is_file()]
        assert not any(b"s3cret" in data for data in kept)

    def test_they_beat_netrc(self, fetching: Fetching, home: Path) -> None:
        (home / ".netrc").write_text("machine 127.0.0.1 login me password wrong\n")
        accounts = Accounts()
        with serving({PATH: DATA}, basic="me:s3cret") as server:
            accounts.add(server.url, "me", "s3cret")
            wanted = download(DATA, server.url + PATH[1:])
            assert fetching.one(wanted, accounts=accounts) == DATA

    def test_no_other_host_gets_them(self, fetching: Fetching) -> None:
        accounts = Accounts()
        with serving({PATH: DATA}, host="127.0.0.2") as other:
            moved = Behaviour(always=302, location=other.url + PATH[1:])
            with serving({}, behaviours={PATH: moved}) as server:
                accounts.add(server.url, "me", "s3cret")
                fetching.one(download(DATA, server.url + PATH[1:]), accounts=accounts)
                assert "authorization" in server.requests[0].headers
            assert "authorization" not in other.requests[0].headers

    def test_wrong_ones_are_one_line_without_them(self, fetching: Fetching) -> None:
        accounts = Accounts()
        with serving({PATH: DATA}, basic="me:s3cret") as server:
            accounts.add(server.url, "me", "wr0ng-one")
            with pytest.raises(
                DownloadError, match=r"401 Unauthorized.*password.*netrc"
            ) as refused:
                fetching.one(download(DATA, server.url + PATH[1:]), accounts=accounts)
            assert server.count() == 1
        assert "wr0ng" not in str(refused.value) + repr(fetching.notes.tracks)
        assert shown("https://me:s3cret@host/x") == "https://host/x"
