"""What a person writes to name builds: ``3.13``, ``3.14t``, ``>=3.11,<3.13``, ``pypy3.11``, a key.

The forms are those that uv's users know::

    3   3.13   3.13.5   3.14.0rc1   313        version, as far as it is given
    3.14t   3.13+debug   3.13+freethreaded     with a variant
    >=3.11,<3.13   ~=3.12   !=3.12.1           specifiers, all of which must hold
    cpython@3.12   pypy3.11   pypy@3.11   cp312   graalpy   pyodide
    cpython-3.13-linux-x86_64   cpython-3.13.5-linux-x86_64-gnu   a key, whole or in part; any
    latest   any
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS, BuildKey, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHORT_NAMES = {"cp": "cpython", "pp": "pypy", "python": "cpython"}
_NAME = re.compile(r"(cpython|python|pypy|graalpy|pyodide|cp|pp)@?(?![a-z])", re.ASCII)
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
        if len(parts) < 2 or (parts[0] not in IMPLEMENTATIONS and parts[0] != "any"):
            return None
        parts += ["any"] * (5 - len(parts))
        number, plus, variant = parts[1].partition("+")
        restricted = [("" if part == "any" else part) for part in parts]
        version = ((), "") if number == "any" else _parse_release(number)
        if len(parts) != 5 or not all(parts) or version is None:
            return None
        if variant not in _VARIANT_WORDS or bool(plus) != bool(variant):
            return None
        return cls(
            text,
            restricted[0],
            *version,
            variant=_VARIANT_WORDS[variant],
            os=restricted[2],
            arch=restricted[3],
            libc=restricted[4],
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
            return cls(text, implementation) if named else None
        if word[0] in "<>=!~":
            specifiers = [_parse_specifier(part.strip()) for part in word.split(",")]
            known = tuple(specifier for specifier in specifiers if specifier is not None)
            if len(known) != len(specifiers):
                return None
            return cls(text, implementation, specifiers=known)
        number, plus, variant = word.partition("+")
        if not plus:
            number = word.rstrip("dt")
            variant = word[len(number) :]
        version = _parse_release(number)
        if version is None or variant not in _VARIANT_WORDS or (plus and not variant):
            return None
        return cls(text, implementation, *version, variant=_VARIANT_WORDS[variant])

    @property
    def names_patch(self) -> bool:
        """Whether the request asks for one exact version."""
        return len(self.release) == 3

    def matches(self, key: BuildKey) -> bool:
        """Whether ``key`` is one of the builds asked for, prereleases included."""
        version = key.version
        numbers = (version.major, version.minor, version.patch)
        target = key.target
        return (
            self.implementation in ("", key.implementation)
            and numbers[: len(self.release)] == self.release
            and (not self.names_patch or self.prerelease == version.prerelease)
            and (not self.prerelease or self.prerelease == version.prerelease)
            and all(_holds(version, specifier) for specifier in self.specifiers)
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
        asked = self.prerelease or any(each.prerelease for each in self.specifiers)
        final = [key for key in found if not key.version.prerelease]
        chosen = found if asked or not final else final
        if self.latest and chosen:
            newest = max(key.version for key in chosen)
            chosen = [key for key in chosen if key.version == newest]
        return chosen


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
