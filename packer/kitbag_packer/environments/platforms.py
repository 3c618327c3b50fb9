"""What wheels fit a build and what markers say about it, without an interpreter to ask.

What a plain target stands for is what ``uv`` (0.13) means by ``--python-platform``, so that both
choose the same files: glibc 2.28 (2.39 on RISC-V), musl 1.2, macOS 13. Tags are those of
https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/, markers those of
https://packaging.python.org/en/latest/specifications/dependency-specifiers/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from packaging import tags
from packaging.markers import Environment, Marker, UndefinedComparison, UndefinedEnvironmentName

from kitbag_bundles.errors import NoMatch, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.tags import Tag

    from kitbag_bundles.keys import Target
    from kitbag_packer.environments.model import For

__all__ = ["MACOS", "MUSL", "Platform", "default_glibc"]

MUSL = 2
"""Wheels for musl are chosen for 1.2, which Alpine has had since 3.13."""

MACOS = (13, 0)
"""What wheels for macOS are chosen for."""

_GLIBC = 28
_MACHINES = {
    "x86": "i686",
    "armv7": "armv7l",
    "powerpc64le": "ppc64le",
    "riscv64gc": "riscv64",
    "mipsel": "mips",
}
"""What ``uname -m`` says, where it is not the target's own word."""

_FIRST_GLIBC = {
    "x86_64": 5,
    "i686": 5,
    "aarch64": 17,
    "armv7l": 17,
    "ppc64le": 17,
    "s390x": 17,
    "riscv64": 31,
    "loongarch64": 36,
}
"""The least glibc that wheels of each machine are made for."""

_LATE_GLIBC = {"riscv64": 39, "loongarch64": 38}
"""What takes the place of 2.28 where first wheels came later than that."""

_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_WINDOWS = {"x86": "win32", "x86_64": "win_amd64", "aarch64": "win_arm64"}
_WINDOWS_MACHINES = {"x86": "x86", "x86_64": "AMD64", "aarch64": "ARM64"}
_SOFT_FLOAT = ("gnueabi", "musleabi")
"""No manylinux and no musllinux is for these: PEP 599 is for hard float."""

_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}
"""What ``platform.python_implementation()`` says."""

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?((?:a|b|rc)\d{1,4})?", re.ASCII)
_GLIBC_VERSION = re.compile(r"2\.(\d{1,3})", re.ASCII)
_OPERAND = r"""(?:"[^"]*"|'[^']*'|[A-Za-z_.]+)"""
_COMPARISON = re.compile(rf"({_OPERAND})\s*(?:not\s+in\b|in\b|[<>=!~]+)\s*({_OPERAND})")
_TRUE = 'os_name != ""'
_FALSE = 'os_name == ""'


