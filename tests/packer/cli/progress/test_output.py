import io
import os
import subprocess
import sys

import pytest

from kitbag_packer.cli.progress.output import Output, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n", "two lines "),
        ("\x1b[2Jgone\x07", "\\x1b[2Jgone\\x07"),
        ("café \u2603", "café \u2603"),
        ("\udce9", "\\udce9"),
    ],
)
def test_what_a_server_says_stays_on_its_line(text, shown):
    assert printable(text) == shown


def test_what_the_encoding_lacks_is_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    Output().line("caf\xe9 \u2603")
    assert raw.getvalue() == b"caf\\xe9 \\u2603\n"


def test_a_closed_stream_is_no_error(monkeypatch):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    Output().line("x")


def test_a_reader_that_is_gone_stops_nothing():
    """Neither a thread, nor the end of the interpreter, which flushes stderr once more."""
    program = (
        "import threading; from kitbag_packer.cli.progress.output import Output; o = Output();"
        "input();"
        "ts = [threading.Thread(target=lambda: [o.line('x' * 99) for _ in range(50)])"
        " for _ in range(4)];"
        "[t.start() for t in ts]; [t.join() for t in ts]; print('done')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stderr is not None
    process.stderr.close()
    process.stderr = None
    out, _ = process.communicate(b"\n", timeout=30)
    assert (process.returncode, out) == (0, b"done\n")
