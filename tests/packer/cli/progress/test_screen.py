import signal

import pytest

from support.screens import Screen

START = (
    "import argparse, os, signal, sys, threading, time",
    "from kitbag_packer.cli.progress import reporter_for, screen",
    "screen._PATIENCE = 0",
    "reporter = reporter_for(argparse.Namespace())",
)
TWO = (
    *START,
    "watcher = reporter.downloads(2)",
    "_ = watcher.__enter__()",
    "one = watcher.track('cpython-3.13.5-linux-x86_64-gnu', 27_700_000)",
    "two = watcher.track('pypy-3.11.13-linux-x86_64-gnu', None)",
    "one.begin(27_700_000, 12_300_000)",
    "two.begin(None, 2_000_000)",
)
END = ("watcher.__exit__()", "reporter.close()")


def test_two_downloads_from_their_start_to_their_end():
    with Screen(100) as terminal:
        terminal.tell(*TWO)
        first = terminal.until(lambda lines: len(lines) == 3)
        assert first[0].startswith("cpython-3.13.5-linux-x86_64-gnu  ━")
        assert first[0].endswith("44%   12.3 of 27.7 MB")
        assert first[1].startswith("pypy-3.11.13-linux-x86_64-gnu   ")
        assert first[2].startswith("0 of 2 done")
        assert terminal.screen.cursor.hidden

        terminal.tell("time.sleep(1)", "one.advance(1_400_000)", "two.finish()")
        second = terminal.until(lambda lines: len(lines) == 2 and "49%" in lines[0])
        assert second[1].startswith("1 of 2 done")
        terminal.until(lambda lines: lines and "B/s" in lines[0] and " s left" in lines[0])

        terminal.tell("one.pause('connection reset', 300, 2)")
        third = terminal.until(lambda lines: lines and "again" in lines[0])
        assert third[0].endswith("gnu  connection reset; again in 5 min (try 3)")

        terminal.tell("reporter.warn('a doubt')", "reporter.info('a remark')")
        fourth = terminal.until(lambda lines: len(lines) == 4)
        assert fourth[:2] == ["kitbag: warning: a doubt", "kitbag: a remark"]
        assert fourth[2:] == third

        terminal.tell(*END)
        assert terminal.end() == 0
        assert terminal.lines == ["kitbag: warning: a doubt", "kitbag: a remark"]
        assert not terminal.screen.cursor.hidden
        assert terminal.screen.cursor.y == 2


def test_other_work_goes_on_below_and_afterwards():
    with Screen() as terminal:
        terminal.tell(
            *TWO,
            "work = reporter.progress('cpython.tar.gz', 1000)",
            "_ = work.__enter__()",
            "work.advance(500)",
        )
        shown = terminal.until(lambda lines: len(lines) == 4)
        assert shown[2].startswith("cpython.tar.gz")
        assert " 50%" in shown[2]
        terminal.tell("work.__exit__()")
        terminal.until(lambda lines: len(lines) == 3)
        terminal.tell(
            "watcher.__exit__()",
            "work = reporter.progress('writing', 1000)",
            "_ = work.__enter__()",
            "time.sleep(1.1)",
            "work.advance(400)",
        )
        terminal.until(lambda lines: len(lines) == 1 and "writing [" in lines[0])
        terminal.tell("reporter.warn('a doubt')", "reporter.close()")
        assert terminal.end() == 0
        assert terminal.lines == ["kitbag: warning: a doubt"]


def test_a_narrow_terminal_and_one_that_changes():
    with Screen(40) as terminal:
        terminal.tell(*TWO)
        shown = terminal.until(lambda lines: len(lines) == 3)
        assert shown[0].endswith("gnu  44%")
        long = "x" * 100
        terminal.tell(f"reporter.warn('{long}')")
        shown = terminal.until(lambda lines: len(lines) == 6)
        assert "".join(shown[:3]) == f"kitbag: warning: {long}"
        terminal.resize(100, 24)
        terminal.until(lambda lines: "12.3 of 27.7 MB" in "".join(lines[3:4]))
        terminal.tell(*END)
        terminal.end()
        assert "".join(terminal.lines) == f"kitbag: warning: {long}"


def test_thirty_downloads_fit_a_low_terminal():
    with Screen(80, 10) as terminal:
        terminal.tell(
            *START,
            "watcher = reporter.downloads(30)",
            "_ = watcher.__enter__()",
            "tracks = [watcher.track(f'key-{n}', 1000) for n in range(30)]",
            "_ = [track.begin(1000, 0) for track in tracks[:20]]",
        )
        shown = terminal.until(lambda lines: len(lines) == 8 and lines[6] == "and 14 more")
        assert shown[7].startswith("0 of 30 done")
        terminal.tell("_ = [(t.advance(1000), t.finish()) for t in tracks[:19]]")
        terminal.until(lambda lines: len(lines) == 2 and lines[1].startswith("19 of 30"))
        terminal.tell(*END)
        terminal.end()
        assert terminal.lines == []
        assert not terminal.screen.history.top


