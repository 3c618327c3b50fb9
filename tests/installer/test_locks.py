import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from kitbag_bundles.errors import FileSystemError, LockTimeout, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.locks import is_awaited, lock_timeout, locked
from kitbag_installer.roots import Root

# BSD flock by other means than kitbag's own.
HOLDER = """
import fcntl, sys, time
handle = open(sys.argv[1], "a")
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


class Messages(SilentReporter):
    def __init__(self) -> None:
        self.infos: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)


def take(root: Root, timeout: float | None = None) -> None:
    with locked(root, SilentReporter(), timeout=timeout):
        pass


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "root"))
    root.prepare()
    return root


@pytest.fixture
def hold(root):
    running = []

    def start(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, root.lock_file, str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_it_holds_others_off_while_it_is_held(root):
    with (
        locked(root, SilentReporter()),
        open(root.lock_file) as other,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(root.lock_file) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_it_is_let_go_after_an_error(root):
    with pytest.raises(ZeroDivisionError), locked(root, SilentReporter()):
        raise ZeroDivisionError
    with locked(root, SilentReporter(), timeout=0):
        pass


def test_a_second_process_waits_and_says_so_once(root, hold):
    hold(0.5)
    messages = Messages()
    started = time.monotonic()
    with locked(root, messages):
        assert time.monotonic() - started >= 0.3
    assert messages.infos == [f"waiting for another process that works on {root.path}"]


def test_a_free_lock_is_taken_without_a_word(root):
    messages = Messages()
    with locked(root, messages):
        assert os.path.getsize(root.lock_file) == 0
    assert messages.infos == []


def test_waiting_has_an_end(root, hold):
    hold(60)
    with pytest.raises(LockTimeout, match="let it finish, then try again") as caught:
        take(root, timeout=0.2)
    assert root.path in str(caught.value)


def test_a_crash_lets_go_of_it(root, hold):
    process = hold(60)
    os.kill(process.pid, signal.SIGKILL)
    with locked(root, SilentReporter(), timeout=10):
        pass


def test_a_lock_that_can_not_be_opened_is_told(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(FileSystemError, match=r"\.lock: can't be opened \(Is a directory\)"):
        take(Root(str(tmp_path)))


@pytest.mark.parametrize("takes", ["lock", "root"])
def test_who_waited_for_a_lock_that_is_gone_takes_the_new_one(root, hold, takes):
    """The last uninstall takes the lock file away, or all of the root, while others wait for it."""
    hold(1)
    waiting = threading.Event()

    class Waiting(SilentReporter):
        def info(self, message: str) -> None:
            waiting.set()

    results = []

    def wait() -> None:
        with locked(root, Waiting()), open(root.lock_file) as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                results.append("held")

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(10)
    if takes == "lock":
        os.unlink(root.lock_file)
    else:
        os.rename(root.path, f"{root.path}-gone")
    thread.join()
    assert results == ["held"]
    assert os.path.isdir(root.temp)


@pytest.mark.parametrize(("text", "seconds"), [("", 300), ("0", 0), ("1.5", 1.5), ("1e3", 1000)])
def test_the_environment_says_how_long_to_wait(text, seconds):
    assert lock_timeout({"KITBAG_LOCK_TIMEOUT": text}) == seconds
    assert lock_timeout({}) == 300


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "soon", "-0.1", "1 s"])
def test_a_time_to_wait_that_is_none_is_a_usage_error(text):
    with pytest.raises(UsageError, match=r"KITBAG_LOCK_TIMEOUT is .*; set it to a number"):
        lock_timeout({"KITBAG_LOCK_TIMEOUT": text})


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="Linux tells who waits for a lock")
def test_who_waits_in_the_kernel_is_known(root):
    """uv does; kitbag itself asks again and again, and looks at what it gets."""
    with locked(root, SilentReporter()):
        assert not is_awaited(root)
        command = [sys.executable, "-c", HOLDER, root.lock_file, "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 10
            while not is_awaited(root):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
    assert not is_awaited(root)
