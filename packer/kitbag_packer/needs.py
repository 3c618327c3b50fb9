"""What a build needs of its target: loader, C library, libraries outside its tree, CPU, system.

A Python whose ``_tkinter`` lacks libX11 is a good Python without tkinter, so needs come in two
degrees. *Needed* is what the executable, libpython and the modules of :data:`ESSENTIAL_MODULES` ask
for, and what the libraries of the tree ask for that these pull in. What any other file asks for is
*optional*: it is told when packing, and no target is refused for the lack of it.

The least glibc is that of all files together: they come from one build machine, and a module that
dies for want of a symbol would otherwise surprise people late.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.manifest import Needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey, Target
    from kitbag_packer.binaries import Binary

__all__ = ["ESSENTIAL_MODULES", "TreeNeeds", "needs_of"]

_ESSENTIAL_MODULES_NAMES = """
    _bisect _blake2 _datetime _heapq _json _md5 _opcode _pickle _posixsubprocess _queue _random
    _sha1 _sha2 _sha256 _sha3 _sha512 _socket _struct array binascii fcntl grp math mmap pyexpat
    select unicodedata zlib
"""
ESSENTIAL_MODULES = frozenset(_ESSENTIAL_MODULES_NAMES.split())
"""Extension modules that starting up, ``zipimport``, venv, pip or kitbag itself stand on.

``_ssl``, ``_hashlib``, ``_ctypes``, ``_bz2``, ``_lzma``, ``_sqlite3`` and the like are not in it:
all of these five run without them.
"""
_MODULE_FOLDERS = ("lib-dynload", "DLLs")
_LIBPYTHON = re.compile(r"lib/libpython3[^/]*|python3[^/]*\.dll", re.IGNORECASE)
_PACKAGES = re.compile(r"(?:^|/)(?:site|dist)-packages/")

_C_LIBRARY = re.compile(
    r"(?:libc|libm|libpthread|libdl|librt|libutil|libresolv|libanl|libmvec|libBrokenLocale)\.so\.\d"
    r"|ld-linux.*\.so\.\d|ld(?:64)?\.so\.\d"
    r"|libc\.so|libc\.musl-.*\.so\.1|ld-musl-.*\.so\.1"
)
"""What every installation of glibc or of musl consists of.

Not libcrypt, libnsl, libgcc_s, libatomic or libstdc++: distributions package these apart from
glibc, and small systems are without them.
"""
_MACOS_SYSTEM = ("/usr/lib/", "/System/Library/")
_WINDOWS_SYSTEM_NAMES = """
    advapi32 avrt bcrypt bcryptprimitives cabinet comctl32 comdlg32 credui crypt32 cryptbase
    cryptnet dbghelp dnsapi dwmapi dxgi fwpuclnt gdi32 gdiplus hid imm32 iphlpapi kernel32
    kernelbase mpr msi mswsock msvcrt ncrypt netapi32 normaliz ntdll ole32 oleaut32 pathcch pdh
    powrprof propsys psapi rpcrt4 rstrtmgr secur32 setupapi shcore shell32 shlwapi sspicli
    synchronization ucrtbase user32 userenv usp10 uxtheme version wer winhttp wininet winmm
    winspool ws2_32 wsock32 wtsapi32
"""
_WINDOWS_SYSTEM = frozenset(_WINDOWS_SYSTEM_NAMES.split())
_WINDOWS_API_SETS = ("api-ms-win-", "ext-ms-")

_WINDOWS_OF_CPYTHON = (((3, 13), (10, 0)), ((3, 9), (6, 3)), ((3, 5), (6, 1)))
"""The least Windows by CPython's own rule (PEP 11); the linker's stamp in the PE is far older."""


@dataclass(frozen=True)
class TreeNeeds:
    """What a tree needs: what it can't do without, and what parts of it would like."""

    needs: Needs
    optional_libraries: Mapping[str, tuple[str, ...]]
    """Library outside the tree → the files of the tree that ask for it, both sorted."""