def test_what_took_long_or_failed_leaves_a_line():
    with Screen() as terminal:
        terminal.tell(
            *START,
            "clock = [0.0]",
            "reporter = screen.ScreenReporter(lambda: clock[0])",
            "watcher = reporter.downloads(3)",
            "_ = watcher.__enter__()",
            "tracks = [watcher.track(f'key-{n}', 1_000_000) for n in range(3)]",
            "_ = [track.begin(1_000_000, 0) for track in tracks]",
            "clock[0] = 120.0",
            "_ = [track.advance(1_000_000) for track in tracks[:2]]",
        )
        terminal.until(lambda lines: len(lines) == 4)
        terminal.tell("tracks[0].finish()", "tracks[2].fail('HTTP 404')")
        terminal.until(lambda lines: "key-2: HTTP 404" in "".join(lines[1:2]))
        terminal.tell("tracks[1].finish()", *END)
        terminal.end()
        assert terminal.lines == [
            "kitbag: key-0: downloaded 1.0 MB in 2 min",
            "kitbag: key-2: HTTP 404",
            "kitbag: key-1: downloaded 1.0 MB in 2 min",
            "kitbag: downloaded 2.0 MB in 2 min (16.7 kB/s)",
        ]


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
)
def test_colours(environment, colored):
    with Screen(**environment) as terminal:
        terminal.tell(*TWO, "reporter.warn('a doubt')")
        terminal.until(lambda lines: any("a doubt" in line for line in lines) and len(lines) == 4)
        terminal.tell(*END)
        terminal.end()
        assert (b"\x1b[3" in terminal.raw) == colored
        assert (b"m" + "━".encode() in terminal.raw) == colored


PROGRAM = """
import os, signal, sys, time
import kitbag_packer.cli.progress.screen as screen
from kitbag_installer import cli
from kitbag_packer.cli.progress import reporter_for
screen._PATIENCE = 0
class Verb:
    'Wait.'
    EPILOG = ''
    def add_arguments(self, parser): pass
    def run(self, options, reporter):
        with reporter.downloads(2) as watcher:
            watcher.track('key', 100).begin(100, 50)
            while not reporter._display.shown: time.sleep(0.01)
            END
sys.modules['verb'] = Verb()
sys.exit(cli.main(['wait'], verbs={'wait': ('verb', 'wait')},
                  reporter=lambda verb, options: reporter_for(options)))
"""


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("time.sleep(60)", "interrupted; nothing is left half done"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "stopped by SIGTERM; nothing is left half done"),
        ("raise OSError(28, 'No space left on device', 'x')", "x: No space left on device"),
        ("1 / 0", "internal error: ZeroDivisionError"),
    ],
)
def test_every_end_gives_the_cursor_back(end, message):
    with Screen() as terminal:
        terminal.tell(f"exec({PROGRAM.replace('END', end)!r})")
        terminal.until(lambda lines: terminal.screen.cursor.hidden or terminal.lines)
        if "sleep" in end:
            terminal.process.send_signal(signal.SIGINT)
        status = terminal.end()
        assert status in (1, 130)
        assert not terminal.screen.cursor.hidden
        assert b"\x1b[?25l" in terminal.raw
        assert len(terminal.lines) in (1, 2)
        assert terminal.lines[0].startswith(f"kitbag: error: {message}")


def test_a_program_that_just_ends_gives_the_cursor_back_too():
    with Screen() as terminal:
        terminal.tell(*TWO)
        terminal.until(lambda lines: len(lines) == 3)
        assert terminal.screen.cursor.hidden
        terminal.tell("sys.exit(0)")
        assert terminal.end() == 0
        assert not terminal.screen.cursor.hidden


def test_quick_work_imports_no_rich():
    with Screen() as terminal:
        terminal.tell(
            *(line for line in TWO if "_PATIENCE" not in line),
            "one.finish(); two.finish()",
            *END,
            "reporter.info(str('rich' in sys.modules))",
        )
        terminal.end()
        assert terminal.lines == ["kitbag: False"]
        assert b"\x1b" not in terminal.raw


def test_threads_may_hammer_it():
    with Screen() as terminal:
        terminal.tell(
            *START,
            "watcher = reporter.downloads(8)",
            "_ = watcher.__enter__()",
            "tracks = [watcher.track(f'key-{n}', 20_000) for n in range(8)]",
            "fetch = lambda t: [(t.begin(20_000, n), t.advance(1), t.pause('x', 0, 1),"
            " reporter.info('line') if n % 400 == 0 else None) for n in range(2000)]",
            "threads = [threading.Thread(target=fetch, args=(t,)) for t in tracks]",
            "_ = [t.start() for t in threads]",
            "_ = [t.join() for t in threads]",
            *END,
        )
        assert terminal.end() == 0
        everything = [
            "".join(line[x].data for x in range(terminal.screen.columns)).rstrip()
            for line in terminal.screen.history.top
        ]
        assert [*everything, *terminal.lines] == ["kitbag: line"] * 40
        assert not terminal.screen.cursor.hidden
