from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kitbag_packer.downloads.sizes import measure
from support.downloading import FAST
from support.webserver import Behaviour, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DATA = {f"/{number}": bytes(1000 + number) for number in range(20)}


def test_side_by_side_and_without_fetching() -> None:
    with serving(DATA) as server:
        items = [(server.url + path[1:],) for path in DATA]
        assert measure(items, FAST) == [len(data) for data in DATA.values()]
        assert server.sent() == 0


def test_where_head_is_not_allowed_one_byte_tells() -> None:
    with serving(DATA, head=False) as server:
        assert measure([(server.url + "1",)], FAST) == [1001]
        server.wait_until_sent("/1", 1)
        assert server.sent("/1") == 1


def test_addresses_are_tried_in_turn_and_nobody_may_know(tmp_path: Path) -> None:
    (tmp_path / "a+b").write_bytes(b"12345")
    known = {
        "/3": Behaviour(always=404),
        "/4": Behaviour(html="<html>"),
        "/5": Behaviour(always=503),
        "/6": Behaviour(length=None, ranges=False),
    }
    with serving(DATA, behaviours=known) as server:
        urls = [(server.url + str(number),) for number in (3, 4, 5, 6)]
        assert measure(urls, FAST) == [None] * 4
        assert measure([(*urls[0], server.url + "7")], FAST) == [1007]
    assert measure([(server.url + "7", (tmp_path / "a+b").as_uri())], FAST) == [5]


def test_offline_asks_nobody(tmp_path: Path) -> None:
    offline = replace(FAST, offline=True)
    (tmp_path / "a").write_bytes(b"123")
    with serving(DATA) as server:
        items = [(server.url + "1",), ((tmp_path / "a").as_uri(),), ()]
        assert measure(items, offline) == [None, 3, None]
        assert server.count() == 0


def test_surroundings_that_make_no_sense_are_nobody_s_affair_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:9")
    assert measure([("http://127.0.0.1:9/a",), ("nonsense",)], FAST) == [None, None]
