"""Programs of an environment: entry points, first lines, scripts that come as files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments.scripts import (
    EntryPoint,
    entry_points,
    entry_script,
    first_lines,
    placed_script,
    without_first_lines,
)

POINT = EntryPoint("app", "json.tool", "main.__call__", False)


def test_entry_points_are_those_of_the_two_groups():
    text = b"""\
; a comment
[console_scripts]
app = app.cli : main
# another
Big-Name.2=app:Cli.run [extra, more]
app = app.other:main
[gui_scripts]
win = app:gui
[app.plugins]
app = nothing:here
"""
    assert entry_points(text, "x.whl") == [
        EntryPoint("app", "app.other", "main", False),
        EntryPoint("Big-Name.2", "app", "Cli.run", False),
        EntryPoint("win", "app", "gui", True),
    ]


@pytest.mark.parametrize(
    "line",
    ["../x = a:b", "x/y = a:b", "x = a", "x = a:b:c", "x = os:system('x')", " = a:b", "..=a:b"],
)
def test_what_is_no_program_is_refused(line):
    with pytest.raises(ArchiveError, match=r"x\.whl: the entry point .* is no program"):
        entry_points(f"[console_scripts]\n{line}\n".encode(), "x.whl")


PLACES = ["plain", "with a blank", "it's $HOME", "long" * 40, "ünï東", "new\tline"]


@pytest.mark.parametrize("place", PLACES)
def test_a_script_finds_its_interpreter_wherever_that_is(tmp_path, place):
    folder = tmp_path / place
    folder.mkdir()
    python = folder / "python"
    python.symlink_to(sys.executable)
    script = tmp_path / "tool"
    body = b"import sys\nprint(sys.argv[1:], __name__)\n"
    head = first_lines(str(python))
    script.write_bytes(head + body)
    script.chmod(0o755)
    done = subprocess.run([script, "a b", "c"], capture_output=True, check=True)
    assert done.stdout == b"['a b', 'c'] __main__\n"
    assert without_first_lines(head + body) == body
    assert head.startswith(f"#!{python}\n".encode()) == (place in ("plain", "ünï東"))


def test_other_beginnings_are_none_of_ours():
    assert without_first_lines(b"#!/bin/sh\necho\n") is None
    assert without_first_lines(b"import sys\n") is None
    assert without_first_lines(b"#!/x/python3.13 -E\nrest") == b"rest"


def test_an_entry_point_with_dots_is_called(tmp_path):
    name, data = entry_script(POINT, sys.executable, windows=False)
    assert name == "app"
    path = tmp_path / name
    path.write_bytes(data)
    path.chmod(0o755)
    done = subprocess.run([path, "--help"], capture_output=True, check=False)
    assert b"usage" in done.stdout.lower()


def test_on_windows_it_is_a_batch_file_that_goes_on_in_python():
    name, data = entry_script(POINT, r"C:\x\python.exe", windows=True)
    first, _, rest = data.partition(b"\r\n")
    assert (name, first) == ("app.cmd", b'@"%~dp0python.exe" -x "%~f0" %* & exit /b')
    compile(rest, "app", "exec")
    gui = entry_script(POINT._replace(gui=True), "x", windows=True)[1]
    assert b'start "" "%~dp0pythonw.exe"' in gui


@pytest.mark.parametrize("first", [b"#!python", b"#!pythonw", b"#!python3 -E", b"#!python\r"])
def test_a_script_that_asks_for_python_gets_it(first):
    assert placed_script(first + b"\nrest\n", "/x/python", windows=False) == b"#!/x/python\nrest\n"


def test_other_scripts_stay_as_they_are():
    data = b"#!/bin/sh\nexec python\n"
    assert placed_script(data, "/x/python", windows=False) is data
