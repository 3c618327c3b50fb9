"""One download against servers that misbehave; what counts is the bytes that they had to send."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.errors import DigestMismatch
from kitbag_packer.downloads.addresses import shown
from kitbag_packer.downloads.partials import boot_id
from kitbag_packer.errors import DownloadError
from support.downloading import Fetching, content, download
from support.webserver import http_date, serving

if TYPE_CHECKING:
    from pathlib import Path

DATA = content(300_000)
OTHER = content(300_000, seed=2)
PATH = "/a.tar.gz"
PAGE = "<!DOCTYPE html><html><body>Please log in</body></html>"


def leave_partial(fetching: Fetching, data: bytes, wanted: Any, **state: Any) -> Path:
    """Put ``data`` where an earlier run would have left it."""
    name = wanted.sha256 or "url-" + hashlib.sha256(shown(wanted.urls[0]).encode()).hexdigest()
    folder = fetching.cache.folder / "partial" / name
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(data)
    usual = {"url": wanted.urls[0], "etag": "", "last-modified": "", "total": None}
    usual |= {"durable": len(data), "boot-id": boot_id()}
    (folder / "state.json").write_text(json.dumps(usual | state))
    return folder


class TestResume:
    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    @pytest.mark.parametrize("known", [True, False], ids=["digest", "no-digest"])
    def test_a_link_that_drops_each_time_costs_no_byte_twice(
        self, fetching: Fetching, known: bool, reset: bool
    ) -> None:
        with serving({PATH: DATA}, cut_after=7_001, reset=reset) as server:
            wanted = download(DATA, server.url + "a.tar.gz", sha256=None if known else "")
            assert fetching.one(wanted) == DATA
            assert server.sent(PATH) == len(DATA)
            assert server.count(PATH) == -(-len(DATA) // 7_001)
        track = fetching.notes.tracks[0]
        assert track.end == "finished"
        assert sum(track.steps) == len(DATA)
        assert {attempt for _, _, attempt in track.pauses} == {1}
        assert track.begins[1] == (len(DATA), 7_001)

    def test_without_a_digest_it_asks_for_the_rest_of_the_same_file_only(
        self, fetching: Fetching
    ) -> None:
        with serving({PATH: DATA}, cut_after=100_000, cuts=1) as server:
            fetching.one(download(DATA, server.url + "a.tar.gz", sha256=""))
            second = server.requests[1].headers
            assert second["range"] == "bytes=100000-"
            assert second["if-range"].startswith('"')

    def test_a_date_serves_where_there_is_no_etag(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, cut_after=100_000, cuts=1, etag="") as server:
            fetching.one(download(DATA, server.url + "a.tar.gz", sha256=""))
            assert server.requests[1].headers["if-range"] == "Thu, 01 Jan 2026 00:00:00 GMT"
            assert server.sent(PATH) == len(DATA)

    @pytest.mark.parametrize(
        "validators", [{"weak": True, "modified": ""}, {"etag": "", "modified": ""}]
    )
    def test_without_validator_and_digest_it_compares_and_loses_nothing(
        self, fetching: Fetching, validators: dict[str, Any]
    ) -> None:
        with serving({PATH: DATA}, cut_after=100_000, cuts=1, **validators) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz", sha256="")) == DATA
            assert "range" not in server.requests[1].headers

    def test_with_a_digest_no_validator_is_needed(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, cut_after=90_000, etag="", modified="") as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA
            assert server.sent(PATH) == len(DATA)

    def test_another_address_goes_on_with_what_one_began(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, cut_after=100_000) as one, serving({PATH: DATA}) as other:
            one.behave(PATH, statuses=(0, 404))
            wanted = download(DATA, one.url + "a.tar.gz", other.url + "a.tar.gz")
            assert fetching.one(wanted) == DATA
            assert (one.sent(PATH) - len(b"no\n"), other.sent(PATH)) == (100_000, 200_000)

    @pytest.mark.parametrize("known", [True, False], ids=["digest", "no-digest"])
    def test_a_later_run_goes_on(self, fetching: Fetching, known: bool) -> None:
        with serving({PATH: DATA}, cut_after=100_000) as server:
            server.behave(PATH, statuses=(0, 404))
            wanted = download(DATA, server.url + "a.tar.gz", sha256=None if known else "")
            with pytest.raises(DownloadError, match="the 100000 bytes that did are kept"):
                fetching.one(wanted)
            server.behave(PATH, statuses=(), cut_after=None)
            assert fetching.one(wanted) == DATA
            assert server.requests[-1].sent == 200_000
        assert len(fetching.leftovers) == 2

    def test_all_that_is_needed_may_be_there_already(self, fetching: Fetching) -> None:
        wanted = download(DATA, "http://127.0.0.1:9/a.tar.gz")
        leave_partial(fetching, DATA, wanted)
        assert fetching.one(wanted) == DATA

    def test_bytes_of_another_boot_count_as_far_as_they_were_on_the_disk(
        self, fetching: Fetching
    ) -> None:
        with serving({PATH: DATA}) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            spoilt = DATA[:60_000] + bytes(40_000)
            leave_partial(fetching, spoilt, wanted, **{"durable": 50_000, "boot-id": "earlier"})
            assert fetching.one(wanted) == DATA
            assert server.sent(PATH) == len(DATA) - 50_000

    @pytest.mark.parametrize("state", [b"", b"{", b"[]", b'{"url": 1}'])
    def test_a_damaged_state_file_costs_nothing_where_a_digest_is_known(
        self, fetching: Fetching, state: bytes
    ) -> None:
        with serving({PATH: DATA}) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            (leave_partial(fetching, DATA[:1000], wanted) / "state.json").write_bytes(state)
            assert fetching.one(wanted) == DATA
            assert server.sent(PATH) == len(DATA) - 1000


class TestServersWithoutRanges:
    def test_the_same_bytes_are_passed_over_and_the_rest_is_taken(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, ranges=False, cut_after=100_000, cuts=1) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA
        assert sum(fetching.notes.tracks[0].steps) == len(DATA)

    def test_what_was_there_is_not_lost_when_the_second_try_ends_earlier(
        self, fetching: Fetching
    ) -> None:
        with serving({PATH: DATA}, ranges=False, cut_after=200_000) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            with pytest.raises(DownloadError):
                fetching.one(wanted, retries=2)
            server.behave(PATH, cut_after=50_000)
            with pytest.raises(DownloadError, match="the 200000 bytes that did are kept"):
                fetching.one(wanted, retries=2)

    def test_it_gives_up_when_no_try_gets_any_further(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, ranges=False, cut_after=100_000) as server:
            with pytest.raises(DownloadError, match="before everything was sent"):
                fetching.one(download(DATA, server.url + "a.tar.gz"), retries=3)
            assert server.count(PATH) == 4


class TestChangedFiles:
    @pytest.mark.parametrize("known", [True, False], ids=["digest", "no-digest"])
    def test_the_new_file_is_taken(self, fetching: Fetching, known: bool) -> None:
        with serving({}, versions=(DATA, OTHER), cut_after=100_000, cuts=1) as server:
            wanted = download(
                OTHER, server.url + "a.tar.gz", sha256=None if known else "", size=len(OTHER)
            )
            assert fetching.one(wanted) == OTHER

    def test_a_new_file_that_begins_alike_is_cut_where_it_differs(self, fetching: Fetching) -> None:
        new = DATA[:70_000] + OTHER[70_000:200_000]
        with serving({}, versions=(DATA, new), cut_after=100_000, cuts=1) as server:
            assert fetching.one(download(new, server.url + "a.tar.gz", sha256="")) == new

    def test_a_new_file_that_is_the_beginning_of_the_old(self, fetching: Fetching) -> None:
        new = DATA[:50_000]
        with serving({}, versions=(DATA, new), cut_after=100_000, cuts=1) as server:
            assert fetching.one(download(new, server.url + "a.tar.gz", sha256="")) == new

    def test_pieces_of_two_files_are_noticed_and_fetched_afresh(self, fetching: Fetching) -> None:
        deaf = {"if_range": False, "etag": "", "modified": ""}
        with serving({}, versions=(DATA, OTHER), cut_after=100_000, cuts=1, **deaf) as server:
            assert fetching.one(download(OTHER, server.url + "a.tar.gz")) == OTHER
            assert server.count(PATH) == 3

    def test_one_that_changes_all_the_time_is_given_up(self, fetching: Fetching) -> None:
        versions = tuple(content(200_000, seed) for seed in range(20))
        with (
            serving({}, versions=versions, cut_after=100_000) as server,
            pytest.raises(DownloadError, match="changes all the time"),
        ):
            fetching.one(download(DATA, server.url + "a.tar.gz", sha256=""))


class TestUnsatisfiableRanges:
    def test_everything_was_there(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}) as server:
            wanted = download(DATA, server.url + "a.tar.gz", sha256="")
            etag = f'"{hashlib.sha256(DATA).hexdigest()[:16]}"'
            leave_partial(fetching, DATA, wanted, etag=etag)
            assert fetching.one(wanted) == DATA
            assert server.sent(PATH) == 0

    def test_more_was_there_than_the_file_has(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            leave_partial(fetching, DATA + b"more", wanted)
            assert fetching.one(wanted) == DATA
            assert server.sent(PATH) == len(DATA)

    def test_a_server_that_answers_so_for_no_reason(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, statuses=(416,)) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            leave_partial(fetching, DATA[:1000], wanted)
            assert fetching.one(wanted) == DATA


class TestWrongRanges:
    @pytest.mark.parametrize("shift", [-5, 5])
    def test_another_part_than_asked_for_is_not_used(self, fetching: Fetching, shift: int) -> None:
        with serving({PATH: DATA}, cut_after=100_000, cuts=1, wrong_range=shift) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA
            assert [r.status for r in server.requests] == [200, 206, 200]


class TestLengths:
    @pytest.mark.parametrize(
        "behaviour",
        [{"chunked": True}, {"length": None}, {"length": 5000}],
        ids=["chunked", "no-length", "too-large"],
    )
    def test_odd_lengths_do_no_harm(self, fetching: Fetching, behaviour: dict[str, Any]) -> None:
        with serving({PATH: DATA}, **behaviour) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            assert fetching.one(wanted, read_timeout=0.2) == DATA
            assert server.sent(PATH) == len(DATA)

    def test_a_short_body_without_length_is_gone_on_with(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, length=None, cut_after=100_000, cuts=1) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA
            assert server.sent(PATH) == len(DATA)

    def test_a_body_without_length_that_never_gets_longer_is_wrong(
        self, fetching: Fetching
    ) -> None:
        with (
            serving({PATH: DATA}, length=None, truncate=1000, ranges=False) as server,
            pytest.raises(DigestMismatch, match="SHA-256"),
        ):
            fetching.one(download(DATA, server.url + "a.tar.gz"))
        assert fetching.leftovers == []

    def test_without_digest_the_end_of_a_connection_is_no_end_of_a_file(
        self, fetching: Fetching
    ) -> None:
        with (
            serving({PATH: DATA}, length=None, truncate=1000, ranges=False) as server,
            pytest.raises(DownloadError, match="less than everything"),
        ):
            fetching.one(download(DATA, server.url + "a.tar.gz", sha256=""))

    def test_a_length_that_is_too_small(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, length=-1000) as server:
            with pytest.raises(DownloadError, match="a file of 299000 bytes, not of 300000"):
                fetching.one(download(DATA, server.url + "a.tar.gz", size=len(DATA)))
            with pytest.raises(DigestMismatch):
                fetching.one(download(DATA, server.url + "a.tar.gz"))
            assert server.count(PATH) == 2

    def test_a_body_that_does_not_end(self, fetching: Fetching) -> None:
        with (
            serving({PATH: DATA + DATA}, length=None) as server,
            pytest.raises(DownloadError, match="more than the 300000 bytes"),
        ):
            fetching.one(download(DATA, server.url + "a.tar.gz", size=len(DATA)))
        assert fetching.leftovers == []

    def test_a_label_of_compression_is_no_reason_to_unpack(self, fetching: Fetching) -> None:
        packed = gzip.compress(b"hello " * 1000)
        with serving({PATH: packed}, content_encoding="gzip") as server:
            assert fetching.one(download(packed, server.url + "a.tar.gz")) == packed
            assert server.requests[0].headers["accept-encoding"] == "identity"


class TestWrongContent:
    def test_a_wrong_digest_is_refused_at_once_and_nothing_stays(self, fetching: Fetching) -> None:
        with serving({PATH: OTHER}) as server:
            with pytest.raises(DigestMismatch, match=r"a\.tar\.gz was refused") as refused:
                fetching.one(download(DATA, server.url + "a.tar.gz"))
            assert server.count(PATH) == 1
        assert hashlib.sha256(OTHER).hexdigest() in str(refused.value)
        assert fetching.leftovers == []
        assert "\n" not in str(refused.value)

    def test_another_address_may_have_the_right_one(self, fetching: Fetching) -> None:
        with serving({"/bad": OTHER, "/good": DATA}) as server:
            wanted = download(DATA, server.url + "bad", server.url + "good")
            assert fetching.one(wanted) == DATA

    @pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream"])
    def test_a_login_page_leaves_what_is_there_alone(
        self, fetching: Fetching, content_type: str
    ) -> None:
        with serving({PATH: DATA}) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            leave_partial(fetching, DATA[:1000], wanted)
            if content_type == "text/html":
                server.behave(PATH, html=PAGE)
            else:
                server.behave(PATH, versions=(b"\n " + PAGE.encode(),), ranges=False)
            with pytest.raises(DownloadError, match="a web page instead of an archive"):
                fetching.one(wanted)
            assert server.count(PATH) == 1
            server.behave(PATH, html="", versions=(), ranges=True)
            assert fetching.one(wanted) == DATA
            assert server.requests[-1].sent == len(DATA) - 1000

    def test_another_address_may_be_past_the_login(self, fetching: Fetching) -> None:
        with serving({}, html=PAGE) as portal, serving({PATH: DATA}) as server:
            wanted = download(DATA, portal.url + "a.tar.gz", server.url + "a.tar.gz")
            assert fetching.one(wanted) == DATA

    def test_an_archive_that_is_called_a_page_is_taken(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, content_type="text/html") as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA


class TestRetries:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_what_may_pass_is_tried_again(self, fetching: Fetching, status: int) -> None:
        with serving({PATH: DATA}, statuses=(status, status)) as server:
            assert fetching.one(download(DATA, server.url + "a.tar.gz")) == DATA
        reason, _, attempt = fetching.notes.tracks[0].pauses[1]
        assert reason.startswith(f"the server answered {status}")
        assert attempt == 2

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 410, 501])
    def test_what_will_not_pass_is_not(self, fetching: Fetching, status: int) -> None:
        with serving({PATH: DATA}, always=status) as server:
            with pytest.raises(DownloadError, match=f"127.0.0.1:{server.port} answered {status}"):
                fetching.one(download(DATA, server.url + "a.tar.gz"))
            assert server.count(PATH) == 1

    def test_patience_ends(self, fetching: Fetching) -> None:
        with serving({PATH: DATA}, always=503) as server:
            with pytest.raises(DownloadError, match="answered 503 Service Unavailable"):
                fetching.one(download(DATA, server.url + "a.tar.gz"), retries=3)
            assert server.count(PATH) == 3

    @pytest.mark.parametrize("what", ["seconds", "date"])
    def test_a_server_may_ask_for_a_pause_within_bounds(
        self, fetching: Fetching, what: str
    ) -> None:
        text = "3600" if what == "seconds" else http_date(3600)
        with serving({PATH: DATA}, statuses=(503,), retry_after=text) as server:
            fetching.one(download(DATA, server.url + "a.tar.gz"), longest_pause=0.01)
        assert fetching.notes.tracks[0].pauses[0][1] == pytest.approx(0.1)

    def test_all_hosts_and_reasons_are_told_in_one_line(self, fetching: Fetching) -> None:
        with serving({}) as one, serving({}, always=503) as other:
            wanted = download(DATA, one.url + "a.tar.gz", other.url + "a.tar.gz?key=secret")
            with pytest.raises(DownloadError) as failed:
                fetching.one(wanted)
        message = str(failed.value)
        assert f"127.0.0.1:{one.port} answered 404" in message
        assert f"127.0.0.1:{other.port} answered 503" in message
        assert "secret" not in message
        assert "\n" not in message

    def test_a_host_that_does_not_answer_hands_over_to_the_next(self, fetching: Fetching) -> None:
        with serving({}, always=503) as one, serving({PATH: DATA}) as other:
            wanted = download(DATA, one.url + "a.tar.gz", other.url + "a.tar.gz")
            assert fetching.one(wanted, retries=8) == DATA
            assert one.count() == 2

    def test_nobody_listens(self, fetching: Fetching) -> None:
        with serving({}) as server:
            url = server.url
        with pytest.raises(DownloadError, match="can't be reached"):
            fetching.one(download(DATA, url + "a.tar.gz"), retries=2)


class TestStalls:
    @pytest.mark.parametrize("drip", [0.0, 200.0], ids=["silence", "drip"])
    def test_a_stalled_connection_is_left_and_gone_on_with(
        self, fetching: Fetching, drip: float
    ) -> None:
        with serving({PATH: DATA}, stall_after=100_000, stalls=1, drip=drip) as server:
            wanted = download(DATA, server.url + "a.tar.gz")
            assert fetching.one(wanted, minimum_rate=5000, rate_window=0.3) == DATA
            assert server.count(PATH) == 2
            assert server.sent(PATH) <= len(DATA) + 100
        reason = fetching.notes.tracks[0].pauses[0][0]
        assert ("less than 5000 bytes a second" if drip else "silent for 0.3 s") in reason

    def test_a_server_that_takes_the_request_and_says_nothing(self, fetching: Fetching) -> None:
        with (
            serving({PATH: DATA}, delay=1.0) as server,
            pytest.raises(DownloadError, match="silent for 0"),
        ):
            fetching.one(download(DATA, server.url + "a.tar.gz"), retries=2, read_timeout=0.1)

    def test_a_limit_of_our_own_is_no_stall(self, fetching: Fetching) -> None:
        with serving({PATH: DATA[:2000]}) as server:
            wanted = download(DATA[:2000], server.url + "a.tar.gz")
            fetching.one(wanted, minimum_rate=100_000, rate_window=0.2, limit_rate=4000)
            assert server.count(PATH) == 1


class TestLocalFiles:
    def test_are_copied_and_checked(self, fetching: Fetching, tmp_path: Path) -> None:
        (tmp_path / "a+b.tar.gz").write_bytes(DATA)
        wanted = download(DATA, (tmp_path / "a+b.tar.gz").as_uri())
        assert fetching.one(wanted, offline=True) == DATA
        assert (tmp_path / "a+b.tar.gz").read_bytes() == DATA

    def test_a_wrong_or_missing_one_gives_way_to_the_next_address(
        self, fetching: Fetching, tmp_path: Path
    ) -> None:
        (tmp_path / "bad").write_bytes(OTHER)
        bad, none = (tmp_path / "bad").as_uri(), (tmp_path / "none").as_uri()
        with serving({PATH: DATA}) as server:
            assert fetching.one(download(DATA, none, bad, server.url + "a.tar.gz")) == DATA
        with pytest.raises(DownloadError, match="can't be read"):
            fetching.one(download(OTHER, none))


@pytest.mark.slow
def test_a_hundred_megabytes_over_a_link_that_drops_each_three(fetching: Fetching) -> None:
    data = content(100_000_000)
    with serving({PATH: data}, cut_after=3_000_000, reset=True) as server:
        assert fetching.one(download(data, server.url + "a.tar.gz", size=len(data))) == data
        assert server.sent(PATH) < len(data) * 1.01


@pytest.mark.parametrize("local", [False, True], ids=["http", "file"])
@pytest.mark.parametrize("known", [True, False], ids=["digest", "no-digest"])
def test_an_empty_file_is_told_as_such(
    fetching: Fetching, tmp_path: Path, known: bool, local: bool
) -> None:
    place = tmp_path / "a.tar.gz"
    place.touch()
    with serving({PATH: b""}) as server:
        url = place.as_uri() if local else server.url + "a.tar.gz"
        with pytest.raises(DownloadError, match="has an empty file"):
            fetching.one(download(DATA, url, sha256=None if known else "", size=None))
    assert list(fetching.cache.folder.glob("partial/*")) == []
