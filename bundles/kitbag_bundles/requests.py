"""What a person writes to name builds: ``3.13``, ``3.14t``, ``>=3.11,<3.13``, ``pypy3.11``, a key.

The forms are those that uv's users know::

    3   3.13   3.13.5   3.14.0rc1   313        version, as far as it is given
    3.14t   3.13+debug   3.13+freethreaded     with a variant
    >=3.11,<3.13   ~=3.12   !=3.12.1   >=3.13t specifiers, all of which must hold
    cpython@3.12   pypy3.11   pypy@3.11   cp312   graalpy   pyodide
    cpython-3.13.5-linux-x86_64-gnu            a key
    cpython-3.13-linux   3.13-musl   any-linux parts of one, in its order; any leaves a part open
    latest   default   any
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS, BuildKey, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OS_ALIASES = {"darwin": "macos", "osx": "macos", "mac": "macos", "win": "windows"}
"""Other names of operating systems, and what they mean in keys."""

ARCH_ALIASES = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "arm64": "aarch64",
    "armv8": "aarch64",
    "i386": "x86",
    "i586": "x86",
    "i686": "x86",
    "armv7l": "armv7",
    "armhf": "armv7",
    "ppc64le": "powerpc64le",
    "ppc64el": "powerpc64le",
    "riscv64": "riscv64gc",
    "loong64": "loongarch64",
}
"""Other names of architectures."""

_OSES = ("linux", "macos", "windows", "emscripten")
_ARCH = re.compile(
    r"x86_64(_v[234])?|x86|aarch64|armv[5-7]|powerpc64(le)?|riscv64gc|s390x|loongarch64"
    r"|mips(64)?(el)?|wasm32",
    re.ASCII,
)
_LIBC = re.compile(r"(gnu|musl)(eabi(hf)?)?|none", re.ASCII)
_WORD = re.compile(r"[a-z0-9_]+", re.ASCII)
_SHORT_NAMES = {"cp": "cpython", "pp": "pypy", "gp": "graalpy", "python": "cpython"}
_NAME = re.compile(r"(cpython|python|pypy|graalpy|pyodide|cp|pp|gp)@?(?![a-z])", re.ASCII)
_RELEASE = re.compile(r"(\d{1,3})(?:\.(\d{1,3}))?(?:\.(\d{1,4}))?(?:(a|b|rc)(\d{1,4}))?", re.ASCII)
_COMPACT = re.compile(r"([23])(\d{1,2})", re.ASCII)
_SPECIFIER = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*([0-9][0-9a-z.]*?)(\.\*)?", re.ASCII)
_VARIANT_WORDS = {
    "t": "freethreaded",
    "d": "debug",
    "td": "freethreaded+debug",
    "": "",
    "gil": "",
    "gil+debug": "debug",
    "debug+freethreaded": "freethreaded+debug",
    **{variant: variant for variant in VARIANTS if variant},
}


class Specifier(NamedTuple):
    """One comparison of the version specification (PEP 440); ``wildcard`` is the ``.*``."""

    operator: str
    release: tuple[int, ...]
    prerelease: str
    wildcard: bool


@dataclass(frozen=True)
class Request:
    """A parsed request; a field that is empty, or ``None``, does not restrict.

    But for ``variant``: empty is the variant without a name, which a plain ``3.13`` means.
    """

    text: str
    implementation: str = ""
    release: tuple[int, ...] = ()
    prerelease: str = ""
    specifiers: tuple[Specifier, ...] = ()
    variant: str | None = ""
    os: str = ""
    arch: str = ""
    libc: str = ""
    latest: bool = False

    @classmethod
    def parse(cls, text: str) -> Request:
        """Read one request; raises :class:`UsageError` that shows the forms."""
        word = text.strip().lower()
        if word == "any":
            return cls(text, variant=None)
        if word in ("latest", "default"):
            return cls(text, implementation="cpython", latest=True)
        request = cls._parse_key(text, word) or cls._parse_short(text, word)
        if request is None:
            raise UsageError(
                f"{text!r} names no Python; write 3.13, 3.13.5, 3.14t, '>=3.11,<3.13', pypy3.11, "
                "graalpy or a key such as cpython-3.13.5-linux-x86_64-gnu"
            )
        return request

    @classmethod
    def _parse_key(cls, text: str, word: str) -> Request | None:
        parts = word.split("-")
        named = _NAME.match(parts[0])
        if named:
            # 'pypy3.11-linux' is short for 'pypy-3.11-linux'.
            rest = parts[0][named.end() :]
            name = _SHORT_NAMES.get(named.group(1), named.group(1))
            parts[:1] = [name, rest] if rest else [name]
        if "-" not in word or not 2 <= len(parts) <= len(_FIELDS):
            return None
        fields = dict.fromkeys(_FIELDS, "")
        fields["implementation"] = "cpython"
        whole = len(parts) == len(_FIELDS)
        names = list(_FIELDS)
        for part in parts:
            # What is left out is skipped; nothing is in a whole key, whose words may be new ones.
            while names and part != "any" and not _is_field(names[0], part, strict=not whole):
                names.pop(0)
                if whole:
                    return None
            if not names:
                return None
            fields[names.pop(0)] = "" if part == "any" else part
        version = _parse_version(fields["version"]) if fields["version"] else _ANY_VERSION
        if version is None:
            return None
        return cls(
            text,
            fields["implementation"],
            *version,
            os=OS_ALIASES.get(fields["os"], fields["os"]),
            arch=ARCH_ALIASES.get(fields["arch"], fields["arch"]),
            libc=fields["libc"],
        )

    @classmethod
    def _parse_short(cls, text: str, word: str) -> Request | None:
        named = _NAME.match(word)
        # A bare version means CPython.
        implementation = "cpython"
        if named:
            implementation = _SHORT_NAMES.get(named.group(1), named.group(1))
            word = word[named.end() :]
            if not word:
                return cls(text, implementation)
        version = _parse_version(word)
        return None if version is None else cls(text, implementation, *version)

    @property
    def names_patch(self) -> bool:
        """Whether the request asks for one exact version."""
        return len(self.release) == 3

    def admits(self, implementation: str, version: Version) -> bool:
        """Whether a build of this version may match, whatever its variant and target."""
        numbers = (version.major, version.minor, version.patch)
        return (
            self.implementation in ("", implementation)
            and numbers[: len(self.release)] == self.release
            and (not self.names_patch or self.prerelease == version.prerelease)
            and (not self.prerelease or self.prerelease == version.prerelease)
            and all(_holds(version, specifier) for specifier in self.specifiers)
        )

    def matches(self, key: BuildKey) -> bool:
        """Whether ``key`` is one of the builds asked for, prereleases included."""
        target = key.target
        return (
            self.admits(key.implementation, key.version)
            and self.variant in (None, key.variant)
            and self.os in ("", target.os)
            and self.arch in ("", target.arch)
            and self.libc in ("", target.libc)
        )

    def choose(self, keys: Iterable[BuildKey]) -> list[BuildKey]:
        """Those of ``keys`` that match; prereleases only if asked for or if nothing else matches.

        ``latest`` keeps the newest version alone.
        """
        found = [key for key in keys if self.matches(key)]
        asked = self.prerelease or any(
            each.prerelease and each.operator != "!=" for each in self.specifiers
        )
        final = [key for key in found if not key.version.prerelease]
        chosen = found if asked or not final else final
        if self.latest and chosen:
            newest = max(key.version for key in chosen)
            chosen = [key for key in chosen if key.version == newest]
        return chosen


class _Versions(NamedTuple):
    """The part of a request that says which versions; its fields are those of the request."""

    release: tuple[int, ...] = ()
    prerelease: str = ""
    specifiers: tuple[Specifier, ...] = ()
    variant: str = ""


_FIELDS = ("implementation", "version", "os", "arch", "libc")
_ANY_VERSION = _Versions()


def _is_field(name: str, part: str, *, strict: bool) -> bool:
    """Whether ``part`` of a key can be the field ``name``; not strictly, by its form alone."""
    if name == "implementation":
        return part in IMPLEMENTATIONS
    if name == "version":
        return _parse_version(part) is not None
    if not strict:
        return bool(_WORD.fullmatch(part))
    if name == "os":
        return part in _OSES or part in OS_ALIASES
    if name == "arch":
        return bool(_ARCH.fullmatch(part)) or part in ARCH_ALIASES
    return bool(_LIBC.fullmatch(part))


def _parse_version(word: str) -> _Versions | None:
    """Read versions with their variant: ``3.13``, ``3.14t``, ``>=3.11,<3.14+debug``."""
    number, plus, variant = word.partition("+")
    if not plus:
        number = word.rstrip("dt")
        variant = word[len(number) :]
    if variant not in _VARIANT_WORDS or bool(plus) > bool(variant):
        return None
    variant = _VARIANT_WORDS[variant]
    if number[:1] in tuple("<>=!~"):
        found = [_parse_specifier(part.strip()) for part in number.split(",")]
        specifiers = tuple(specifier for specifier in found if specifier is not None)
        if len(specifiers) != len(found):
            return None
        first = specifiers[0]
        if len(specifiers) == 1 and first.operator == "==" and not first.wildcard:
            # Alone it is a version as far as it is given, as uv has it.
            return _Versions(first.release, first.prerelease, variant=variant)
        return _Versions(specifiers=specifiers, variant=variant)
    release = _parse_release(number[1:] if number[:1] == "v" else number)
    return None if release is None else _Versions(*release, variant=variant)


def _parse_release(number: str) -> tuple[tuple[int, ...], str] | None:
    compact = _COMPACT.fullmatch(number)
    if compact:
        return (int(compact.group(1)), int(compact.group(2))), ""
    return _parse_numbers(number)


def _parse_numbers(number: str) -> tuple[tuple[int, ...], str] | None:
    found = _RELEASE.fullmatch(number)
    if not found:
        return None
    release = tuple(int(part) for part in found.groups()[:3] if part is not None)
    if found.group(4) and len(release) < 2:
        return None
    return release, f"{found.group(4)}{int(found.group(5))}" if found.group(4) else ""


def _parse_specifier(text: str) -> Specifier | None:
    found = _SPECIFIER.fullmatch(text)
    version = _parse_numbers(found.group(2)) if found else None
    if found is None or version is None:
        return None
    operator, wildcard = found.group(1), bool(found.group(3))
    release, prerelease = version
    if wildcard and (operator not in ("==", "!=") or prerelease):
        return None
    if operator == "~=" and len(release) < 2:
        return None
    return Specifier(operator, release, prerelease, wildcard)


def _holds(version: Version, specifier: Specifier) -> bool:
    """Whether ``version`` is within ``specifier``, for versions that Pythons have."""
    operator, release, prerelease, wildcard = specifier
    numbers = _numbers(version)
    if wildcard:
        return (numbers[: len(release)] == release) == (operator == "==")
    major, minor, patch = (*release, 0, 0)[:3]
    bound = Version(major, minor, patch, prerelease)
    if operator == "~=":
        return version >= bound and numbers[: len(release) - 1] == release[:-1]
    if operator == "<" and not prerelease and version.prerelease and numbers == _numbers(bound):
        # PEP 440: 3.13.0rc1 is not what "<3.13" asks for.
        return False
    return {
        "==": version == bound,
        "!=": version != bound,
        ">=": version >= bound,
        "<=": version <= bound,
        ">": version > bound,
        "<": version < bound,
    }[operator]


def _numbers(version: Version) -> tuple[int, int, int]:
    return (version.major, version.minor, version.patch)


def parse_requests(texts: Sequence[str]) -> tuple[Request, ...]:
    """Parse every request, so that one bad word stops the command before anything is done."""
    return tuple(Request.parse(text) for text in texts)
