import os
import sys
import threading
import time

import pytest

from kitbag_bundles.errors import Interrupted
from kitbag_installer.doctor.processes import Children, plain_environment

PYTHON = [sys.executable, "-I", "-S", "-c"]


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_program_says(tmp_path):
    code = "import os, sys; print(os.getcwd()); sys.stderr.write('no\\n\\nlast\\n'); sys.exit(3)"
    done = Children().run([*PYTHON, code], str(tmp_path), os.environ, 20)
    assert (done.status, done.out) == (3, f"{tmp_path}\n")
    assert done.last_line == "last"
    assert done._replace(err="").last_line == str(tmp_path)


def test_when_its_time_is_up_all_of_it_ends(tmp_path):
    script = f"sleep 3600 & echo $! > {tmp_path}/child; wait"
    started = time.monotonic()
    done = Children().run(["/bin/sh", "-c", script], str(tmp_path), os.environ, 0.5)
    assert done == (None, "", "")
    assert time.monotonic() - started < 5
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child))


def test_one_that_can_not_be_started(tmp_path):
    with pytest.raises(FileNotFoundError):
        Children().run([str(tmp_path / "nothing")], str(tmp_path), os.environ, 5)


def test_stopping_ends_what_runs_and_lets_nothing_begin(tmp_path):
    children = Children()
    found = []
    command = ["/bin/sh", "-c", f"echo > {tmp_path}/begun; sleep 3600"]

    def work() -> None:
        found.append(children.run(command, str(tmp_path), os.environ, 60))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until((tmp_path / "begun").exists)
    children.stop()
    thread.join(20)
    assert [done.status for done in found] == [-9]
    with pytest.raises(Interrupted):
        children.run(["/bin/true"], str(tmp_path), os.environ, 5)


def test_the_environment_of_other_pythons_stays_outside():
    given = {"PATH": "/bin", "PYTHONHOME": "/x", "PYTHONPATH": "/y", "TMPDIR": "/z", "LANG": "C"}
    made = plain_environment(given, "/s")
    assert made == {"PATH": "/bin", "LANG": "C", "TMPDIR": "/s", "TEMP": "/s", "TMP": "/s"}
