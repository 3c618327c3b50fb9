"""What this machine is, and whether a build can run on it.

Operating system and architecture come from the kernel; the libc from the ELF interpreter of the
system's own shell, since the Python that runs this may bring another one along.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.keys import BuildKey, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_bundles.manifest import Build

_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "ppc64le": "powerpc64le",
    "riscv64": "riscv64gc",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "armv7l": "armv7",
    "armv8l": "armv7",
}
_LEVEL_FLAGS = {
    2: {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    3: {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    4: {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
"""Flags of /proc/cpuinfo for each level; x86-64 psABI, table "Micro-Architecture Levels"."""


_LONGEST_NAME = 4096
_EMULATED = {
    ("macos", "aarch64"): ("x86_64",),
    ("windows", "x86_64"): ("x86",),
    ("windows", "aarch64"): ("x86_64", "x86"),
}
"""What else a system runs, the best first: Rosetta's, WOW64's, and as uv has it."""


@dataclass(frozen=True)
class Host:
    """The machine this runs on. The versions are empty where they could not be told."""

    os: str
    arch: str
    libc: str
    libc_version: str = ""
    cpu_level: int = 1
    """Of x86-64: 1 to 4; 0 where the system does not tell what its CPU can do."""
    os_version: str = ""
    """Of macOS or Windows, ``14.5`` or ``10.0.19045``; on Linux the kernel's."""

    def __str__(self) -> str:
        level = f"_v{self.cpu_level}" if self.cpu_level > 1 else ""
        libc = f"{self.libc} {self.libc_version}".strip()
        return f"{self.os}-{self.arch}{level}-{libc}"

    def unfit(self, key: BuildKey) -> str:
        """Why a build of this key can't run here, as a clause; empty if it can."""
        target = key.target
        if implementation_of(key).any_machine:
            return ""
        if target.os != self.os:
            return f"it is for {target.os}, this is {self.os}"
        if target.cpu not in (self.arch, *self.emulated):
            return f"it is for {target.cpu}, this is {self.arch}"
        if target.libc != self.libc:
            return f"it is for {target.libc}, this system's C library is {self.libc}"
        level = self.cpu_level if target.cpu == self.arch else 1
        if level and target.cpu_level > level:
            return f"it needs x86-64-v{target.cpu_level}, this CPU has level {level}"
        return ""

    @property
    def emulated(self) -> tuple[str, ...]:
        """The other architectures whose programs run here, the best first."""
        return _EMULATED.get((self.os, self.arch), ())

    def liking(self, key: BuildKey) -> tuple[int, int]:
        """How well a build that can run here suits; the greatest is the best."""
        cpus = (self.arch, *self.emulated)
        cpu = key.target.cpu
        return (-cpus.index(cpu) if cpu in cpus else -len(cpus), key.target.cpu_level)

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target whose builds run here, as keys spell it, the best last."""
        levels = [f"_v{level}" for level in range(2, self.cpu_level + 1)]
        own = [self.arch, *(self.arch + level for level in levels if self.arch == "x86_64")]
        return tuple(f"{self.os}-{arch}-{self.libc}" for arch in (*self.emulated[::-1], *own))

    def lacks(self, build: Build) -> str:
        """What ``build`` needs of the system and does not find, as a clause; empty if nothing."""
        needed = build.needs.glibc
        has = self.libc_version
        if needed and has and _numbers(needed) > _numbers(has):
            return f"it needs glibc {needed}, this system has {has}"
        return ""

    def doubts(self, build: Build) -> dict[str, str]:
        """What may keep ``build`` from running here, as clauses by the code of the preflight.

        What a system says of its version is not always true: macOS gives old programs an old one.
        """
        found = {}
        level = build.key.target.cpu_level
        if level > 1 and not self.cpu_level:
            found["cpu"] = f"it needs x86-64-v{level}, and the level of this CPU can't be told"
        needed = build.needs.os
        if needed and self.os_version and _numbers(needed) > _numbers(self.os_version):
            found["os-version"] = f"it needs {self.os} {needed}, this is {self.os_version}"
        program = implementation_of(build.key).program
        if program is not None:
            from kitbag_installer.preflight.programs import lacking

            clause = lacking(program)
            if clause:
                found[program.name] = clause
        return found


def this_host() -> Host:
    """Describe this machine."""
    system = _SYSTEMS.get(sys.platform, sys.platform)
    machine = _machine().lower()
    arch = _MACHINES.get(machine, machine)
    if system != "linux":
        return Host(system, arch, "none", os_version=_os_version())
    loader = _system_loader()
    libc = "musl" if "ld-musl" in loader else "gnu"
    if libc == "gnu" and arch == "armv7":
        libc = "gnueabihf" if "armhf" in loader else "gnueabi"
    version = _glibc_version() if libc != "musl" else ""
    level = _cpu_level() if arch == "x86_64" else 1
    return Host(system, arch, libc, version, level, os.uname().release)


def _machine() -> str:
    if hasattr(os, "uname"):
        return os.uname().machine
    import platform

    return platform.machine()


def _os_version() -> str:
    if sys.platform == "win32":
        return ".".join(map(str, sys.getwindowsversion()[:3]))
    try:
        with open("/System/Library/CoreServices/SystemVersion.plist", encoding="utf-8") as file:
            said = re.search(r"<key>ProductVersion</key>\s*<string>([\d.]+)<", file.read())
    except (OSError, ValueError):
        return ""
    return said.group(1) if said else ""


def elf_interpreter(path: str) -> str:
    """The PT_INTERP of an ELF file, empty for a static one or none (ELF gABI, program header)."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:4] != b"\x7fELF" or len(head) < 64:
                return ""
            order = "<" if head[5] == 1 else ">"
            if head[4] == 2:
                offset, size, count = struct.unpack(f"{order}32xQ14xHH", head[:58])
                layout = f"{order}IIQQQQQQ"
            else:
                offset, size, count = struct.unpack(f"{order}28xI10xHH", head[:46])
                layout = f"{order}IIIIIIII"
            for number in range(count):
                file.seek(offset + number * size)
                fields = struct.unpack(layout, file.read(struct.calcsize(layout)))
                if fields[0] == 3:
                    start, length = (
                        (fields[2], fields[5]) if head[4] == 2 else (fields[1], fields[4])
                    )
                    file.seek(start)
                    name = file.read(min(length, _LONGEST_NAME))
                    return name.partition(b"\0")[0].decode("ascii", "replace")
    except (OSError, OverflowError, ValueError, struct.error):
        pass
    return ""


def _system_loader() -> str:
    for program in ("/bin/sh", "/usr/bin/env", "/bin/ls"):
        loader = elf_interpreter(program)
        if loader:
            return loader
    # Everything is static; a loader that lies about tells what other programs here would use.
    return next(_installed_loaders(), "")


def _installed_loaders() -> Iterator[str]:
    for folder in ("/lib", "/lib64"):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if name.startswith(("ld-linux", "ld-musl", "ld64.so")):
                yield f"{folder}/{name}"


def _glibc_version() -> str:
    try:
        answer = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError, AttributeError):
        return ""
    name, _, version = (answer or "").partition(" ")
    return version if name == "glibc" else ""


def _cpu_level() -> int:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            found = re.search(r"^flags\s*:(.*)$", file.read(65536), re.MULTILINE)
    except OSError:
        found = None
    if not found:
        return 0
    flags = set(found.group(1).split())
    level = 1
    while level + 1 in _LEVEL_FLAGS and _LEVEL_FLAGS[level + 1] <= flags:
        level += 1
    return level


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


__all__ = ["BuildKey", "Host", "Target", "elf_interpreter", "this_host"]
