"""Many downloads at once: order, bounds, other processes, and being stopped."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import DigestMismatch, FileSystemError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache import Cache
from kitbag_packer.errors import DownloadError, OfflineError
from support.downloading import Fetching, Notes, content, download
from support.webserver import Behaviour, WebServer, serving

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.cache import Entry
    from kitbag_packer.downloads.fetching import Download

DATA = {f"/{name}.tar.gz": content(50_000, seed) for seed, name in enumerate("abcdefgh")}

# Fetches one archive into a cache; stopped from outside in many ways.
CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from kitbag_packer.cache import Cache
from kitbag_packer.downloads.fetching import Download, fetch
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.reporting import QuietReporter
folder, *items = sys.argv[1:]
reporter = QuietReporter()
downloads = [
    Download(name, (url,), name, sha256)
    for url, name, sha256 in zip(items[::3], items[1::3], items[2::3])
]
settings = DownloadSettings(retries=20, first_pause=0.01, longest_pause=0.05)
try:
    fetched = fetch(downloads, Cache(Path(folder), reporter), settings, reporter)
except KeyboardInterrupt:
    sys.exit(130)
for failure in fetched.failures.values():
    sys.exit(str(failure))
"""


def child(folder: Path, *downloads: Download) -> subprocess.Popen[bytes]:
    words = [word for each in downloads for word in (each.urls[0], each.filename, each.sha256)]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, str(folder), *words], stderr=subprocess.PIPE
    )


def all_of(server: WebServer) -> list[Download]:
    return [download(data, server.url + path[1:], filename=path[1:]) for path, data in DATA.items()]


class TestTogether:
    def test_everything_arrives_and_is_told_in_the_calling_thread(self, fetching: Fetching) -> None:
        told: list[tuple[str, threading.Thread]] = []

        def arrived(download: Download, entry: Entry) -> None:
            assert entry.sha256 == download.sha256
            told.append((download.filename, threading.current_thread()))

        with serving(DATA) as server:
            wanted = all_of(server)
            fetched = fetching(*wanted, arrived=arrived)
            assert list(fetched.entries) == wanted
            assert not fetched.failures
            assert server.sent() == sum(map(len, DATA.values()))
        assert sorted(name for name, _ in told) == [path[1:] for path in DATA]
        assert {thread for _, thread in told} == {threading.current_thread()}
        assert [track.end for track in fetching.notes.tracks] == ["finished"] * len(DATA)
        assert [track.label for track in fetching.notes.tracks] == [each.label for each in wanted]

    def test_what_is_in_the_cache_needs_no_network_and_no_bars(self, fetching: Fetching) -> None:
        with serving(DATA) as server:
            wanted = all_of(server)
            fetching(*wanted[:3])
        told: list[str] = []
        fetched = fetching(
            *wanted[:3], offline=True, arrived=lambda each, _: told.append(each.filename)
        )
        assert list(fetched.entries) == wanted[:3]
        assert told == [each.filename for each in wanted[:3]]
        assert fetching.notes.counts == [3]

    def test_one_that_fails_does_not_stop_the_others(self, fetching: Fetching) -> None:
        broken = {"/b.tar.gz": Behaviour(always=404), "/e.tar.gz": Behaviour(versions=(b"bad",))}
        with serving(DATA, behaviours=broken) as server:
            wanted = all_of(server)
            fetched = fetching(*wanted)
        assert list(fetched.failures) == [wanted[1], wanted[4]]
        assert [type(each) for each in fetched.failures.values()] == [
            DownloadError,
            DigestMismatch,
        ]
        assert set(fetched.entries) == set(wanted) - {wanted[1], wanted[4]}
        assert "404" in fetching.notes.tracks[1].end

    def test_no_more_at_a_time_than_allowed(self, fetching: Fetching) -> None:
        with serving(DATA, rate=400_000) as server:
            fetching(*all_of(server), jobs=8, per_host=2)
            assert server.most_at_once == 2
        with serving(DATA, rate=400_000) as one, serving(DATA, rate=400_000) as other:
            more = [
                download(content(50_001, seed), server.url + "none", filename=f"{seed}.tar.gz")
                for seed, server in enumerate([one, other] * 4)
            ]
            for server in (one, other):
                server.behave("/none", always=404)
            fetching(*more, jobs=3, per_host=2)
            assert max(one.most_at_once, other.most_at_once) <= 2

    def test_a_busy_host_does_not_hold_up_another(self, fetching: Fetching) -> None:
        slow = {path: Behaviour(stall_after=10, stalls=1) for path in DATA}
        with serving(DATA, behaviours=slow) as busy, serving(DATA) as free:
            paths = list(DATA)
            wanted = [
                *(download(DATA[p], busy.url + p[1:], filename=p[1:]) for p in paths[:4]),
                download(DATA[paths[5]], free.url + paths[5][1:], filename="free.tar.gz"),
            ]
            order: list[str] = []
            fetching(
                *wanted,
                per_host=1,
                read_timeout=0.2,
                arrived=lambda each, _: order.append(each.filename),
            )
        assert order[0] == "free.tar.gz"

    def test_the_same_bytes_under_two_names_are_fetched_once(self, fetching: Fetching) -> None:
        with serving({"/a": DATA["/a.tar.gz"]}) as server:
            one = download(DATA["/a.tar.gz"], server.url + "a", label="one")
            two = download(DATA["/a.tar.gz"], server.url + "a", label="two")
            assert set(fetching(one, two).entries) == {one, two}
            assert server.count() == 1

    def test_nothing_to_do(self, fetching: Fetching) -> None:
        assert fetching().entries == {}

    def test_what_a_caller_raises_ends_everything_and_keeps_what_arrived(
        self, fetching: Fetching
    ) -> None:
        slow = {"/b.tar.gz": Behaviour(stall_after=20_000)}

        def arrived(download: Download, entry: Entry) -> None:
            server.wait_until_sent("/b.tar.gz", 20_000)
            raise ZeroDivisionError

        with serving(DATA, behaviours=slow) as server:
            wanted = all_of(server)[:2]
            with pytest.raises(ZeroDivisionError):
                fetching(*wanted, arrived=arrived)
            server.behave("/b.tar.gz", stall_after=None)
            fetching(*wanted)
            assert server.sent("/b.tar.gz") == 50_000
            assert server.sent("/a.tar.gz") == 50_000


