"""The target side where the system is Windows, as far as an imitation goes.

A process of its own, in which ``sys.platform`` says so and everything that Windows lacks is gone.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer.hosts import this_host
from kitbag_installer.platforms import MARK, windows
from support.bundled import bundle_archives
from support.cli import _SOURCES, environment
from support.members import below, program, write_archive
from support.require import require
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.trees import windows_members

_WINDOWS = r"""
import ctypes, errno, os, platform, pkgutil, shutil, signal, subprocess, sys, tempfile, types
import hashlib, json, threading, zipfile

platform.machine()
shutil._use_fd_functions = False
shutil.disk_usage = lambda path: types.SimpleNamespace(free=10**10)
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty"):
    sys.modules[name] = None
for name in (
    "fork statvfs uname getuid geteuid getgid fchmod fchown chown lchown pathconf confstr mkfifo "
    "sched_getaffinity sync O_CLOEXEC O_NONBLOCK O_DIRECTORY O_NOFOLLOW getloadavg posix_fadvise "
    "POSIX_FADV_DONTNEED POSIX_FADV_SEQUENTIAL killpg setsid waitid nice sysconf"
).split():
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGPIPE", "SIGALRM", "SIGUSR1"):
    delattr(signal, name)

def symlink(*_, **__):
    raise OSError(errno.EINVAL, "a required privilege is not held by the client")

winapi = types.SimpleNamespace(CreateJunction=os.symlink)
sys.modules["_winapi"] = winapi
os.symlink = symlink
locks = []

class Kernel:
    def __init__(self, name, use_last_error):
        assert (name, use_last_error) == ("kernel32", True)
    def LockFileEx(self, handle, flags, reserved, low, high, overlapped):
        locks.append((handle.value, flags, low, high))
        return 1

ctypes.WinDLL = Kernel
sys.modules["msvcrt"] = types.SimpleNamespace(get_osfhandle=lambda handle: handle + 1000)
sys.getwindowsversion = lambda: (10, 0, 19045, 2, "")
sys.platform = "win32"
"""
_IMPORTS = """
count = 0
for top in ("kitbag_bundles", "kitbag_installer"):
    package = __import__(top)
    for module in pkgutil.walk_packages(package.__path__, top + "."):
        if not module.name.endswith(("__main__", "platforms.posix", "bytecode.worker")):
            __import__(module.name)
            count += 1
