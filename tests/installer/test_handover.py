import signal
import subprocess
import sys

_PROGRAM = """
import os, signal
from kitbag_installer import handover

def duty():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print("done", flush=True)

signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
handover.duties.append(duty)
handover.prepare()
handover.prepare()
os.execv("/bin/sh", ["sh", "-c", "grep SigIgn /proc/self/status"])
"""


def test_duties_are_done_once_and_signals_are_left_as_they_were():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    duties, ignored = done.stdout.splitlines()
    assert duties == "done"
    mask = int(ignored.split()[1], 16)
    found = {number for number in signal.Signals if mask >> (number - 1) & 1}
    assert found == {signal.SIGHUP}
