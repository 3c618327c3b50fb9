import argparse
import io
import json
import sys

import pytest

from kitbag_packer.cli.progress import reporter_for
from support.bundled import host_key
from support.commands import run_kitbag
from support.tiny import make_tiny_archive


class Stream(io.StringIO):
    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("options", "tty", "term", "name"),
    [
        ({}, True, "xterm", "ScreenReporter"),
        ({}, True, "dumb", "LineReporter"),
        ({}, False, "xterm", "LineReporter"),
        ({"quiet": True}, True, "xterm", "QuietLineReporter"),
        ({"json": True}, True, "xterm", "EventReporter"),
        ({"json": True, "quiet": True}, False, "xterm", "EventReporter"),
    ],
)
def test_which_reporter_suits(monkeypatch, options, tty, term, name):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", Stream(tty))
    assert type(reporter_for(argparse.Namespace(**options))).__name__ == name


def test_only_the_packers_verbs_tell_events(capfd, tmp_path):
    archive = make_tiny_archive(tmp_path)
    words = ("--from", archive, "--key", host_key(), "-o", tmp_path / "x.kitbag", "--json")
    done = run_kitbag(capfd, "pack", *words)
    assert done.status == 0
    for line in done.err.splitlines():
        assert json.loads(line)["event"] in ("info", "warning", "progress")
    done = run_kitbag(capfd, "show", tmp_path / "nothing", "--json")
    assert done.err == f"kitbag: error: {done.json['error']['message']}\n"
