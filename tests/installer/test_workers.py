import os
import signal
import subprocess
import sys
import time

import pytest

from kitbag_bundles.errors import (
    ArchiveError,
    DigestMismatch,
    DoesNotFit,
    Interrupted,
    KitbagError,
)
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.workers import run_side_by_side

# Python 3.12 and newer warn about any fork beside a thread; pytest-xdist has one.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
SILENT = SilentReporter().progress("", 0)


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Counter":
        return self

    def __exit__(self, *exc: object) -> None: ...

    def advance(self, count: int) -> None:
        self.count += count


def failing(error: BaseException):
    def task(progress):
        raise error

    return task


def giving(value: int):
    def task(progress):
        progress.advance(value)
        return value

    return task


def children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(word) for word in file.read().split()]


@pytest.fixture(autouse=True)
def _no_child_and_no_pipe_stays():
    before, open_before = children(), len(os.listdir("/proc/self/fd"))
    yield
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.parametrize("jobs", [1, 2, 3, 50])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_outcomes_come_in_the_order_of_the_tasks(jobs, count):
    progress = Counter()
    tasks = [giving(number) for number in range(count)]
    assert run_side_by_side(tasks, jobs, progress) == list(range(count))
    assert progress.count == sum(range(count))


def test_they_run_side_by_side_but_no_more_than_allowed(tmp_path):
    def task(progress):
        mark = tmp_path / str(os.getpid())
        mark.touch()
        time.sleep(0.15)
        count = len(list(tmp_path.iterdir()))
        mark.unlink()
        return count

    together = run_side_by_side([task] * 6, 3, SILENT)
    assert all(isinstance(count, int) and count <= 3 for count in together)
    assert max(count for count in together if isinstance(count, int)) > 1


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_that_fails_does_not_stop_the_others(jobs):
    tasks = [giving(1), failing(DigestMismatch("x.tar.gz: other bytes\nnext line")), giving(3)]
    first, error, last = run_side_by_side(tasks, jobs, SILENT)
    assert (first, last) == (1, 3)
    assert type(error) is DigestMismatch
    assert str(error).replace("\n", " ") == "x.tar.gz: other bytes next line"


@pytest.mark.parametrize(
    "error",
    [
        KitbagError("one"),
        ArchiveError(""),
        DoesNotFit("caf\xe9 \udce9 + = done"),
        KitbagError("x" * 100_000),
    ],
)
def test_an_error_crosses_the_processes_as_it_is(error):
    found = run_side_by_side([failing(error), giving(1)], 2, SILENT)[0]
    assert type(found) is type(error)
    assert str(found) == str(error)


def test_an_error_that_nobody_expected_is_told_too():
    found = run_side_by_side([failing(ZeroDivisionError("oops")), giving(1)], 2, SILENT)
    assert isinstance(found[0], KitbagError)
    assert "internal error: ZeroDivisionError('oops')" in str(found[0])
    assert found[1] == 1


def test_a_killed_worker_is_an_error_of_its_own_task():
    def task(progress):
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    found = run_side_by_side([task, giving(2)], 2, SILENT)
    assert isinstance(found[0], KitbagError)
    assert "ended early (-9); the system may be short of memory" in str(found[0])
    assert found[1] == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("stop"), MemoryError()])
def test_an_interrupt_ends_all_workers(error):
    class Interrupting(Counter):
        def advance(self, count: int) -> None:
            raise error

    def endless(progress):
        progress.advance(1)
        time.sleep(60)
        return 0

    started = time.monotonic()
    with pytest.raises(type(error)):
        run_side_by_side([endless, endless, endless], 2, Interrupting())
    assert time.monotonic() - started < 20


def test_an_interrupt_of_a_single_task_is_raised_as_well():
    with pytest.raises(Interrupted):
        run_side_by_side([failing(Interrupted("stop"))], 4, SILENT)


def test_a_worker_leaves_the_ctrl_c_of_the_terminal_to_its_parent():
    def task(progress):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        return 5

    assert run_side_by_side([task, giving(1)], 2, SILENT) == [5, 1]


def test_a_worker_does_not_repeat_the_parents_output_and_clean_ups(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, sys\n"
        "from kitbag_bundles.reporting import SilentReporter\n"
        "from kitbag_installer.workers import run_side_by_side\n"
        "atexit.register(lambda: print('clean-up'))\n"
        "sys.stdout.write('unflushed ')\n"
        "tasks = [lambda progress: 1] * 3\n"
        "print(run_side_by_side(tasks, 3, SilentReporter().progress('', 0)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "unflushed [1, 1, 1]\nclean-up\n"
