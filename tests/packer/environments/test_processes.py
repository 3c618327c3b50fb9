import os
import sys
import threading
import time

import pytest

from kitbag_bundles.errors import Interrupted, UsageError
from kitbag_packer.environments.processes import Processes


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_comes_in_its_order_and_with_its_status(tmp_path):
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    ran = Processes().run(python(code), tmp_path, os.environ)
    assert ran == (3, "out\nerr\n")


def test_it_sees_nothing_but_what_it_is_given(tmp_path):
    code = "import os, sys; print(os.environ.get('A'), os.getcwd(), sys.stdin.read() == '')"
    ran = Processes().run(python(code), tmp_path, {"A": "b"})
    assert ran.out.split() == ["b", str(tmp_path), "True"]


def test_what_does_not_start(tmp_path):
    with pytest.raises(UsageError, match="can't be started"):
        Processes().run([str(tmp_path / "nothing")], tmp_path, {})


def test_stopping_ends_whatever_was_started(tmp_path):
    """Also what the program itself started, and keeps new ones from starting."""
    child = "import time, pathlib; pathlib.Path('child').write_text('x'); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    processes, ended = Processes(), []

    def run() -> None:
        with pytest.raises(Interrupted):
            processes.run(python(code), tmp_path, os.environ)
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "child").exists():
        time.sleep(0.01)
    processes.stop()
    thread.join(10)
    # The pipe would stay open as long as the grandchild lives.
    assert ended
    with pytest.raises(Interrupted):
        processes.run(python("pass"), tmp_path, {})
