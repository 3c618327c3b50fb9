from __future__ import annotations

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


@pytest.mark.parametrize("locked", [False, True])
def test_folder_and_what_was_made_for_it_go(tmp_path: Path, locked: bool) -> None:
    root = tmp_path / "a" / "b"
    folder = scratch(root, "1-1")
    if locked:
        (root / ".lock").touch()
    command = [str(tmp_path / "x.kitbag"), str(folder), str(tmp_path), "--version"]
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-c",
            f"import sys; from kitbag_installer.boot import main; sys.exit(main({command!r}))",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("kitbag ")
    assert not folder.exists()
    assert (root / ".temp").exists() == locked
    assert (tmp_path / "a").exists() == locked
    assert tmp_path.exists()
