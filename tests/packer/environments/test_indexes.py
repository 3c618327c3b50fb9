"""Indexes and credentials: uv's own configuration, else pip's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.indexes import index_settings, know_accounts
from kitbag_packer.environments.model import Spec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def own(environ: dict[str, str]) -> dict[str, str]:
    """The environment, in which uv's files are read."""
    del environ["UV_NO_CONFIG"]
    return environ


class TestOfUv:
    def test_a_projects_indexes_with_names(
        self, tmp_path: Path, accounts: Accounts, own: dict[str, str]
    ) -> None:
        member = tmp_path / "packages" / "one"
        member.mkdir(parents=True)
        (tmp_path / "pyproject.toml").write_text(
            '[[tool.uv.index]]\nname = "my-corp.1"\nurl = "https://corp/simple"\n'
            '[[tool.uv.index]]\nurl = "https://a:s3cret@other/simple"\n'
        )
        own |= {"UV_INDEX_MY_CORP_1_USERNAME": "me", "UV_INDEX_MY_CORP_1_PASSWORD": "pass1"}
        own["PIP_FIND_LINKS"] = str(tmp_path)
        assert index_settings(member, accounts, own) == ({}, ())
        assert accounts.of("https://corp/files/x.whl") == ("me", "pass1")
        assert accounts.of("https://other/x.whl") == ("a", "s3cret")

    @pytest.mark.parametrize("place", ["project", "user", "system", "named"])
    def test_files(
        self, tmp_path: Path, accounts: Accounts, own: dict[str, str], place: str
    ) -> None:
        path = {
            "project": tmp_path / "uv.toml",
            "user": tmp_path / "nobody/.config/uv/uv.toml",
            "system": tmp_path / "nobody/xdg/uv/uv.toml",
            "named": tmp_path / "elsewhere/any.toml",
        }[place]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            'index-url = "https://a:s3cret@one/"\nextra-index-url = ["https://b:s4cret@two/"]\n'
            '[pip]\nfind-links = ["https://c:s5cret@three/"]\n'
        )
        if place == "named":
            own["UV_CONFIG_FILE"] = str(path)
        own["PIP_FIND_LINKS"] = str(tmp_path)
        assert index_settings(tmp_path, accounts, own) == ({}, ())
        known = [accounts.of(f"https://{host}/x") for host in ("one", "two", "three")]
        assert known == [("a", "s3cret"), ("b", "s4cret"), ("c", "s5cret")]

    def test_variables(self, tmp_path: Path, accounts: Accounts, environ: dict[str, str]) -> None:
        environ |= {
            "UV_INDEX": "corp=https://corp/simple https://b:s4cret@two/",
            "UV_INDEX_CORP_USERNAME": "me",
            "UV_INDEX_CORP_PASSWORD": "s3cret",
            "UV_FIND_LINKS": "/here,https://c:s5cret@three/",
            "PIP_NO_INDEX": "1",
        }
        assert index_settings(tmp_path, accounts, environ) == ({}, ())
        known = [accounts.of(f"https://{host}/x") for host in ("corp", "two", "three")]
        assert known == [("me", "s3cret"), ("b", "s4cret"), ("c", "s5cret")]

    def test_broken_files_are_uvs_to_complain_of(
        self, tmp_path: Path, accounts: Accounts, own: dict[str, str]
    ) -> None:
        for text in ("x = [", "index = 1", "index = [1]", "index-url = 1", "[tool]\nuv = 1"):
            (tmp_path / "uv.toml").write_text(text)
            (tmp_path / "pyproject.toml").write_text(text)
            index_settings(tmp_path, accounts, own)


class TestOfPip:
    def test_where_uv_has_none(
        self, tmp_path: Path, accounts: Accounts, environ: dict[str, str]
    ) -> None:
        conf = tmp_path / "pip.conf"
        conf.write_text(
            "[global]\nindex-url = https://me:s3cret@corp/simple\n"
            "extra-index-url = https://a/ https://b/\n"
            f"find-links = {tmp_path} https://c/\ntrusted-host = corp\ncert = /ca.pem\n"
        )
        environ["PIP_CONFIG_FILE"] = str(conf)
        variables, options = index_settings(tmp_path, accounts, environ)
        assert variables == {
            "UV_DEFAULT_INDEX": "https://me:s3cret@corp/simple",
            "UV_INDEX": "https://a/ https://b/",
            "UV_FIND_LINKS": f"{tmp_path},https://c/",
            "UV_INSECURE_HOST": "corp",
            "SSL_CERT_FILE": "/ca.pem",
            "UV_INDEX_STRATEGY": "unsafe-best-match",
        }
        assert options == ()
        assert accounts.of("https://corp/files/x.whl") == ("me", "s3cret")

    def test_no_index_is_an_option(
        self, tmp_path: Path, accounts: Accounts, environ: dict[str, str]
    ) -> None:
        environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
        variables, options = index_settings(tmp_path, accounts, environ)
        assert variables["UV_FIND_LINKS"] == str(tmp_path)
        assert options == ("--no-index",)

    def test_what_is_set_already_stays(
        self, tmp_path: Path, accounts: Accounts, environ: dict[str, str]
    ) -> None:
        environ |= {
            "PIP_FIND_LINKS": "/w",
            "SSL_CERT_FILE": "/mine.pem",
            "UV_INDEX_STRATEGY": "first-index",
        }
        variables, _ = index_settings(tmp_path, accounts, environ)
        assert variables["SSL_CERT_FILE"] == "/mine.pem"
        assert variables["UV_INDEX_STRATEGY"] == "first-index"


class TestOfLocks:
    """For what was planned before."""

    def test_addresses_in_them(
        self, tmp_path: Path, accounts: Accounts, environ: dict[str, str]
    ) -> None:
        environ |= {"TOKEN": "s3cret", "UV_INDEX": "https://c:s5cret@three/"}
        (tmp_path / "pylock.toml").write_text(
            '[[packages]]\nname = "x"\nwheels = [{ url = "https://a:s4cret@one/x.whl" }]\n'
            'vcs = { url = "https://b:s6cret@four/repository.git" }\n'
        )
        (tmp_path / "r.txt").write_text("-r more.txt\n")
        (tmp_path / "more.txt").write_text(
            f"x @ https://me:${{TOKEN}}@two/x.whl --hash=sha256:{'0' * 64}\n"
        )
        know_accounts(Spec("app", "project", tmp_path), accounts, environ)
        # What is for a repository is not shown to all of its server.
        assert accounts.of("https://four/repository.git") == ("b", "s6cret")
        assert accounts.of("https://four/x.whl") is None
        assert accounts.of("https://one/x.whl") == ("a", "s4cret")
        assert accounts.of("https://three/") == ("c", "s5cret")
        assert accounts.of("https://two/x.whl") is None
        know_accounts(Spec("app", "requirements", tmp_path / "r.txt"), accounts, environ)
        assert accounts.of("https://two/x.whl") == ("me", "s3cret")

    def test_they_need_not_be_there(
        self, tmp_path: Path, accounts: Accounts, environ: dict[str, str]
    ) -> None:
        (tmp_path / "uv.lock").write_bytes(b"\xff")
        for kind, path in (
            ("project", tmp_path),
            ("project", tmp_path / "none"),
            ("lock", tmp_path / "uv.lock"),
            ("requirements", tmp_path / "none" / "r.txt"),
        ):
            know_accounts(Spec("app", kind, path), accounts, environ)