@dataclass(frozen=True)
class Platform:
    """What can be said of an interpreter that is not here."""

    made_for: For
    tags: tuple[Tag, ...]
    """What it takes, best first."""
    markers: Environment
    """Every marker's value; empty text for the ``unknown`` ones."""
    unknown: frozenset[str]
    """Markers whose values only the target itself knows."""
    glibc: str = ""
    """The glibc that wheels are chosen for, ``2.28``; empty where there is none."""

    @classmethod
    def of(cls, made_for: For, glibc: str = "", release: str = "") -> Platform:
        """The platform of what an environment is made for.

        ``glibc`` is another one than the target's usual (:func:`default_glibc`), for Linux with
        glibc; others don't look at it. ``release`` is that of PyPy or GraalPy itself (``7.3.19``);
        without it no wheel that is compiled for GraalPy fits.

        Raises :class:`UsageError` for Pyodide, which takes no wheels of other systems and makes no
        virtual environment, and for what is no version.
        """
        if made_for.implementation not in _IMPLEMENTATIONS:
            name = made_for.implementation.capitalize()
            raise UsageError(
                f"{name} takes no packages along: it has no virtual environments and its own kind "
                "of wheels; ask for the environment with CPython, PyPy or GraalPy"
            )
        found = _VERSION.fullmatch(made_for.version)
        if not found:
            raise UsageError(f"{made_for.version!r} is no version of Python such as 3.13 or 3.13.5")
        version = (int(found[1]), int(found[2]))
        level = _glibc(made_for.target, glibc)
        return cls(
            made_for=made_for,
            tags=tuple(_tags(made_for, version, release, list(_platforms(made_for.target, level)))),
            markers=_markers(made_for, version, f"{found[3] or 0}{found[4] or ''}", release),
            unknown=frozenset(_unknown(made_for, release)),
            glibc=f"2.{level}" if level is not None else "",
        )

    def holds(
        self,
        marker: Marker,
        extras: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> bool:
        """Whether a marker of a lock holds there.

        Raises :class:`NoMatch` if it depends on what only the target itself knows, or makes no
        sense.
        """
        values = cast(
            "Mapping[str, str | frozenset[str]]",
            {**self.markers, "extras": frozenset(extras), "dependency_groups": frozenset(groups)},
        )
        # Markers know no 'not': with every unknown comparison true, then false, all is covered.
        try:
            answers = {
                self._with_unknown(marker, word).evaluate(values, context="lock_file")
                for word in (_TRUE, _FALSE)
            }
        except (UndefinedComparison, UndefinedEnvironmentName) as error:
            what = f"{error}".strip("'\"")
            raise NoMatch(f"the marker {str(marker)!r} can't be evaluated: {what}") from None
        if len(answers) > 1:
            names = sorted(name for name in self.unknown if name in str(marker))
            raise NoMatch(
                f"the marker {str(marker)!r} can't be evaluated for {self.made_for.target}: only "
                f"the machine itself knows its {' and '.join(names)}"
            )
        return answers.pop()

    def _with_unknown(self, marker: Marker, word: str) -> Marker:
        """``marker`` with ``word`` in place of each comparison that has an unknown value."""

        def replaced(comparison: re.Match[str]) -> str:
            return word if self.unknown.intersection(comparison.groups()) else comparison[0]

        return Marker(_COMPARISON.sub(replaced, str(marker)))

    def __str__(self) -> str:
        made_for = self.made_for
        plus = f"+{made_for.variant}" if made_for.variant else ""
        return f"{made_for.implementation} {made_for.version}{plus} on {made_for.target}"


def default_glibc(target: Target) -> str:
    """The glibc that wheels are chosen for where nothing else is asked; empty without glibc."""
    level = _glibc(target, "")
    return "" if level is None else f"2.{level}"


def _glibc(target: Target, wanted: str) -> int | None:
    if target.os != "linux" or not target.libc.startswith("gnu"):
        return None
    if not wanted:
        return _LATE_GLIBC.get(_machine(target), _GLIBC)
    found = _GLIBC_VERSION.fullmatch(wanted)
    if not found:
        raise UsageError(f"{wanted!r} is no version of glibc; write one such as 2.17")
    return int(found[1])


def _machine(target: Target) -> str:
    if target.os == "windows":
        return _WINDOWS_MACHINES[target.cpu]
    if target.os == "macos":
        return "arm64" if target.cpu == "aarch64" else target.cpu
    return _MACHINES.get(target.cpu, target.cpu)


def _platforms(target: Target, glibc: int | None) -> Iterator[str]:
    """The platform tags of a target, best first."""
    machine = _machine(target)
    if target.os == "windows":
        yield _WINDOWS[target.cpu]
    elif target.os == "macos":
        yield from tags.mac_platforms(MACOS, machine)
    elif target.libc in _SOFT_FLOAT:
        yield f"linux_{machine}"
    elif glibc is None:
        yield from (f"musllinux_1_{minor}_{machine}" for minor in range(MUSL, -1, -1))
        yield f"linux_{machine}"
    else:
        for minor in range(glibc, _FIRST_GLIBC.get(machine, glibc + 1) - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
        yield f"linux_{machine}"


def _tags(
    made_for: For, version: tuple[int, int], release: str, platforms: list[str]
) -> Iterator[Tag]:
    nodot = "".join(map(str, version))
    if made_for.implementation == "cpython":
        yield from tags.cpython_tags(version, _cpython_abis(made_for.variant, version), platforms)
        yield from tags.compatible_tags(version, f"cp{nodot}", platforms)
    elif made_for.implementation == "pypy":
        # Every PyPy since 2019 has this ABI.
        yield from tags.generic_tags(f"pp{nodot}", [f"pypy{nodot}_pp73"], platforms)
        yield from tags.compatible_tags(version, "pp3", platforms)
    else:
        numbers = re.match(r"(\d+)\.(\d+)", release, re.ASCII)
        abis = [f"graalpy{numbers[1]}{numbers[2]}_{nodot}_native"] if numbers else []
        yield from tags.generic_tags(f"graalpy{nodot}", abis, platforms)
        yield from tags.compatible_tags(version, None, platforms)


def _cpython_abis(variant: str, version: tuple[int, int]) -> list[str]:
    nodot = "".join(map(str, version))
    free = "t" if variant.startswith("freethreaded") else ""
    debug = "d" if variant.endswith("debug") else ""
    if version < (3, 8):
        return [f"cp{nodot}{debug}m"]
    plain = f"cp{nodot}{free}"
    return [f"{plain}d", plain] if debug else [plain]


def _markers(made_for: For, version: tuple[int, int], rest: str, release: str) -> Environment:
    target = made_for.target
    full = f"{version[0]}.{version[1]}.{rest}"
    own = {"cpython": full, "pypy": release}.get(made_for.implementation, "")
    system, platform = {
        "windows": ("Windows", "win32"),
        "macos": ("Darwin", "darwin"),
    }.get(target.os, ("Linux", "linux"))
    return {
        "implementation_name": made_for.implementation,
        "implementation_version": own,
        "os_name": "nt" if target.os == "windows" else "posix",
        "platform_machine": _machine(target),
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": full,
        "platform_python_implementation": _IMPLEMENTATIONS[made_for.implementation],
        "python_version": f"{version[0]}.{version[1]}",
        "sys_platform": platform,
    }


def _unknown(made_for: For, release: str) -> Iterator[str]:
    yield from ("platform_release", "platform_version")
    # GraalPy has told its own release here, and Python's, at different times.
    if made_for.implementation == "graalpy" or (made_for.implementation == "pypy" and not release):
        yield "implementation_version"
