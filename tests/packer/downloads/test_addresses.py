from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.downloads.addresses import addresses, host_of, local_path, shown

GITHUB = "https://github.com/astral-sh/python-build-standalone/releases/download/"
ASTRAL = "https://releases.astral.sh/github/python-build-standalone/releases/download/"
NAME = "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz"
REST = f"20260101/{NAME.replace('+', '%2B')}"


def offer(url: str = GITHUB + REST) -> Offer:
    key = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
    return Offer(key=key, filename=NAME, url=url, canonical=url)


def test_cpython_comes_from_the_publisher_first() -> None:
    assert addresses(offer(), ()) == (ASTRAL + REST, GITHUB + REST)


def test_the_former_owner_counts_as_the_publisher() -> None:
    old = GITHUB.replace("astral-sh", "indygreg") + REST
    assert addresses(offer(old), ()) == (ASTRAL + REST, old)
    assert addresses(offer(old), ["https://m.example/"]) == ("https://m.example/" + REST,)


def test_mirrors_are_used_exclusively_and_in_turn() -> None:
    mirrors = [
        "https://one.example/pbs/",
        "pypy=https://pypy.example",
        "cpython=http://two.example",
    ]
    assert addresses(offer(), mirrors) == (
        f"https://one.example/pbs/{REST}",
        f"http://two.example/{REST}",
    )


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("pypy", "https://downloads.python.org/pypy/"),
        ("graalpy", "https://github.com/oracle/graalpython/releases/download/"),
        ("pyodide", "https://github.com/pyodide/pyodide/releases/download/"),
    ],
)
def test_every_publisher_has_mirrors_of_its_own(name: str, prefix: str) -> None:
    url = prefix + "1.2.3/x.tar.gz"
    assert addresses(offer(url), ["https://cpython.example"]) == (url,)
    mirror = f"{name}=https://m.example/{name}?"
    assert addresses(offer(url), [mirror.rstrip("?")]) == (
        f"https://m.example/{name}/1.2.3/x.tar.gz",
    )


@pytest.mark.parametrize("url", ["file:///srv/a.tar.gz", "https://example.org/a.tar.gz"])
def test_other_addresses_stay_as_they_are(url: str) -> None:
    assert addresses(offer(url), ["https://m.example"]) == (url,)


class TestLocalMirrors:
    def test_a_path_or_file_address_has_a_literal_plus(self, tmp_path: Path) -> None:
        place = tmp_path / "a b"
        (place / "20260101").mkdir(parents=True)
        (place / "20260101" / NAME).touch()
        for mirror in (str(place), place.as_uri(), place.as_uri() + "/"):
            (found,) = addresses(offer(), [mirror])
            assert Path(local_path(found)) == place / "20260101" / NAME

    def test_the_files_may_lie_flat(self, tmp_path: Path) -> None:
        (tmp_path / NAME).touch()
        (found,) = addresses(offer(), [str(tmp_path)])
        assert Path(local_path(found)) == tmp_path / NAME

    def test_one_that_has_it_not_is_still_the_only_one(self, tmp_path: Path) -> None:
        (found,) = addresses(offer(), [str(tmp_path)])
        assert Path(local_path(found)) == tmp_path / "20260101" / NAME

    def test_a_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (found,) = addresses(offer(), ["mirror"])
        assert Path(local_path(found)).parent.parent == tmp_path / "mirror"


@pytest.mark.parametrize(
    "mirror",
    [
        "",
        "pypy=",
        "ftp://me:secret@m.example/",
        "http://me:secret@[::1/",
        "pypi=https://me:secret@m.example/",
    ],
)
def test_a_mirror_that_is_none(mirror: str) -> None:
    with pytest.raises(UsageError, match="mirror") as refused:
        addresses(replace(offer()), [mirror])
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_what_is_shown_has_no_secrets() -> None:
    url = "https://me:secret@h.example:8443/a/b%2B.tar.gz?sig=secret#secret"
    assert shown(url) == "https://h.example:8443/a/b%2B.tar.gz"
    assert host_of(url) == "h.example:8443"
    assert host_of("file:///srv/a%2Bb") == "/srv/a+b"
    assert "secret" not in shown("http://me:secret@[::1/a")


def test_a_file_on_another_machine() -> None:
    with pytest.raises(UsageError, match="another machine"):
        local_path("file://server/share/a")
