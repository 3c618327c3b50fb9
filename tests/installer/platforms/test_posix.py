import ctypes
import errno
import os
import sys
from types import FunctionType

import pytest

from kitbag_installer import platforms
from kitbag_installer.platforms import MARK, posix, windows

_KINDS = (bool, str, FunctionType)
_TABLE = (platforms.__doc__ or "").partition("====")[2].splitlines()


def test_both_systems_have_the_same_names():
    ours, theirs = (
        {name for name, value in vars(module).items() if isinstance(value, _KINDS)}
        for module in (posix, windows)
    )
    names = {name for name in ours if name[0] != "_"}
    assert names == {name for name in theirs if name[0] != "_"} - {"plain_path"}
    assert names >= {line.split("``")[1] for line in _TABLE if line.startswith("``")}


@pytest.mark.parametrize("program", ["/opt/py/bin/python3.13", "/it's/a b/$HOME", "/x/caf\udce9"])
def test_a_command_tells_what_it_runs(program):
    script = posix.command_script(program, MARK)
    assert posix.command_target(script, MARK) == program
    assert posix.command_target(script, "Made by another") == ""


class FakeMac:
    """What macOS's C library has of interest here."""

    def __init__(self, number: int) -> None:
        self.asked: list[tuple[bytes, bytes, int]] = []
        self._number = number

    def renamex_np(self, one: bytes, other: bytes, flags: ctypes.c_uint) -> int:
        self.asked.append((one, other, flags.value))
        ctypes.set_errno(self._number)
        return -1 if self._number else 0


@pytest.mark.parametrize(
    ("number", "done"), [(0, True), (errno.ENOTSUP, False), (errno.EINVAL, False)]
)
def test_macos_swaps_with_a_call_of_its_own(monkeypatch, number, done):
    library = FakeMac(number)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: library)
    assert posix.exchange("/a", "/b") is done
    # RENAME_SWAP of <sys/stdio.h>
    assert library.asked == [(b"/a", b"/b", 2)]


def test_a_swap_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: FakeMac(errno.ENOENT))
    with pytest.raises(FileNotFoundError):
        posix.exchange("/a", "/b")


def test_linux_swaps(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if posix.exchange(str(tmp_path / "one"), str(tmp_path / "other")):
        assert os.listdir(tmp_path / "one") == ["other"]
