"""Linux and macOS: symbolic links, ``flock``, shell scripts."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND_SUFFIX = ""
LINKS_PROGRAMS = True
"""Whether a symbolic link to a program is as good as the program."""
MODES = True
"""Whether the mode of a file says who may run it."""
REPLACES_LINKS = True
"""Whether a new link takes an old one's place in one step."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Of Linux's ``renameat2`` (3.15); macOS's ``RENAME_SWAP`` (10.12) has the same number."""
_PATH_MAX = 4096


def try_lock(handle: int) -> bool:
    """BSD ``flock``, the one that uv takes; raises :class:`OSError` where there is none."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
            raise
        return False
    return True


def exchange(one: str, other: str) -> bool:
    """Swap two paths in one step; ``False`` where the system can't."""
    import ctypes

    flag = ctypes.c_uint(_RENAME_EXCHANGE)
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            done = libc.renamex_np(first, second, flag)
        else:
            done = libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, flag)
    except (OSError, AttributeError, TypeError):
        return False
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), one, None, other)


def flush(folder: str) -> None:
    """Bring everything written so far on the file system of ``folder`` to the disk."""
    import ctypes

    handle = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None).syncfs(handle) != 0:
            os.sync()
    except AttributeError:
        os.sync()
    finally:
        os.close(handle)


def make_directory_link(target: str, path: str) -> None:
    """Make ``path`` a symbolic link to ``target``."""
    os.symlink(target, path)


def link_text(path: str) -> str:
    """The text of a link; empty for everything else."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def command_script(target: str, mark: str) -> bytes:
    """A shell script that hands over to ``target``."""
    text = f'#!/bin/sh\n# {mark}\nexec {shlex.quote(target)} "$@"\n'
    return text.encode("utf-8", "surrogateescape")


def command_target(data: bytes, mark: str) -> str:
    """What a script of :func:`command_script` runs; empty for everything else."""
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    if len(lines) < 3 or lines[:2] != ["#!/bin/sh", f"# {mark}"] or lines[2][:5] != "exec ":
        return ""
    try:
        words = shlex.split(lines[2])
    except ValueError:
        return ""
    return words[1] if len(words) == 3 else ""


def kitbag_script(root: str, mark: str, targets: Sequence[str]) -> bytes:
    """Runs ``<root>/.kitbag/kitbag.pyz`` with the newest CPython of ``targets`` that is there.

    The newest comes last in a list, as far as a shell's sorting goes; without any a PyPy will do.
    """
    names = ("cpython", "pypy")
    fitting = "|".join(f"{name}-*-{target}/*" for name in names for target in targets)
    text = f"""\
#!/bin/sh
# {mark}
root={shlex.quote(root)}
python=
for found in "$root"/pypy-3.9.*/bin/python "$root"/pypy-3.[1-9][0-9].*/bin/python \\
    "$root"/cpython-3.9.*/bin/python3 "$root"/cpython-3.[1-9][0-9].*/bin/python3; do
    case ${{found#"$root"/}} in
    {fitting}) [ -x "$found" ] && python=$found ;;
    esac
done
if [ ! -d "$root" ]; then
    echo "kitbag: $root is gone; if it was moved to NEW, mend it with" >&2
    echo "  NEW/cpython-3.*/bin/python3 NEW/.kitbag/kitbag.pyz relocate" >&2
    exit 5
fi
if [ -z "$python" ]; then
    echo "kitbag: no CPython or PyPy 3.9 or newer is installed in $root; use the bundle instead" >&2
    exit 5
fi
exec "$python" -I -S -B "$root/.kitbag/kitbag.pyz" "$@"
"""
    return text.encode("utf-8", "surrogateescape")


def data_home(environ: Mapping[str, str]) -> str:
    """``~/.local/share``; empty without a home."""
    home = user_home(environ)
    return os.path.join(home, ".local", "share") if home else ""


def user_home(environ: Mapping[str, str]) -> str:
    """``HOME``."""
    return environ.get("HOME", "")


def longest_path(folder: str) -> int:
    """Bytes of a path, without the NUL at its end that the system counts."""
    try:
        return os.pathconf(folder, "PC_PATH_MAX") - 1
    except (OSError, ValueError):
        return _PATH_MAX - 1
