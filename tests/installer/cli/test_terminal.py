import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from kitbag_bundles.errors import ArchiveError, Interrupted
from kitbag_installer.cli import terminal
from kitbag_installer.cli.terminal import (
    TerminalReporter,
    human_size,
    paint,
    show_error,
    stop_on_signals,
    wants_color,
    write_json,
    write_line,
)


class Stream(io.StringIO):
    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("environment", "on_terminal", "on_pipe"),
    [
        ({"TERM": "xterm"}, True, False),
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, False),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, True, True),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        ({"TERM": "xterm", "FORCE_COLOR": ""}, True, False),
        ({"TERM": "xterm", "FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_where_colours_go(monkeypatch, environment, on_terminal, on_pipe):
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_color(Stream(tty=True)) == on_terminal
    assert wants_color(Stream(tty=False)) == on_pipe
    assert paint("text", "red", Stream(tty=False)) == ("\033[31mtext\033[0m" if on_pipe else "text")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (27_687_047, "27.7 MB"),
        (999_949_999, "999.9 MB"),
        (1_000_000_000, "1.0 GB"),
        (4_500_000_000_000, "4500.0 GB"),
    ],
)
def test_sizes_for_people(count, text):
    assert human_size(count) == text


def test_sizes_round_up_into_the_next_unit():
    assert human_size(999_999) == "1.0 MB"


def test_an_error_is_one_line_on_stderr(capsys):
    assert show_error(ArchiveError("x: first\nsecond \udce9 caf\xe9"), as_json=False) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "kitbag: error: x: first second \\udce9 caf\xe9\n"


def test_an_error_as_json_keeps_every_character(capsys):
    show_error(ArchiveError("x: \udce9"), as_json=True)
    import json

    out, _ = capsys.readouterr()
    assert json.loads(out) == {"error": {"code": "archive", "message": "x: \udce9"}}
    assert out.isascii()


def test_lines_that_the_encoding_lacks_are_escaped(monkeypatch):
    for encoding, expected in (("ascii", rb"caf\xe9 \u2603 \udce9"), ("latin-1", None)):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        write_line("caf\xe9 \u2603 \udce9")
        TerminalReporter().warn("caf\xe9 \u2603")
        write_json({"a": "\u2603"})
        stream.flush()
        lines = raw.getvalue().splitlines()
        assert lines[0] == (expected or b"caf\xe9 \\u2603 \\udce9")
        assert lines[1].startswith(b"kitbag: warning: caf")
        monkeypatch.undo()


def test_what_would_steer_a_terminal_is_escaped(capsys):
    evil = "a\x1b]0;title\x07\x1b[2J\rb\x9bc\td"
    write_line(evil)
    show_error(ArchiveError(evil), as_json=False)
    TerminalReporter().warn(evil)
    out, err = capsys.readouterr()
    shown = r"a\x1b]0;title\x07\x1b[2J\rb\x9bc\td"
    assert out == f"{shown}\n"
    assert err == f"kitbag: error: {shown}\nkitbag: warning: {shown}\n"


def test_quiet_keeps_warnings(capsys):
    reporter = TerminalReporter(quiet=True)
    reporter.info("a remark")
    reporter.warn("a doubt")
    reporter.close()
    assert capsys.readouterr() == ("", "kitbag: warning: a doubt\n")
    TerminalReporter().info("a remark")
    assert capsys.readouterr() == ("", "kitbag: a remark\n")


WORK = """
import sys, time
from kitbag_installer.cli.terminal import TerminalReporter
reporter = TerminalReporter(quiet="-q" in sys.argv)
end = time.monotonic() + float(sys.argv[1])
with reporter.progress("unpacking", 1000) as progress:
    while time.monotonic() < end:
        progress.advance(1)
        time.sleep(0.01)
    reporter.warn("in between")
reporter.close()
"""


def on_a_terminal(*arguments: str, columns: int = 60) -> str:
    """What a process writes to a terminal of its own."""
    master, slave = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "COLUMNS": str(columns),
        "TERM": "xterm",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, *arguments], stderr=slave, env=environment
    )
    os.close(slave)
    data = b""
    try:
        while True:
            select.select([master], [], [], 30)
            piece = os.read(master, 4096)
            if not piece:
                break
            data += piece
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(master)
        process.wait()
    return data.decode()


def test_a_bar_appears_after_a_second(monkeypatch):
    shown = on_a_terminal("1.4")
    frames = re.findall(r"\r(unpacking [^\r\033]*)", shown)
    assert 1 <= len(frames) <= 6
    for frame in frames:
        assert re.fullmatch(r"unpacking \[=* *\] +\d+%  \d+ B/s  \d+:\d\d left", frame.strip()), (
            frame
        )
        assert len(frame) < 60
    # Other messages take the bar away first, and the end takes away what is left.
    assert "\r\033[K\033[33mkitbag" not in shown
    assert re.search(r"\r\033\[Kkitbag: \033\[33mwarning:\033\[0m in between\r\n$", shown)


def test_a_narrow_terminal_is_not_overrun():
    shown = on_a_terminal("1.2", columns=24)
    frames = re.findall(r"\r(unpacking[^\r\033]*)", shown)
    assert frames
    assert all(len(frame) < 24 for frame in frames)


def test_quick_work_shows_no_bar():
    shown = on_a_terminal("0.3")
    assert "%" not in shown
    assert "in between" in shown


def test_quiet_work_shows_no_bar():
    assert on_a_terminal("1.2", "-q").count("\r") == 1


def test_a_pipe_shows_no_bar(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "_PATIENCE", 0.0)
    with TerminalReporter().progress("unpacking", 10) as progress:
        progress.advance(5)
    assert capsys.readouterr() == ("", "")


def test_a_bar_without_a_total_and_beyond_it(monkeypatch):
    monkeypatch.setattr(terminal, "_PATIENCE", 0.0)
    monkeypatch.setattr(terminal, "_REFRESH", 0.0)
    stream = Stream(tty=True)
    monkeypatch.setattr(sys, "stderr", stream)
    reporter = TerminalReporter()
    for total in (0, 3):
        with reporter.progress("x", total) as progress:
            time.sleep(0.002)
            progress.advance(5)
            progress.advance(10**12)
    assert "100%" in stream.getvalue()
    assert stream.getvalue().endswith("\r\033[K")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_become_an_orderly_end(number):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        stop_on_signals()
        with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name}"):
            signal.raise_signal(number)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_an_ignored_signal_stays_ignored():
    """As ``nohup`` asks for."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stop_on_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.raise_signal(signal.SIGHUP)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
