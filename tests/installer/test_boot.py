from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kitbag_installer import boot

if TYPE_CHECKING:
    from pathlib import Path


def scratch(root: Path, name: str) -> Path:
    folder = root / ".temp" / f"{boot.BOOT_PREFIX}{name}"
    (folder / "python").mkdir(parents=True)
    return folder


def test_a_fifo_that_is_held_open_means_running(tmp_path: Path) -> None:
    folder = scratch(tmp_path, f"{os.getpid()}-1")
    os.mkfifo(folder / "alive")
    assert not boot.is_running(str(folder))
    handle = os.open(folder / "alive", os.O_RDWR)
    assert boot.is_running(str(folder))
    os.close(handle)
    assert not boot.is_running(str(folder))


def test_without_a_fifo_the_number_decides(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    assert boot.is_running(str(scratch(tmp_path, f"{os.getpid()}-1")))
    for name in (f"{ended.pid}-1", "x-1", "", "9" * 40):
        assert not boot.is_running(str(scratch(tmp_path, name)))


def run_boot(folder: Path, base: Path, *words: str) -> None:
    command = [str(folder / "x.kitbag"), str(folder), str(base), *words]
    program = f"import sys; from kitbag_installer.boot import main; sys.exit(main({command!r}))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done


def test_folder_and_what_was_made_for_it_go(tmp_path: Path) -> None:
    folder = scratch(tmp_path / "a" / "b", "1-1")
    run_boot(folder, tmp_path, "--version")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("base", ["", "a", "a/b"])
def test_what_was_there_before_stays(tmp_path: Path, base: str) -> None:
    folder = scratch(tmp_path / "a" / "b", "1-1")
    run_boot(folder, tmp_path / base, "--version")
    assert (tmp_path / base).exists()
    below = list((tmp_path / base).iterdir())
    assert below == []


def test_where_others_are_at_work_everything_stays(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    folder = scratch(root, "1-1")
    with open(root / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_boot(folder, tmp_path, "--version")
    assert not folder.exists()
    assert {".lock", ".temp"} <= set(os.listdir(root))


def test_an_uninstall_by_a_bundle_itself_leaves_nothing(tmp_path: Path) -> None:
    """It runs from a folder in the root that goes; what was made for that goes after it."""
    for base in ("", "a/b"):
        root = tmp_path / "a" / "b"
        folder = scratch(root, "1-1")
        run_boot(folder, tmp_path / base, "uninstall", "--all", "--root", str(root))
        assert root.exists() == bool(base)
        (tmp_path / "a" / "b").mkdir(parents=True, exist_ok=True)


def test_it_removes_its_folder_before_it_becomes_a_program(tmp_path: Path) -> None:
    """As ``sh app.kitbag run app`` does."""
    folder = scratch(tmp_path / "root", "1-1")
    command = [str(folder / "x.kitbag"), str(folder), str(tmp_path), "--version"]
    program = f"""
import os, sys
os.dup2(os.open(os.devnull, os.O_RDONLY), 9)
from kitbag_installer import boot, cli, handover

def become(rest, bundle):
    handover.prepare()
    os.execv("/bin/sh", ["sh", "-c", "ls {folder} >&2; ls /proc/self/fd"])

cli.main = become
boot.main({command!r})
"""
    (tmp_path / "root" / ".lock").touch()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, "No such file" in done.stderr) == (0, True), done
    assert "9" not in done.stdout.split()
