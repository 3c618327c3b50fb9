"""The key of a build: implementation, version, variant and target in one line of text.

The grammar is the one that uv uses for the directories below its root, so that both tools
recognise each other's installs::

    <implementation>-<version>[+<variant>]-<os>-<arch>-<libc>
    cpython-3.13.5+freethreaded-linux-x86_64-gnu
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from kitbag_bundles.errors import UsageError

IMPLEMENTATIONS = ("cpython", "pypy", "graalpy", "pyodide")
VARIANTS = ("", "debug", "freethreaded", "freethreaded+debug")

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,4})(?:(a|b|rc)(\d{1,4}))?", re.ASCII)
_WORD = re.compile(r"[a-z0-9_]+", re.ASCII)
_PRE_RANK = {"a": 0, "b": 1, "rc": 2}
_SHORT_VARIANTS = {"t": "freethreaded", "d": "debug", "td": "freethreaded+debug"}
_ABI_FLAGS = {long: short for short, long in _SHORT_VARIANTS.items()}


@total_ordering
@dataclass(frozen=True)
class Version:
    """A full Python version, ``X.Y.Z`` with an optional ``aN``, ``bN`` or ``rcN``."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read ``3.13.5`` or ``3.14.0rc1``; raises :class:`UsageError`."""
        found = _VERSION.fullmatch(text)
        if not found:
            raise UsageError(f"{text!r} is not a full Python version such as 3.13.5 or 3.14.0rc1")
        major, minor, patch, phase, number = found.groups()
        prerelease = f"{phase}{int(number)}" if phase else ""
        return cls(int(major), int(minor), int(patch), prerelease)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{self.prerelease}"

    def __lt__(self, other: Version) -> bool:
        return self._rank() < other._rank()

    def _rank(self) -> tuple[int, int, int, int, int]:
        phase = self.prerelease.rstrip("0123456789")
        number = int(self.prerelease[len(phase) :] or 0)
        return (self.major, self.minor, self.patch, _PRE_RANK.get(phase, 3), number)

    @property
    def minor_text(self) -> str:
        """The version without its patch, ``3.13``."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class Target:
    """What a build runs on: ``linux-x86_64-gnu``, ``macos-aarch64-none``, …

    ``arch`` carries a CPU level where there is one: ``x86_64_v3``.
    """

    os: str
    arch: str
    libc: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``<os>-<arch>[-<libc>]``; raises :class:`UsageError`.

        The libc may be left out where there is only one: ``windows-x86_64``.
        """
        parts = text.split("-")
        if len(parts) == 2 and parts[0] in ("macos", "windows"):
            parts.append("none")
        if len(parts) != 3 or not all(_WORD.fullmatch(part) for part in parts):
            raise UsageError(f"{text!r} is not a target such as linux-x86_64-gnu")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.os}-{self.arch}-{self.libc}"

    @property
    def cpu(self) -> str:
        """The architecture without its level: ``x86_64`` of ``x86_64_v3``."""
        return self.arch[:-3] if self.cpu_level > 1 else self.arch

    @property
    def cpu_level(self) -> int:
        """The x86-64 level, 1 to 4; 1 for everything that has no levels."""
        found = re.fullmatch(r"x86_64_v([234])", self.arch)
        return int(found.group(1)) if found else 1


@dataclass(frozen=True)
class BuildKey:
    """One Python runtime for one target."""

    implementation: str
    version: Version
    variant: str
    target: Target

    @classmethod
    def parse(cls, text: str) -> BuildKey:
        """Read a full key; raises :class:`UsageError` that says what a key looks like."""
        key = cls.try_parse(text)
        if key is None:
            raise UsageError(
                f"{text!r} is not a build key such as cpython-3.13.5-linux-x86_64-gnu"
                " or cpython-3.13.5+freethreaded-linux-x86_64-gnu"
            )
        return key

    @classmethod
    def try_parse(cls, text: str) -> BuildKey | None:
        """Read a full key, or return ``None`` for any other text."""
        parts = text.split("-")
        if len(parts) != 5 or parts[0] not in IMPLEMENTATIONS:
            return None
        number, plus, variant = parts[1].partition("+")
        variant = _SHORT_VARIANTS.get(variant, variant)
        if not _VERSION.fullmatch(number) or variant not in VARIANTS or bool(plus) != bool(variant):
            return None
        if not all(_WORD.fullmatch(part) for part in parts[2:]):
            return None
        return cls(parts[0], Version.parse(number), variant, Target(*parts[2:]))

    def __str__(self) -> str:
        plus = f"+{self.variant}" if self.variant else ""
        return f"{self.implementation}-{self.version}{plus}-{self.target}"

    @property
    def minor_key(self) -> str:
        """The key without patch and prerelease: the name of the minor-version link."""
        plus = f"+{self.variant}" if self.variant else ""
        return f"{self.implementation}-{self.version.minor_text}{plus}-{self.target}"

    @property
    def abi_flags(self) -> str:
        """The suffix of the executable's name: ``""``, ``t``, ``d`` or ``td``."""
        return _ABI_FLAGS.get(self.variant, "")

    @property
    def free_threaded(self) -> bool:
        """Whether this is a build without the global interpreter lock."""
        return self.variant.startswith("freethreaded")

    def order(self) -> tuple[int, Version, int, str]:
        """A sort key: implementation, version, variant, target, in uv's order of preference."""
        return (
            IMPLEMENTATIONS.index(self.implementation),
            self.version,
            VARIANTS.index(self.variant),
            str(self.target),
        )