class TestOffline:
    def test_names_what_is_missing_and_where_it_was_looked_for(self, fetching: Fetching) -> None:
        wanted = download(b"x", "https://user:word@example.org/a.tar.gz?token=1")
        with pytest.raises(
            OfflineError, match=r"a\.tar\.gz is not in the cache .*cache.*--off"
        ) as e:
            fetching.one(wanted, offline=True)
        assert str(fetching.cache.folder) in str(e.value)
        assert "word" not in str(e.value)

    def test_what_has_no_address_is_told(self, fetching: Fetching) -> None:
        with pytest.raises(DownloadError, match="nobody says where else"):
            fetching.one(download(b"x"))

    def test_a_file_of_uv_is_taken_instead_of_the_network(
        self, fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = DATA["/a.tar.gz"]
        digest = hashlib.sha256(data).hexdigest()
        monkeypatch.setenv("UV_PYTHON_CACHE_DIR", str(tmp_path))
        (tmp_path / f"{digest[:9]}-a-1.tar.gz").write_bytes(data)
        with serving(DATA) as server:
            wanted = download(data, server.url + "a.tar.gz", filename="a+1.tar.gz")
            assert fetching.one(wanted) == data
            assert server.count() == 0
            other = download(DATA["/b.tar.gz"], server.url + "b.tar.gz", filename="a+1.tar.gz")
            (tmp_path / f"{other.sha256[:9]}-a-1.tar.gz").write_bytes(b"damaged")
            assert fetching.one(other) == DATA["/b.tar.gz"]

    def test_a_file_of_uv_is_taken_offline_too(
        self, fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = DATA["/a.tar.gz"]
        monkeypatch.setenv("UV_PYTHON_CACHE_DIR", str(tmp_path))
        digest = hashlib.sha256(data).hexdigest()
        (tmp_path / f"{digest[:9]}-a.tar.gz").write_bytes(data)
        assert fetching.one(download(data, "http://127.0.0.1:9/a"), offline=True) == data


class TestSurroundings:
    def test_a_proxy_that_can_not_be_used_is_one_clear_line(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "gopher://user:word@127.0.0.1:9")
        with pytest.raises(UsageError, match="proxy") as refused:
            fetching.one(download(b"x", "http://127.0.0.1:9/a"))
        assert "word" not in str(refused.value)

    def test_a_full_disk_is_told_and_not_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = "/dev/full"
        if not os.path.exists(full):
            pytest.skip("no /dev/full here")
        data = DATA["/a.tar.gz"]

        class Full(Cache):
            def partial(self, *args, **more):  # type: ignore[no-untyped-def]
                import contextlib

                from kitbag_packer.cache import PartialFile

                place = tmp_path / "place"
                place.mkdir()
                (place / "data").symlink_to(full)
                return contextlib.nullcontext(PartialFile(place / "data", place / "state.json"))

        fetching = Fetching(Full(tmp_path / "cache", SilentReporter()), Notes())
        with serving(DATA) as server:
            with pytest.raises(FileSystemError, match="free some space"):
                fetching.one(download(data, server.url + "a.tar.gz"))
            assert server.count() == 1


class TestRates:
    def test_a_limit_holds_for_all_together(self, fetching: Fetching) -> None:
        with serving(DATA) as server:
            wanted = all_of(server)[:4]
            began = time.monotonic()
            fetching(*wanted, limit_rate=250_000)
            assert 0.7 < time.monotonic() - began < 3

    def test_progress_shows_at_a_kilobyte_a_second(self, fetching: Fetching) -> None:
        data = content(1200)
        with serving({"/a": data}) as server:
            fetching.one(download(data, server.url + "a"), limit_rate=1000)
        steps = fetching.notes.tracks[0].steps
        assert len(steps) == 12
        assert max(steps) <= 100

    def test_progress_shows_on_a_link_of_a_kilobyte_a_second(self, fetching: Fetching) -> None:
        data = content(1200)
        with serving({"/a": data}, rate=1000) as server:
            fetching.one(download(data, server.url + "a"))
        assert len(fetching.notes.tracks[0].steps) > 10


class TestProcesses:
    @pytest.mark.slow
    def test_eight_at_once_fetch_each_archive_once(self, tmp_path: Path) -> None:
        with serving(DATA, rate=100_000) as server:
            running = [child(tmp_path / "cache", *all_of(server)) for _ in range(8)]
            for each in running:
                _, told = each.communicate(timeout=60)
                assert each.returncode == 0, told.decode()
            assert server.sent() == sum(map(len, DATA.values()))

    def test_one_that_waits_for_another_lets_others_go_on(
        self, fetching: Fetching, tmp_path: Path
    ) -> None:
        with serving(DATA) as server:
            wanted = all_of(server)[:3]
            other = Cache(fetching.cache.folder, SilentReporter())
            with other.partial(wanted[0].sha256, "other"):
                order: list[str] = []

                def arrived(download: Download, entry: Entry) -> None:
                    order.append(download.filename)
                    if len(order) == 2:
                        release.set()

                release = threading.Event()
                waiter = threading.Thread(target=lambda: fetching(*wanted, jobs=1, arrived=arrived))
                waiter.start()
                assert release.wait(10)
            waiter.join()
        assert order == ["b.tar.gz", "c.tar.gz", "a.tar.gz"]

    def test_ctrl_c_stops_at_once_and_the_next_run_goes_on(self, tmp_path: Path) -> None:
        data = content(200_000)
        with serving({"/a": data}, stall_after=120_000, stalls=1) as server:
            wanted = download(data, server.url + "a")
            running = child(tmp_path / "cache", wanted)
            server.wait_until_sent("/a", 120_000)
            time.sleep(0.2)
            began = time.monotonic()
            running.send_signal(signal.SIGINT)
            _, told = running.communicate(timeout=10)
            assert time.monotonic() - began < 2
            assert (running.returncode, told) == (130, b"")
            again = child(tmp_path / "cache", wanted)
            assert again.communicate(timeout=10)[1] == b""
            assert server.sent("/a") == len(data)

    @pytest.mark.slow
    def test_killed_at_any_moment_it_goes_on_where_it_was(self, tmp_path: Path) -> None:
        data = content(4_000_000)
        chance = random.Random(20)
        with serving({"/a": data}, rate=2_000_000) as server:
            wanted = download(data, server.url + "a")
            reached, there = 0, []
            place = tmp_path / "cache" / "partial" / wanted.sha256 / "data"
            for _ in range(20):
                reached = min(reached + chance.randrange(1, 2 * len(data) // 21), len(data) - 1)
                running = child(tmp_path / "cache", wanted)
                server.wait_until_sent("/a", reached)
                running.kill()
                running.communicate()
                reached = server.sent("/a")
                there.append(place.stat().st_size if place.exists() else 0)
            last = child(tmp_path / "cache", wanted)
            assert last.communicate(timeout=30)[1] == b""
            assert last.returncode == 0
            # All that had reached the file counts; only what was on its way came for nothing.
            asked = {r.headers.get("range", "bytes=0-"): None for r in server.requests}
            assert list(asked) == [f"bytes={count}-" for count in dict.fromkeys((0, *there))]
            # Each began where the file ended; how much is on its way then is the system's affair.
            assert server.requests[-1].sent == len(data) - max(there)
        kept = Cache(tmp_path / "cache", SilentReporter()).check(wanted.sha256)
        assert kept is not None
        assert kept.path.read_bytes() == data
