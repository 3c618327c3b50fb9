"""What is told of a build that failed."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.environments.buildfailures import keep_output, reason_of

GCC = """\
Building wheel...
running build_ext
gcc -Wall -c broken.c -o broken.o
broken.c:1:11: error: expected declaration
    1 | int main( { syntax error
      |           ^
broken.c:2:1: error: and another one
error: Command '['gcc', '-c', 'broken.c']' returned non-zero exit status 1.
"""
UV = """\
error: Failed to build `/tmp/lib`
  cause: The build backend returned an error

hint: Build failures usually indicate a problem with the package
"""
PIP = """\
Processing ./lib
  Building wheel for lib (pyproject.toml): finished with status 'error'
  error: subprocess-exited-with-error

  x Building wheel for lib (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [2 lines of output]
      running bdist_wheel
      ModuleNotFoundError: No module named 'numpy'
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
  ERROR: Failed building wheel for lib
ERROR: Failed to build one or more wheels
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "setup.py", line 1, in <module>
    import numpy
ModuleNotFoundError: No module named 'numpy'
"""
UNRESOLVED = """\
Building wheel...
error: Failed to build `/tmp/lib3`
  cause: Failed to resolve requirements from `build-system.requires`
  cause: No solution found when resolving: `gone==99`
"""


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("", ""),
        (GCC + UV, "broken.c:1:11: error: expected declaration"),
        (TRACEBACK + UV, "ModuleNotFoundError: No module named 'numpy'"),
        (PIP, "ModuleNotFoundError: No module named 'numpy'"),
        ("a.c:3:10: fatal error: Python.h: No such file or directory\n" + UV, "a.c:3:10: fatal"),
        ("ld: a.o: in function `f':\na.c:(.text+0x5): undefined reference to `g'\n", "a.c:(.text"),
        ("  error: can't find Rust compiler\n\n" + UV, "error: can't find Rust compiler"),
        ("one\ntwo\n", "two"),
        ("x" * 400, "x" * 299 + "…"),
        ("\x1b[31mbad\tthing", "[31mbad thing"),
    ],
)
def test_the_line_that_tells_most(out, reason):
    found = reason_of(out)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_what_the_resolver_says_where_no_backend_ran():
    assert "No solution found when resolving: `gone==99`" in reason_of(UNRESOLVED)


@given(st.text(alphabet="eror: Failedtbuilin[]d╰of\n1.c", max_size=80))
def test_it_is_always_one_line(out):
    found = reason_of(out)
    assert found == "" or found.isprintable()
    assert len(found) <= 300


def test_all_of_it_is_kept_for_the_owner(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = keep_output("all\nof it\n", "my-lib")
    assert os.path.basename(path).startswith("kitbag-build-my-lib-")
    with open(path, encoding="utf-8") as file:
        assert file.read() == "all\nof it\n"
    assert os.stat(path).st_mode & 0o777 == 0o600
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert keep_output("x", "my-lib") == ""
