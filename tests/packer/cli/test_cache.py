from __future__ import annotations

import json
import os

import pytest

from kitbag_packer.cache import Cache
from support.caches import Messages, digest, keep
from support.cli import assert_done, assert_refused, call


@pytest.fixture
def folder(home, monkeypatch):
    monkeypatch.setenv("KITBAG_CACHE_DIR", str(home / "cache"))
    cache = Cache(home / "cache", Messages())
    keep(cache, b"x" * 1500, "cpython-3.13.5+20260101-x86_64.tar.gz")
    with cache.partial("1" * 64, "pypy-3.11.15") as place:
        place.data.write_bytes(b"x" * 300)
        place.state.write_text('{"total": 1000}')
    return home / "cache"


def test_dir_tells_where_it_is_and_makes_nothing(home, tmp_path):
    ran = call("cache", "dir")
    assert_done(ran)
    assert ran.out == f"{home}/.cache/kitbag\n"
    assert call("cache", "dir", "--cache-dir", tmp_path / "c").out == f"{tmp_path}/c\n"
    assert not (home / ".cache" / "kitbag").exists()


def test_list_shows_what_is_there(folder):
    ran = call("cache", "list")
    assert_done(ran)
    assert ran.out.splitlines() == [
        "ARCHIVE                                  SIZE  LAST USED  SHA-256",
        f"cpython-3.13.5+20260101-x86_64.tar.gz  1.5 kB  just now   {digest(b'x' * 1500)[:12]}",
        "",
        "UNFINISHED DOWNLOAD   SIZE  LAST TRIED  DONE",
        "pypy-3.11.15         300 B  just now    30 %",
        "",
        f"{folder}: 1 archive, 1.5 kB; 1 unfinished download, 300 B",
    ]
    table = json.loads(call("cache", "list", "--json").out)
    assert table["size"] == 1800
    assert table["archives"][0]["sha256"] == digest(b"x" * 1500)
    assert table["unfinished"][0]["total"] == 1000


def test_list_check_reads_everything_and_throws_away_what_is_damaged(folder):
    assert call("cache", "list", "--check").status == 0
    path = folder / "archives" / digest(b"x" * 1500)
    path.write_bytes(b"y" * 1500)
    ran = call("cache", "list", "--check", "--json")
    assert ran.status == 3
    assert "damaged" in ran.err
    assert json.loads(ran.out)["damaged"] == [path.name]
    assert not path.exists()


def test_prune_and_clean_say_what_they_removed(folder):
    ran = call("cache", "prune")
    assert_done(ran)
    assert ran.out.startswith("Removed nothing\n")
    assert "--lock" in ran.out
    assert call("cache", "prune", "--older-than", "0s", "--dry-run").out.splitlines() == [
        " - cpython-3.13.5+20260101-x86_64.tar.gz (archive, 1.5 kB)",
        " - pypy-3.11.15 (download, 300 B)",
        "Would remove 1.8 kB",
    ]
    ran = call("cache", "clean", "--json")
    assert_done(ran)
    assert json.loads(ran.out)["freed"] == 1800
    assert os.listdir(folder / "archives") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--dry-run"), "--dry-run"),
        (("clean", "--lock", "x"), "--lock"),
        (("dir", "--older-than", "1d"), "--older-than"),
        (("prune", "--check"), "--check"),
        (("prune", "--older-than", "soon"), "30d"),
        (("prune", "--lock", "none.lock"), "none.lock"),
        (("list", "--cache-dir", ""), "--cache-dir"),
        (("list", "--cache-dir", "/dev/null"), "--cache-dir"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, arguments, words):
    assert_refused(call("cache", *arguments), 2, words)
    assert (folder / "archives" / digest(b"x" * 1500)).exists()
