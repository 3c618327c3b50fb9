"""What ``--catalog`` may name: files, folders, addresses, ``stored``, ``embedded``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.requests import parse_requests
from kitbag_packer.catalogs.merging import collect
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.opening import open_catalogs
from kitbag_packer.errors import CatalogError, DownloadError, OfflineError
from support.caches import Messages
from support.catalogs import digest, ndjson, ndjson_line, uv_entry
from support.downloading import FAST
from support.elf import make_elf
from support.members import below, program, text, write_archive
from support.webserver import serving

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.catalogs.model import Catalog, Offer

NAME = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only.tar.gz"
QUOTED = NAME.replace("+", "%2B")
PYPY = "pypy3.12-v8.0.1-linux64.tar.gz"
UV = json.dumps({"a": uv_entry("3.13.5", f"https://h.example/{QUOTED}")}).encode()
NEWER = json.dumps({"a": uv_entry("3.13.6", "https://h.example/python.tar.gz")}).encode()
INDEX = ndjson([ndjson_line("3.12.9", "20250612")])
OFFLINE = replace(FAST, offline=True)


class Desk:
    """Opens catalogs with one cache and notes the warnings."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.said = Messages()

    def open(self, *given: str, offline: bool = False) -> tuple[Catalog, ...]:
        return open_catalogs(
            given,
            cache_dir=self.cache,
            settings=OFFLINE if offline else FAST,
            reporter=self.said,
        )

    def offers(self, *given: str, offline: bool = False, request: str = "any") -> list[Offer]:
        catalogs = self.open(*given, offline=offline)
        found = collect(catalogs, Interest(parse_requests([request])))
        return [offer for offers in found.values() for offer in offers]

    def versions(self, *given: str, offline: bool = False) -> set[str]:
        return {str(offer.key.version) for offer in self.offers(*given, offline=offline)}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestLocal:
    def test_files_by_path_and_by_address(self, desk: Desk, tmp_path: Path) -> None:
        for name, data in (("a", UV), ("b.txt", INDEX)):
            (tmp_path / name).write_bytes(data)
        for given in (str(tmp_path / "a"), (tmp_path / "a").as_uri()):
            (catalog,) = desk.open(given, offline=True)
            assert catalog.name == str(tmp_path / "a")
            assert (len(catalog.digest), catalog.date) == (64, "")
        assert desk.versions(str(tmp_path / "b.txt")) == {"3.12.9"}
        assert desk.said.warnings == []

    def test_a_relative_path_and_the_home(
        self, desk: Desk, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "stored").write_bytes(UV)
        (home / "list").write_bytes(INDEX)
        assert desk.versions("./stored", "~/list") == {"3.13.5", "3.12.9"}

    def test_sums_alone_and_beside_archives(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "SHA256SUMS").write_text(f"{digest(NAME)}  {NAME}\n")
        (offer,) = desk.offers(str(tmp_path / "SHA256SUMS"))
        assert offer.url == offer.canonical
        assert offer.url.startswith("https://github.com/astral-sh/")
        (tmp_path / NAME).write_bytes(b"1234")
        (offer,) = desk.offers(str(tmp_path / "SHA256SUMS"))
        assert (offer.url, offer.canonical) == ((tmp_path / NAME).as_uri(), "")
        assert (offer.size, offer.sha256) == (4, digest(NAME))

    def test_a_folder_in_the_layout_of_a_mirror(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "m" / "20250612").mkdir(parents=True)
        (tmp_path / "m" / "20250612" / NAME).write_bytes(b"1234")
        (offer,) = desk.offers(str(tmp_path / "m"), (tmp_path / "m").as_uri() + "/")
        assert offer.url.endswith(f"/m/20250612/{QUOTED}")
        assert (offer.size, offer.release, offer.flavor) == (4, "20250612", "install_only")

    def test_an_archive_tells_its_version_and_is_remembered(
        self, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "archives"
        folder.mkdir()
        stem = PYPY.removesuffix(".tar.gz")
        header = text("include/pypy3.12/patchlevel.h", '#define PY_VERSION "3.12.9"\n')
        members = [program("bin/pypy3.12", make_elf("x86_64")), header]
        made = write_archive(below(stem, members), folder / PYPY, ".tar.gz")
        with monkeypatch.context() as patch:
            for _ in range(2):
                (offer,) = desk.offers(str(folder), request="pypy")
                assert str(offer.key) == "pypy-3.12.9-linux-x86_64-gnu"
                patch.setattr("kitbag_packer.inspection.inspect_archive", None)
        write_archive(below(stem, members[:1]), made, ".tar.gz")
        assert desk.offers(str(folder), request="cpython") == []
        assert desk.said.warnings == []
        assert desk.offers(str(folder), request="pypy") == []
        made.write_bytes(b"no archive")
        assert desk.offers(str(folder), request="pypy") == []
        untold, broken = desk.said.warnings
        assert "is left out, since nothing here tells its full version" in untold
        assert f"{made} is left out: " in broken

    def test_what_cannot_be_opened(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "page").write_bytes(b"<html>")
        large = tmp_path / "large"
        with large.open("wb") as file:
            file.truncate(64 * 1024 * 1024 + 1)
        for given, words in {
            "": "--catalog is empty",
            str(tmp_path / "nothing"): "nothing: there is no such file; name a file, a directory",
            str(tmp_path / "empty"): "has no archive of a Python by a name that kitbag knows",
            str(tmp_path / "page"): "page: is a web page",
            str(large): "large: has more than 64 MiB",
            "stored": "no list of builds is stored; run kitbag catalog update first",
            "x\0y": "can't be read",
            "ftp://me:secret@h.example/list": "an address that kitbag can't use; it begins with",
            "http:/me:secret@h.example/list": "an address that kitbag can't use",
            "pypy=https://me:secret@h.example/": "an address that kitbag can't use",
        }.items():
            with pytest.raises(CatalogError, match=words) as refused:
                desk.open(given)
            assert "secret" not in str(refused.value)

    def test_without_any_the_embedded_one_is_used(self, desk: Desk) -> None:
        for given in ((), ("embedded",)):
            assert [catalog.name for catalog in desk.open(*given, offline=True)] == ["embedded"]
        assert not desk.cache.exists()


class TestRemote:
    def test_a_list_is_fetched_once(self, desk: Desk) -> None:
        with serving({"/list.json": UV}) as server:
            url = f"{server.url}list.json"
            assert desk.versions(url) == {"3.13.5"}
            assert desk.versions(url) == {"3.13.5"}
            assert server.sent("/list.json") == len(UV)
            assert [record.status for record in server.requests] == [200, 304]
            server.content["/list.json"] = NEWER
            assert desk.versions(url) == {"3.13.6"}
            assert server.sent("/list.json") == len(UV) + len(NEWER)
        assert desk.said.warnings == []
        # Named once, it is not used unasked.
        assert [catalog.name for catalog in desk.open()] == ["embedded"]

    def test_last_modified_is_enough(self, desk: Desk) -> None:
        with serving({"/list.json": UV}, etag="") as server:
            for _ in range(2):
                desk.open(f"{server.url}list.json")
            assert server.sent() == len(UV)

    def test_a_copy_is_used_when_there_is_no_network(self, desk: Desk) -> None:
        with serving({"/list.json": UV}) as server:
            url = f"{server.url}list.json"
            with pytest.raises(OfflineError, match=r"list\.json: --offline forbids"):
                desk.open(url, offline=True)
            assert server.requests == []
            desk.open(url)
            (catalog,) = desk.open(url, offline=True)
            assert len(server.requests) == 1
        assert desk.versions(url) == {"3.13.5"}
        for line, reason in zip(desk.said.warnings, ("--offline", "can't be fetched"), strict=True):
            assert reason in line
            assert line.endswith(f"; using the copy of {catalog.date}")
        assert len(catalog.date) == 10

    def test_a_login_page_takes_no_ones_place(self, desk: Desk) -> None:
        with serving({"/list.json": UV}) as server:
            url = f"{server.url}list.json"
            server.behave("/list.json", html="<html>Please log in")
            with pytest.raises(CatalogError, match="is a web page"):
                desk.open(url)
            server.behave("/list.json", html="")
            desk.open(url)
            for behaviour in ({"html": "<html>Please log in"}, {"html": "", "always": 503}):
                server.behave("/list.json", **behaviour)
                assert desk.versions(url) == {"3.13.5"}
            assert "is a web page" in desk.said.warnings[0]
            assert "503" in desk.said.warnings[1]

    def test_a_list_that_is_not_there(self, desk: Desk) -> None:
        with serving({}) as server, pytest.raises(DownloadError, match="404"):
            desk.open(f"{server.url}list.json")

    def test_credentials_are_not_shown(self, desk: Desk) -> None:
        with serving({"/list.json": UV}) as server:
            url = f"{server.url}list.json?token=hidden".replace("//", "//me:secret@")
            (catalog,) = desk.open(url)
            desk.open(url, offline=True)
        for shown in (catalog.name, *desk.said.warnings):
            assert "secret" not in shown
            assert "hidden" not in shown

    def test_sums_by_address(self, desk: Desk) -> None:
        sums = f"{digest(NAME)}  {NAME}\n{digest(PYPY)}  {PYPY}\n".encode()
        with serving({"/20250612/SHA256SUMS": sums}) as server:
            (offer,) = desk.offers(f"{server.url}20250612/SHA256SUMS")
            assert offer.url == f"{server.url}20250612/{QUOTED}"
            assert offer.sha256 == digest(NAME)
        assert (
            f"{PYPY} is left out, since nothing here tells its full version"
            in desk.said.warnings[0]
        )

    def test_files_of_this_machine_only_with_a_digest(self, desk: Desk, tmp_path: Path) -> None:
        here = (tmp_path / NAME).as_uri()
        unchecked = {"a": {**uv_entry("3.13.5", here), "sha256": None}}
        checked = {"b": uv_entry("3.13.6", (tmp_path / "p.tar.gz").as_uri(), sha256="ab" * 32)}
        with serving({"/page/": f'<a href="{here}">'.encode()}) as server:
            server.content["/list.json"] = json.dumps({**unchecked, **checked}).encode()
            assert desk.versions(f"{server.url}list.json") == {"3.13.6"}
            with pytest.raises(CatalogError, match="nor links to archives"):
                desk.open(f"{server.url}page/")
        (tmp_path / "list.json").write_text(json.dumps(unchecked))
        assert desk.versions(str(tmp_path / "list.json")) == {"3.13.5"}

    def test_a_folder_with_sums(self, desk: Desk) -> None:
        sums = f"{digest(NAME)}  {NAME}\n{digest(PYPY)}  {PYPY}\n".encode()
        with serving({"/py/SHA256SUMS": sums, "/py/": b""}) as server:
            url = f"{server.url}py/"
            offers = desk.offers(url, "embedded", request="any")
            ours = {offer.filename: offer for offer in offers if offer.catalog == url}
            assert set(ours) == {NAME, PYPY}
            assert ours[NAME].url == f"{url}{QUOTED}"
            assert server.count("/py/") == 0
        assert desk.said.warnings == []

    def test_a_folder_with_an_index_page(self, desk: Desk) -> None:
        page = f'<a href="{QUOTED}">x</a> <a href="notes.txt">y</a>'.encode()
        with serving({"/py/": page, "/other/": b"<a href='x.txt'>"}) as server:
            (offer,) = desk.offers(f"{server.url}py/")
            assert (offer.url, offer.sha256) == (f"{server.url}py/{QUOTED}", "")
            with pytest.raises(CatalogError, match="neither a SHA256SUMS nor links to archives"):
                desk.open(f"{server.url}other/")

    @pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
    def test_a_cache_that_cannot_be_written(self, desk: Desk) -> None:
        desk.cache.write_bytes(b"a file is in the way")
        with serving({"/list.json": UV}) as server:
            assert desk.versions(f"{server.url}list.json") == {"3.13.5"}
