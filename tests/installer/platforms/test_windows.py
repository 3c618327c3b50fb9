"""The parts of Windows that can be tried anywhere."""

import pytest

from kitbag_installer.platforms import MARK, windows

PROGRAMS = [
    r"C:\Users\you\AppData\Local\kitbag\python\cpython-3.13-windows-x86_64-none\python.exe",
    r"C:\Program Files (x86)\py & co\python.exe",
    r"\\server\share\100%\python.exe",
    r"C:\%PATH%\^caret!\python.exe",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_command_tells_what_it_runs(program):
    script = windows.command_script(program, MARK)
    assert windows.command_target(script, MARK) == program
    assert script.endswith(b"\r\n")
    assert script.count(b"\n") == script.count(b"\r\n") == 2


def test_a_command_passes_everything_on():
    assert windows.command_script(r"C:\py\python.exe", "ours") == (
        b'@rem ours\r\n@"C:\\py\\python.exe" %*\r\n'
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"@rem ours\r\n",
        b'@rem theirs\r\n@"C:\\py\\python.exe" %*\r\n',
        b'@rem ours\r\n@echo off & "C:\\py\\python.exe" %*\r\n',
        b"@rem ours\r\n@python %*\r\n",
        b"\xff\xfe\x00",
    ],
)
def test_what_is_not_ours_runs_nothing(data):
    assert windows.command_target(data, "ours") == ""


def test_a_percent_sign_is_no_variable():
    assert b'"C:\\100%%\\python.exe"' in windows.command_script(r"C:\100%\python.exe", "ours")
    assert b'set "root=C:\\100%%"' in windows.kitbag_script(r"C:\100%", "ours", ["t"])


def test_the_kitbag_command_takes_what_runs_there():
    targets = ["windows-x86-none", "windows-x86_64-none"]
    text = windows.kitbag_script(r"C:\py (x86)", MARK, targets).decode()
    assert f"rem {MARK}\r\n" in text
    [loop] = [line for line in text.split("\r\n") if line.startswith("for /d")]
    places = loop[loop.index("(") + 1 : loop.rindex(") do")].split('" "')
    assert [place.strip('"').removeprefix("%root%\\") for place in places] == [
        f"cpython-{version}.*-{target}" for version in ("3.9", "3.1?", "3.2?") for target in targets
    ]
    assert text.endswith("exit /b 5\r\n")
    # Inside of parentheses the one in the root's path would end the block.
    assert "(x86)" not in text.replace('set "root=C:\\py (x86)"', "")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (r"\\?\C:\py\cpython", r"C:\py\cpython"),
        (r"\\?\UNC\server\share\py", r"\\server\share\py"),
        (r"C:\py", r"C:\py"),
        ("/opt/py", "/opt/py"),
    ],
)
def test_the_text_of_a_junction_is_a_plain_path(text, path):
    assert windows.plain_path(text) == path


def test_a_link_is_read_back(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(r"\\?\C:\py\cpython")
    assert windows.link_text(str(link)) == r"C:\py\cpython"
    assert windows.link_text(str(tmp_path)) == ""
    assert windows.link_text(str(tmp_path / "nothing")) == ""


@pytest.mark.parametrize(
    ("environ", "data", "home"),
    [
        (
            {"LOCALAPPDATA": r"D:\Local", "USERPROFILE": r"C:\Users\you"},
            r"D:\Local",
            r"C:\Users\you",
        ),
        ({"USERPROFILE": r"C:\Users\you"}, r"C:\Users\you\AppData\Local", r"C:\Users\you"),
        ({}, "", ""),
    ],
)
def test_a_persons_own_directories(environ, data, home):
    assert windows.data_home(environ) == data
    assert windows.user_home(environ) == home


def test_nothing_is_swapped_and_paths_are_short():
    assert not windows.exchange("a", "b")
    assert windows.longest_path("C:\\") == 259
