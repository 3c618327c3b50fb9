import datetime as dt
import json
import threading

from kitbag_packer.cli.progress.events import EventReporter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reporter(quiet=False):
    clock = Clock()
    day = dt.datetime(2026, 11, 21, 9, 5, 46, 123456, tzinfo=dt.UTC)
    return EventReporter(quiet=quiet, clock=clock, today=lambda: day), clock


def events(capfd):
    out, err = capfd.readouterr()
    assert out == ""
    assert err.isascii()
    return [json.loads(line) for line in err.splitlines()]


def test_a_download_from_its_start_to_its_end(capfd):
    subject, clock = reporter()
    with subject.downloads(2) as watcher:
        one, two = watcher.track("k\xe9y", None), watcher.track("other", 5)
        one.begin(20_000, 5_000)
        for _ in range(24):
            clock.now += 0.125
            one.advance(125)
        one.pause("connection reset", 12.04, 2)
        clock.now += 12
        one.begin(20_000, 8_000)
        one.advance(12_000)
        one.finish()
        two.fail("HTTP 404")
    found = events(capfd)
    assert {each.pop("time") for each in found} == {"2026-11-21T09:05:46.123Z"}
    progress = [each for each in found if each["event"] == "download-progress"]
    # One a second at most; the time spent waiting counts for no rate.
    assert 2 <= len(progress) <= 4
    assert progress[1] == {
        "event": "download-progress", "label": "k\xe9y", "done": 7000,
        "total": 20_000, "rate": 1000, "seconds-left": 13,
    }  # fmt: skip
    label = {"label": "k\xe9y"}
    assert [each for each in found if each not in progress] == [
        {"event": "download-started", **label, "done": 5000, "total": 20_000},
        {"event": "download-paused", **label, "done": 8000, "total": 20_000,
         "reason": "connection reset", "seconds": 12.0, "attempt": 2},
        {"event": "download-started", **label, "done": 8000, "total": 20_000},
        {"event": "download-finished", **label, "done": 20_000, "total": 20_000,
         "fetched": 15_000, "seconds": 15.0},
        {"event": "download-failed", "label": "other", "done": 0, "total": 5,
         "reason": "HTTP 404"},
    ]  # fmt: skip


def test_messages_and_other_work(capfd):
    subject, clock = reporter()
    subject.info("a\nremark \u2603")
    subject.warn("a doubt")
    with subject.progress("quick", 10) as work:
        work.advance(10)
    with subject.progress("writing", 5000) as work:
        for _ in range(40):
            clock.now += 0.1
            work.advance(125)
    subject.close()
    found = events(capfd)
    assert [each["event"] for each in found[:2]] == ["info", "warning"]
    assert found[0]["message"] == "a\nremark \u2603"
    rest = found[2:]
    assert {each["event"] for each in rest} == {"progress"}
    assert {each["label"] for each in rest} == {"writing"}
    assert 3 <= len(rest) <= 5
    assert (rest[-1]["done"], rest[-1]["total"]) == (5000, 5000)
    assert 1200 <= rest[-1]["rate"] <= 1300


def test_quiet_keeps_warnings(capfd):
    subject, clock = reporter(quiet=True)
    subject.info("a remark")
    with subject.downloads(1) as watcher, subject.progress("x", 10) as work:
        watcher.track("a", 1).begin(1, 0)
        clock.now = 5
        work.advance(1)
    subject.warn("a doubt")
    assert [each["event"] for each in events(capfd)] == ["warning"]


def test_lines_of_many_threads_stay_whole(capfd):
    subject = EventReporter()

    def fetch(number):
        track = watcher.track(f"key-{number}", 100)
        for _ in range(50):
            track.begin(100, 0)
            track.pause("x" * 200, 0, 1)
        track.finish()

    with subject.downloads(8) as watcher:
        threads = [threading.Thread(target=fetch, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(events(capfd)) == 8 * 101