def needs_of(
    key: BuildKey,
    executable: str,
    binaries: Mapping[str, Sequence[Binary]],
    aliases: Mapping[str, str] | None = None,
) -> TreeNeeds:
    """Work out what the tree of ``key`` needs.

    ``binaries`` maps every path of the tree that holds native code to what was read from it;
    ``aliases`` maps links that lead to such a path. Files for another system or CPU (pip ships
    launchers for Windows everywhere) do not count.
    """
    ours = {
        path: binary
        for path, found in binaries.items()
        for binary in found
        if binary.suits(key.target.os, key.target.cpu)
    }
    tree = _Tree(ours, aliases or {})
    must = tree.closure([executable, *filter(_is_essential, ours)])
    needed: set[str] = set()
    optional: dict[str, set[str]] = defaultdict(set)
    for path, binary in ours.items():
        for library in tree.missing(path, binary):
            if path in must:
                needed.add(library)
            else:
                optional[library].add(path)
    start = ours.get(executable)
    return TreeNeeds(
        Needs(
            interpreter=start.interpreter if start else "",
            glibc=_dotted(max((binary.glibc for binary in ours.values()), default=())),
            libraries=tuple(sorted(needed)),
            cpu=_cpu(key.target),
            os=_dotted(_least_os(key, ours.values())),
        ),
        {name: tuple(sorted(optional[name])) for name in sorted(set(optional) - needed)},
    )


class _Tree:
    """Answers which libraries the tree itself provides."""

    def __init__(self, binaries: Mapping[str, Binary], aliases: Mapping[str, str]) -> None:
        self._binaries = binaries
        self._providers: dict[str, set[str]] = defaultdict(set)
        for path, binary in binaries.items():
            self._providers[_plain(path, binary.os)].add(path)
            if binary.name:
                self._providers[_plain(binary.name, binary.os)].add(path)
        for link, path in aliases.items():
            if path in binaries:
                self._providers[_plain(link, binaries[path].os)].add(path)

    def closure(self, paths: Iterable[str]) -> set[str]:
        """``paths`` and every library of the tree that they pull in."""
        found: set[str] = set()
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found.add(path)
            binary = self._binaries.get(path)
            for library in binary.needed if binary else ():
                waiting += self._provided(path, library, binary.os if binary else "")
        return found

    def missing(self, path: str, binary: Binary) -> Iterator[str]:
        """The libraries that ``path`` asks for and that must come from the target."""
        for library in binary.needed:
            if not _of_system(library, binary.os) and not self._provided(path, library, binary.os):
                yield library

    def _provided(self, path: str, library: str, os: str) -> list[str]:
        """Where the tree has ``library``; one inside an installed package is that package's own."""
        inside = bool(_PACKAGES.search(path))
        found = self._providers.get(_plain(library, os), ())
        return [each for each in found if inside or not _PACKAGES.search(each)]


def _plain(library: str, os: str) -> str:
    name = posixpath.basename(library)
    return name.lower() if os == "windows" else name


def _of_system(library: str, os: str) -> bool:
    if os == "linux":
        return bool(_C_LIBRARY.fullmatch(posixpath.basename(library)))
    if os == "macos":
        return library.startswith(_MACOS_SYSTEM)
    name = library.lower()
    return name.startswith(_WINDOWS_API_SETS) or name.partition(".")[0] in _WINDOWS_SYSTEM


def _is_essential(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if _LIBPYTHON.fullmatch(path):
        return True
    stem = name.partition(".")[0]
    return posixpath.basename(folder) in _MODULE_FOLDERS and stem in ESSENTIAL_MODULES


def _least_os(key: BuildKey, binaries: Iterable[Binary]) -> tuple[int, ...]:
    least = max((binary.least_os for binary in binaries), default=())
    if key.target.os == "windows" and key.implementation == "cpython":
        version = (key.version.major, key.version.minor)
        least = max([least, *(os for start, os in _WINDOWS_OF_CPYTHON if version >= start)])
    return least


def _cpu(target: Target) -> str:
    if target.cpu != "x86_64":
        return target.cpu if target.os != "emscripten" else ""
    return "x86-64" if target.cpu_level == 1 else f"x86-64-v{target.cpu_level}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
