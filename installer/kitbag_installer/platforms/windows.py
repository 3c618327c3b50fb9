r"""Windows: junctions, ``LockFileEx``, ``.cmd`` files.

Symbolic links need a privilege there that people mostly don't have, so none is made. A
minor-version link is a junction, as uv makes it; a name in a bin directory is a ``.cmd`` file that
hands over to the interpreter's real place.

From Microsoft's pages on ``LockFileEx``, reparse points, ``for``, ``call`` and on the longest path;
never run on Windows. Whatever calls the system looks it up when it is called, so that the rest can
be tested elsewhere.
"""

from __future__ import annotations

import ntpath
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND_SUFFIX = ".cmd"
LINKS_PROGRAMS = False
"""Whether a symbolic link to a program is as good as the program."""
MODES = False
"""Whether the mode of a file says who may run it."""
REPLACES_LINKS = False
"""Whether a new link takes an old one's place in one step."""

_LOCK_EXCLUSIVE = 2
_LOCK_AT_ONCE = 1
_ALL = 0xFFFFFFFF
_ERROR_LOCK_VIOLATION = 33
_ERROR_IO_PENDING = 997
_MAX_PATH = 259
_LONG_PATH = 32766
_LONG_PATHS = r"SYSTEM\CurrentControlSet\Control\FileSystem"
_EXTENDED = "\\\\?\\"
_RUN = re.compile(r'@"([^"\r\n]+)" %\*')


def try_lock(handle: int) -> bool:
    """``LockFileEx`` over the whole file, which is how uv locks its roots there."""
    import ctypes
    import msvcrt

    # The structure OVERLAPPED: two pointers, an offset of two words, an event.
    overlapped = (ctypes.c_void_p * 4)()
    kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    lock = kernel.LockFileEx
    file = ctypes.c_void_p(msvcrt.get_osfhandle(handle))  # type: ignore[attr-defined]
    if lock(file, _LOCK_EXCLUSIVE | _LOCK_AT_ONCE, 0, _ALL, _ALL, ctypes.byref(overlapped)):
        return True
    number = ctypes.get_last_error()  # type: ignore[attr-defined]
    if number in (_ERROR_LOCK_VIOLATION, _ERROR_IO_PENDING):
        return False
    raise ctypes.WinError(number)  # type: ignore[attr-defined]


def exchange(one: str, other: str) -> bool:
    """Windows has no call that swaps two directories."""
    del one, other
    return False


def flush(folder: str) -> None:
    """Nothing: a whole volume can be flushed by an administrator alone."""
    del folder


def make_directory_link(target: str, path: str) -> None:
    """Make ``path`` a junction to ``target``."""
    import _winapi

    _winapi.CreateJunction(target, path)  # type: ignore[attr-defined]


def link_text(path: str) -> str:
    """Where a link or a junction leads; empty for everything else."""
    try:
        return plain_path(os.readlink(path))
    except (OSError, ValueError):
        return ""


def plain_path(path: str) -> str:
    r"""``path`` without the ``\\?\`` that a junction's text begins with."""
    if path.startswith(_EXTENDED + "UNC\\"):
        return "\\\\" + path[len(_EXTENDED) + 4 :]
    return path.removeprefix(_EXTENDED)


def command_script(target: str, mark: str) -> bytes:
    """A ``.cmd`` file that runs ``target`` and ends with its exit status."""
    return _encoded(f'@rem {mark}\r\n@"{_literal(target)}" %*\r\n')


def command_target(data: bytes, mark: str) -> str:
    """What a file of :func:`command_script` runs; empty for everything else."""
    lines = _decoded(data).splitlines()
    if len(lines) < 2 or lines[0] != f"@rem {mark}":
        return ""
    found = _RUN.fullmatch(lines[1])
    return found[1].replace("%%", "%") if found else ""


def kitbag_script(root: str, mark: str, targets: Sequence[str]) -> bytes:
    """Runs ``<root>\\.kitbag\\kitbag.pyz`` with the newest CPython of ``targets`` that is there."""
    # A question mark before a dot also stands for nothing: "3.??." would take 3.8 too.
    names = [
        f"cpython-{version}.*-{each}" for version in ("3.9", "3.1?", "3.2?") for each in targets
    ]
    places = " ".join(f'"%root%\\{name}"' for name in names)
    # No blocks in parentheses: one in the root's path would end them.
    text = f"""\
@echo off
rem {mark}
setlocal
set "root={_literal(root)}"
set "python="
for /d %%d in ({places}) do if exist "%%d\\python.exe" set "python=%%d\\python.exe"
if not exist "%root%\\" goto gone
if not defined python goto none
"%python%" -I -S -B "%root%\\.kitbag\\kitbag.pyz" %*
exit /b %errorlevel%
:gone
echo kitbag: "%root%" is gone; if it was moved, run its .kitbag\\kitbag.pyz relocate >&2
exit /b 5
:none
echo kitbag: no CPython 3.9 or newer is installed in "%root%"; use the bundle instead >&2
exit /b 5
"""
    return _encoded(text.replace("\n", "\r\n"))


def data_home(environ: Mapping[str, str]) -> str:
    r"""``%LOCALAPPDATA%``: what is made for one machine does not roam."""
    chosen = environ.get("LOCALAPPDATA", "")
    home = user_home(environ)
    return chosen or (ntpath.join(home, "AppData", "Local") if home else "")


def user_home(environ: Mapping[str, str]) -> str:
    """``%USERPROFILE%``."""
    return environ.get("USERPROFILE", "")


def longest_path(folder: str) -> int:
    """Characters of a path: 259, unless an administrator allowed long ones."""
    del folder
    try:
        import winreg

        registry: Any = winreg
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, _LONG_PATHS) as key:
            value, _ = registry.QueryValueEx(key, "LongPathsEnabled")
    except (ImportError, OSError):
        return _MAX_PATH
    return _LONG_PATH if value else _MAX_PATH


def _literal(path: str) -> str:
    """``path`` for a place between double quotes, which no path on Windows has itself."""
    return path.replace("%", "%%")


def _encoded(text: str) -> bytes:
    """``text`` as ``cmd`` reads it: in the console's code page, where there is one."""
    try:
        return text.encode("oem")
    except (LookupError, UnicodeEncodeError):
        return text.encode("utf-8", "surrogateescape")


def _decoded(data: bytes) -> str:
    try:
        return data.decode("oem")
    except (LookupError, UnicodeDecodeError):
        return data.decode("utf-8", "surrogateescape")