assert count > 60, count
"""
_RUN = """
from kitbag_installer.cli import main
status = main(sys.argv[1:])
assert locks or status, "nothing was locked"
sys.exit(status)
"""


def python(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path[:0] = {_SOURCES!r}\n{_WINDOWS}{program}"
    command = [sys.executable, "-S", "-B", "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows")
    require(this_host().arch == "x86_64", "a machine for which arm64 is another one")
    archives = [
        (make_synthetic_archive(name, folder), BuildKey.parse(SYNTHETIC[name].key))
        for name in ("windows-arm64", "windows", "aarch64")
    ]
    return bundle_archives(folder / "tools.kitbag", archives)


def test_everything_can_be_imported() -> None:
    done = python(_IMPORTS)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_build_is_installed_looked_after_and_removed(bundle: Path, tmp_path: Path) -> None:
    root, key = tmp_path / "root", "cpython-3.13.5-windows-aarch64-none"
    install = ("install", bundle, key, "--foreign", "--root", root)
    # What install.cmd leaves if it is ended.
    (root / ".temp" / "kitbag-boot-123456").mkdir(parents=True)
    for arguments in (install, (*install, "--reinstall")):
        done = python(_RUN, *arguments)
        assert done.returncode == 0, done.stderr
    assert (root / key / "python.exe").is_file()
    assert not list((root / ".temp").iterdir())
    (root / key / "Lib" / "os.py").unlink()
    done = python(_RUN, "repair", bundle, "--root", root)
    assert done.returncode == 0, done.stderr
    assert (root / key / "Lib" / "os.py").is_file()
    look = "from kitbag_installer.cli import main\nsys.exit(main(sys.argv[1:]))"
    assert "sound; " in python(look, "verify", "--root", root).stdout
    assert "(for windows-aarch64)" in python(look, "installed", "--root", root).stdout
    done = python(_RUN, "uninstall", key, "--root", root)
    assert done.returncode == 0, done.stderr
    assert not (root / key).exists()


def test_what_has_links_is_refused_there(bundle: Path, tmp_path: Path) -> None:
    arguments = ("cpython-linux-aarch64", "--foreign", "--root", tmp_path / "root")
    done = python(_RUN, "install", bundle, *arguments)
    assert done.returncode == 5
    assert "symbolic links can't be made" in done.stderr


_PROGRAM = b"""#!/bin/sh
printf '{"version": "@version@", "implementation": "cpython", "prefix": "%s", ' "${0%/*}"
echo '"free_threaded": false, "debug": false}'
"""


def tiny_windows_bundle(folder: Path, version: str) -> Path:
    """A build with the names of Windows, whose interpreter is a script."""
    script = _PROGRAM.replace(b"@version@", version.encode())
    members = [
        program("python.exe", script) if member.path == "python.exe" else member
        for member in windows_members(version, "x86_64")
    ]
    archive = folder / f"cpython-{version}+20260101-x86_64-pc-windows-msvc-install_only.tar.gz"
    write_archive(below("python", members), archive, ".tar.gz")
    key = BuildKey.parse(f"cpython-{version}-windows-x86_64-none")
    return bundle_archives(folder / f"{version}.kitbag", [(archive, key)])


def test_links_are_junctions_and_commands_are_scripts(tmp_path: Path) -> None:
    require(this_host().arch == "x86_64", "a machine that has the CPU of the stand-in")
    root, bin_dir = tmp_path / "root", tmp_path / "bin"
    line = root / "cpython-3.13-windows-x86_64-none"
    where = ("--root", root, "--bin-dir", bin_dir)
    older, newer = (tiny_windows_bundle(tmp_path, version) for version in ("3.13.5", "3.13.7"))
    for bundle in (older, newer):
        done = python(_RUN, "install", bundle, "--default", *where)
        assert done.returncode == 0, done.stderr
    assert os.readlink(line) == f"{root}/cpython-3.13.7-windows-x86_64-none"
    commands = sorted(path.name for path in bin_dir.iterdir())
    assert commands == ["kitbag.cmd", "python.cmd", "python3.13.cmd", "python3.cmd"]
    script = (bin_dir / "python3.13.cmd").read_bytes()
    assert windows.command_target(script, MARK) == f"{line}/python.exe"
    assert f'set "root={root}"'.encode() in (bin_dir / "kitbag.cmd").read_bytes()
    moved = tmp_path / "moved"
    root.rename(moved)
    done = python(_RUN, "relocate", "--root", moved)
    assert done.returncode == 0, done.stderr
    script = (bin_dir / "python3.13.cmd").read_bytes()
    assert windows.command_target(script, MARK) == f"{moved / line.name}/python.exe"
    done = python(_RUN, "uninstall", "3.13.7", "--root", moved)
    assert done.returncode == 0, done.stderr
    assert os.readlink(moved / line.name) == f"{moved}/cpython-3.13.5-windows-x86_64-none"
    done = python(_RUN, "uninstall", "--all", "--root", moved)
    assert done.returncode == 0, done.stderr
    assert not list(bin_dir.glob("*"))


def test_what_fits_is_tested_there_too(bundle: Path, tmp_path: Path) -> None:
    """The stand-in is no program, so it can't start; until then everything has to go well."""
    done = python(_RUN, "install", bundle, "--root", tmp_path / "root")
    assert "cpython-3.13.5-windows-x86_64-none: " in done.stderr
    assert "internal error" not in done.stderr
    assert done.returncode in (1, 5)
