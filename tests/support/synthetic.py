"""Small fake archives with real names, for targets and implementations that are not at hand.

Their trees have the right shape, the right names and executables whose headers say the right
machine; nothing in them runs. The names follow the conventions of the publishers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .members import Member, below, write_archive
from .tiny import make_tiny_archive, tiny_members
from .trees import (
    full_layout,
    graalpy_members,
    graalpy_windows_members,
    linux_members,
    macos_members,
    pyodide_members,
    pypy_members,
    pypy_windows_members,
    repeated_links,
    windows_members,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = [
    "SYNTHETIC",
    "Synthetic",
    "make_synthetic_archive",
    "make_tiny_archive",
    "tiny_members",
]

_RELEASE = "20260101"


class Synthetic(NamedTuple):
    """One fake archive: its file name, the key of the build in it, and its members."""

    filename: str
    key: str
    members: Callable[[], list[Member]]
    first: str = ""


def _suffix(filename: str) -> str:
    known = (".tar.gz", ".tar.zst", ".tar.bz2", ".tar.xz", ".zip", ".7z")
    return next(suffix for suffix in known if filename.endswith(suffix))


def _cpython(
    triple: str,
    key: str,
    members: Callable[[], list[Member]],
    *,
    version: str = "3.13.5",
    rest: str = "install_only_stripped",
    suffix: str = ".tar.gz",
) -> Synthetic:
    filename = f"cpython-{version}+{_RELEASE}-{triple}-{rest}{suffix}"
    return Synthetic(filename, key, lambda: below("python", members()))


def _cpython_full(
    triple: str,
    key: str,
    members: Callable[[], list[Member]],
    rest: str,
    *,
    executable: str,
    version: str = "3.13.5",
    filename: str = "",
) -> Synthetic:
    filename = filename or f"cpython-{version}+{_RELEASE}-{triple}-{rest}-full.tar.zst"

    def full() -> list[Member]:
        return below("python", full_layout(members(), triple, version, executable))

    return Synthetic(filename, key, full, "python/PYTHON.json")


def _stem(filename: str, key: str, members: Callable[[], list[Member]]) -> Synthetic:
    """Describe an archive whose top folder is its own name without the suffix."""
    top = filename.removesuffix(_suffix(filename))
    return Synthetic(filename, key, lambda: below(top, members()))


_GNU, _MUSL = "unknown-linux-gnu", "unknown-linux-musl"

SYNTHETIC: Mapping[str, Synthetic] = {
    "linux": _cpython(
        f"x86_64-{_GNU}",
        "cpython-3.13.5-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64"),
    ),
    "linux-3.14": _cpython(
        f"x86_64-{_GNU}",
        "cpython-3.14.5-linux-x86_64-gnu",
        lambda: linux_members("3.14.5", "x86_64"),
        version="3.14.5",
    ),
    "v3": _cpython(
        f"x86_64_v3-{_GNU}",
        "cpython-3.13.5-linux-x86_64_v3-gnu",
        lambda: linux_members("3.13.5", "x86_64"),
    ),
    "freethreaded": _cpython(
        f"x86_64-{_GNU}",
        "cpython-3.13.5+freethreaded-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64", free_threaded=True),
        rest="freethreaded-install_only_stripped",
    ),
    "freethreaded-full": _cpython_full(
        f"x86_64-{_GNU}",
        "cpython-3.13.5+freethreaded-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64", free_threaded=True),
        "freethreaded+pgo+lto",
        executable="bin/python3.13t",
    ),
    "debug": _cpython_full(
        f"x86_64-{_GNU}",
        "cpython-3.13.5+debug-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64", debug=True),
        "debug",
        executable="bin/python3.13d",
    ),
    "freethreaded-debug": _cpython_full(
        f"x86_64-{_GNU}",
        "cpython-3.13.5+freethreaded+debug-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64", free_threaded=True, debug=True),
        "freethreaded+debug",
        executable="bin/python3.13td",
    ),
    "musl": _cpython(
        f"x86_64-{_MUSL}",
        "cpython-3.13.5-linux-x86_64-musl",
        lambda: linux_members("3.13.5", "x86_64", libc="musl"),
    ),
    "musl-aarch64": _cpython(
        f"aarch64-{_MUSL}",
        "cpython-3.13.5-linux-aarch64-musl",
        lambda: linux_members("3.13.5", "aarch64", libc="musl"),
    ),
    "aarch64": _cpython(
        f"aarch64-{_GNU}",
        "cpython-3.13.5-linux-aarch64-gnu",
        lambda: linux_members("3.13.5", "aarch64"),
    ),
    "armv7": _cpython(
        "armv7-unknown-linux-gnueabihf",
        "cpython-3.13.5-linux-armv7-gnueabihf",
        lambda: repeated_links(linux_members("3.13.5", "armv7-gnueabihf", libc="gnueabihf")),
    ),
    "armv7-soft": _cpython(
        "armv7-unknown-linux-gnueabi",
        "cpython-3.13.5-linux-armv7-gnueabi",
        lambda: repeated_links(linux_members("3.13.5", "armv7-gnueabi", libc="gnueabi")),
    ),
    "ppc64le": _cpython(
        f"ppc64le-{_GNU}",
        "cpython-3.13.5-linux-powerpc64le-gnu",
        lambda: linux_members("3.13.5", "ppc64le"),
    ),
    "s390x": _cpython(
        f"s390x-{_GNU}", "cpython-3.13.5-linux-s390x-gnu", lambda: linux_members("3.13.5", "s390x")
    ),
    "riscv64": _cpython(
        f"riscv64-{_GNU}",
        "cpython-3.13.5-linux-riscv64gc-gnu",
        lambda: linux_members("3.13.5", "riscv64", glibc="2.28"),
    ),
    "i686": _cpython(
        f"i686-{_GNU}",
        "cpython-3.10.13-linux-x86-gnu",
        lambda: linux_members("3.10.13", "i686"),
        version="3.10.13",
        rest="install_only",
    ),
    "macos-arm64": _cpython(
        "aarch64-apple-darwin",
        "cpython-3.13.5-macos-aarch64-none",
        lambda: macos_members("3.13.5", "aarch64", least=(11, 0)),
    ),
    "macos-x86_64": _cpython(
        "x86_64-apple-darwin",
        "cpython-3.13.5-macos-x86_64-none",
        lambda: macos_members("3.13.5", "x86_64", least=(10, 15)),
    ),
    "windows": _cpython(
        "x86_64-pc-windows-msvc",
        "cpython-3.13.5-windows-x86_64-none",
        lambda: windows_members("3.13.5", "x86_64"),
    ),
    "windows-arm64": _cpython(
        "aarch64-pc-windows-msvc",
        "cpython-3.13.5-windows-aarch64-none",
        lambda: windows_members("3.13.5", "aarch64"),
    ),
    "windows-x86": _cpython(
        "i686-pc-windows-msvc",
        "cpython-3.13.5-windows-x86-none",
        lambda: windows_members("3.13.5", "i686"),
    ),
    "windows-freethreaded": _cpython(
        "x86_64-pc-windows-msvc",
        "cpython-3.13.5+freethreaded-windows-x86_64-none",
        lambda: windows_members("3.13.5", "x86_64", free_threaded=True),
        rest="freethreaded-install_only_stripped",
    ),
    "old-macos-debug": _cpython_full(
        "aarch64-apple-darwin",
        "cpython-3.10.0+debug-macos-aarch64-none",
        lambda: macos_members("3.10.0", "aarch64", least=(11, 0), debug=True),
        "debug",
        executable="bin/python3.10d",
        version="3.10.0",
        filename="cpython-3.10.0-aarch64-apple-darwin-debug-20211017T1616.tar.zst",
    ),
    "old-linux": _cpython_full(
        f"x86_64-{_GNU}",
        "cpython-3.9.7-linux-x86_64-gnu",
        lambda: linux_members("3.9.7", "x86_64"),
        "pgo+lto",
        executable="bin/python3.9",
        version="3.9.7",
        filename="cpython-3.9.7-x86_64-unknown-linux-gnu-pgo+lto-20211017T1616.tar.zst",
    ),
    "old-windows-shared": _cpython_full(
        "x86_64-pc-windows-msvc",
        "cpython-3.8.12-windows-x86_64-none",
        lambda: windows_members("3.8.12", "x86_64"),
        "shared-pgo",
        executable="python.exe",
        version="3.8.12",
        filename="cpython-3.8.12-x86_64-pc-windows-msvc-shared-pgo-20211017T1616.tar.zst",
    ),
    "linux-zip": _cpython(
        f"x86_64-{_GNU}",
        "cpython-3.13.5-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64"),
        suffix=".zip",
    ),
    "linux-7z": _cpython(
        f"x86_64-{_GNU}",
        "cpython-3.13.5-linux-x86_64-gnu",
        lambda: linux_members("3.13.5", "x86_64"),
        suffix=".7z",
    ),
    "pypy": _stem(
        "pypy3.11-v7.3.23-linux64.tar.gz",
        "pypy-3.11.15-linux-x86_64-gnu",
        lambda: pypy_members("pypy3.11", "3.11"),
    ),
    "pypy-bz2": _stem(
        "pypy3.10-v7.3.16-linux64.tar.bz2",
        "pypy-3.10.14-linux-x86_64-gnu",
        lambda: pypy_members("pypy3.10", "3.10"),
    ),
    "pypy-windows": _stem(
        "pypy3.11-v7.3.23-win64.zip",
        "pypy-3.11.15-windows-x86_64-none",
        lambda: pypy_windows_members("3.11"),
    ),
    "graalpy": _stem(
        "graalpy-24.2.2-linux-amd64.tar.gz", "graalpy-3.11.0-linux-x86_64-gnu", graalpy_members
    ),
    "graalpy-community": _stem(
        "graalpy-community-24.2.2-linux-amd64.tar.gz",
        "graalpy-3.11.0-linux-x86_64-gnu",
        graalpy_members,
    ),
    "graalpy-windows": _stem(
        "graalpy-24.2.2-windows-amd64.zip",
        "graalpy-3.11.0-windows-x86_64-none",
        graalpy_windows_members,
    ),
    "pyodide": Synthetic(
        "xbuildenv-0.29.5.tar.gz",
        "pyodide-3.13.2-emscripten-wasm32-musl",
        lambda: below("xbuildenv", pyodide_members()),
    ),
}


def make_synthetic_archive(name: str, folder: Path, *, compression: str = "") -> Path:
    """Write the archive `name` (a key of `SYNTHETIC`) into `folder` and return its path.

    `compression` replaces the suffix of the real name, such as `.tar.xz`.
    """
    archive = SYNTHETIC[name]
    suffix = _suffix(archive.filename)
    filename = archive.filename.removesuffix(suffix) + (compression or suffix)
    folder.mkdir(parents=True, exist_ok=True)
    full = bool(archive.first)
    return write_archive(
        archive.members(), folder / filename, compression or suffix, first=archive.first, pax=full
    )
