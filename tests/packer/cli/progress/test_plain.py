import threading

from kitbag_packer.cli.progress.plain import LineReporter, LineWatcher, QuietLineReporter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reporter():
    clock = Clock()
    return LineReporter(clock, period=None), clock


def lines(capfd):
    out, err = capfd.readouterr()
    assert out == ""
    assert all(line.startswith("kitbag: ") for line in err.splitlines())
    return [line.removeprefix("kitbag: ") for line in err.splitlines()]


def test_a_quick_download_is_one_line(capfd):
    subject, clock = reporter()
    with subject.downloads(2) as watcher:
        one = watcher.track("a", 27_700_000)
        one.begin(27_700_000, 0)
        watcher.tick()
        one.advance(27_700_000)
        clock.now = 1.2
        one.finish()
        watcher.track("b", 5).finish()  # was there already
        watcher.tick()
    assert lines(capfd) == ["a: downloaded 27.7 MB in 1 s"]


def test_seven_hours_at_1_kb_per_second(capfd):
    subject, clock = reporter()
    with subject.downloads(1) as watcher:
        item = watcher.track("key", None)
        item.begin(25_200_000 + 2_500_000, 2_500_000)
        for second in range(25_200):
            clock.now += 1
            item.advance(1000)
            if second % 1800 == 900:
                item.pause("connection reset", 12, 1)
                clock.now += 12
                item.begin(27_700_000, 2_500_000 + (second + 1) * 1000)
            watcher.tick()
        item.finish()
    found = lines(capfd)
    assert len(found) < 130
    assert found[0] == "key: downloading 27.7 MB, 2.5 MB are there already"
    assert found[1] == "key: 2.5 of 27.7 MB (9%), 1.0 kB/s, 6 h 55 min left"
    assert found.count("key: connection reset; again in 12 s (try 2)") == 14
    assert found[-1] == "key: downloaded 27.7 MB in 7 h"
    assert not any("inf" in line or " 0 s" in line for line in found)


def test_a_link_that_keeps_failing_does_not_fill_a_log(capfd):
    subject, clock = reporter()
    with subject.downloads(30) as watcher:
        tracks = [watcher.track(f"k{number}", 100) for number in range(30)]
        for attempt in range(1, 1001):
            clock.now += 10
            for track in tracks[:8]:
                track.pause("connection refused", 10, attempt)
            watcher.tick()
    found = lines(capfd)
    assert found[0] == "k0: downloading 100 B"
    assert found[1] == "k0: connection refused; again in 10 s (try 2)"
    assert len(found) < 8 * 60


def test_many_downloads_are_told_of_together(capfd):
    subject, clock = reporter()
    with subject.downloads(3) as watcher:
        one, two = watcher.track("a", 1_000_000), watcher.track("b", 3_000_000)
        one.begin(1_000_000, 0)
        two.begin(3_000_000, 0)
        for _ in range(10):
            clock.now += 1
            one.advance(100_000)
            two.advance(100_000)
            if clock.now == 10:
                one.finish()
            watcher.tick()
        three = watcher.track("c", 500_000)
        three.fail("HTTP 404")
        for _ in range(10):
            clock.now += 1
            two.advance(100_000)
            watcher.tick()
        two.fail("the last one is told by the command")
    assert lines(capfd) == [
        "a: downloading 1.0 MB",
        "b: downloading 3.0 MB",
        "a: downloaded 1.0 MB in 10 s",
        "1 of 3 downloaded; 2.0 of 4.0+ MB, 200.0 kB/s",
        "c: HTTP 404",
        "1 of 3 downloaded, 1 failed; 3.0 of 4.0 MB (75%), 150.0 kB/s, 7 s left",
    ]


def test_a_silent_link_is_told_of(capfd):
    subject, clock = reporter()
    with subject.downloads(1) as watcher:
        watcher.track("a", 2000).begin(2000, 1000)
        for _ in range(60):
            clock.now += 1
            watcher.tick()
    found = lines(capfd)
    assert found[0] == "a: downloading 2.0 kB, 1.0 kB are there already"
    assert found[-1] == "a: 1.0 of 2.0 kB (50%), 0 B/s"


def test_other_work_tells_of_itself_when_it_takes_long(capfd):
    subject, clock = reporter()
    with subject.progress("writing x", 1_000_000) as work:
        for _ in range(100):
            clock.now += 0.25
            work.advance(10_000)
    subject.close()
    assert lines(capfd) == [
        "writing x: 400.0 kB of 1.0 MB (40%), 40.0 kB/s, 15 s left",
        "writing x: 800.0 kB of 1.0 MB (80%), 40.0 kB/s, 5 s left",
    ]


def test_messages(capfd):
    subject, _ = reporter()
    subject.info("a remark")
    subject.warn("a\n\x1b[2Jdoubt")
    assert lines(capfd) == ["a remark", "warning: a \\x1b[2Jdoubt"]


def test_quiet_keeps_warnings(capfd):
    subject = QuietLineReporter()
    subject.info("a remark")
    with subject.downloads(1) as watcher:
        track = watcher.track("a", 1)
        track.begin(1, 0)
        track.fail("x")
    with subject.progress("x", 1) as work:
        work.advance(1)
    subject.warn("a doubt")
    subject.close()
    assert lines(capfd) == ["warning: a doubt"]


def test_a_thread_tells_what_is_due():
    clock, said, told = Clock(), [], threading.Event()

    def say(line):
        said.append(line)
        told.set()

    with LineWatcher(say, 1, clock, period=0.001) as watcher:
        watcher.track("a", 10).begin(10, 0)
        clock.now = 3.0
        assert told.wait(10)
    assert said == ["a: downloading 10 B"]
