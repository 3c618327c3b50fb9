"""What the file name of an upstream archive says about the build inside.

Understood are the names of python-build-standalone from 2019 until today, of PyPy, GraalPy and
Pyodide, and of the archives that kitbag makes itself. ``docs/reference/archives.md`` lists them
all. A name is a claim and nothing more: :mod:`kitbag_packer.inspection` holds it against the tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kitbag_bundles.archives import archive_suffix
from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey, Target, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["TRIPLES", "UpstreamName", "parse_filename", "parse_triple", "triple"]

_WINDOWS = {
    "i686-pc-windows-msvc": "windows-x86-none",
    "x86_64-pc-windows-msvc": "windows-x86_64-none",
    "aarch64-pc-windows-msvc": "windows-aarch64-none",
}
_MACOS = {
    "aarch64-apple-darwin": "macos-aarch64-none",
    "x86_64-apple-darwin": "macos-x86_64-none",
}
_LINUX_ARCHES = {
    "x86_64": "x86_64",
    "x86_64_v2": "x86_64_v2",
    "x86_64_v3": "x86_64_v3",
    "x86_64_v4": "x86_64_v4",
    "i686": "x86",
    "aarch64": "aarch64",
    "ppc64le": "powerpc64le",
    "s390x": "s390x",
    "riscv64": "riscv64gc",
    "loongarch64": "loongarch64",
    "mips": "mips",
    "mipsel": "mipsel",
}
_ARM = {
    f"armv7-unknown-linux-{libc}": f"linux-armv7-{libc}"
    for libc in ("gnueabi", "gnueabihf", "musleabi", "musleabihf")
}

TRIPLES: Mapping[str, Target] = {
    name: Target.parse(text)
    for name, text in (
        _MACOS
        | _WINDOWS
        | _ARM
        | {
            f"{arch}-unknown-linux-{libc}": f"linux-{ours}-{libc}"
            for arch, ours in _LINUX_ARCHES.items()
            for libc in ("gnu", "musl")
        }
    ).items()
}
"""The triples in file names of CPython, and the targets that they mean."""

_OLD_PLATFORMS = {
    "linux64": "x86_64-unknown-linux-gnu",
    "linux64-musl": "x86_64-unknown-linux-musl",
    "macos": "x86_64-apple-darwin",
    "windows-amd64": "x86_64-pc-windows-msvc",
    "windows-x86": "i686-pc-windows-msvc",
}
"""What python-build-standalone wrote instead of triples until the spring of 2020."""

_PYPY_PLATFORMS = {
    "linux64": "linux-x86_64-gnu",
    "linux32": "linux-x86-gnu",
    "aarch64": "linux-aarch64-gnu",
    "aarch64-portable": "linux-aarch64-gnu",
    "s390x": "linux-s390x-gnu",
    "ppc64le": "linux-powerpc64le-gnu",
    "osx64": "macos-x86_64-none",
    "macos_x86_64": "macos-x86_64-none",
    "macos_arm64": "macos-aarch64-none",
    "win32": "windows-x86-none",
    "win64": "windows-x86_64-none",
}
_GRAALPY_ARCHES = {"amd64": "x86_64", "aarch64": "aarch64"}
_EMSCRIPTEN = Target("emscripten", "wasm32", "musl")

_BUILD_OPTIONS = frozenset(
    ("freethreaded", "debug", "pgo", "lto", "bolt", "noopt", "static", "shared")
)
_FLAVORS = frozenset(("install_only", "install_only_stripped", "full"))

_CACHE_PREFIX = re.compile(r"[0-9a-f]{9}-(?=cpython-|pypy|graalpy|xbuildenv-|pyodide-)")
_STAMP = re.compile(r"\d{8}(?:T\d{4})?", re.ASCII)
_CPYTHON = re.compile(
    r"cpython-(?P<version>\d{1,3}\.\d{1,3}\.\d{1,4}(?:(?:a|b|rc)\d{1,4})?)"
    r"(?:[+-](?P<release>\d{8}(?:T\d{4})?|rerooted))?-(?P<rest>.+)",
    re.ASCII,
)
_PYPY = re.compile(
    r"pypy(?P<minor>\d{1,3}\.\d{1,3})-v(?P<release>\d+\.\d+\.\d+(?:rc\d+)?)-(?P<platform>[a-z0-9_-]+)",
    re.ASCII,
)
_GRAALPY = re.compile(
    r"graalpy(?P<minor>\d{1,3}\.\d{1,3})?(?P<community>-community)?(?P<jvm>-jvm)?"
    r"-(?P<release>\d+(?:\.\d+){1,4})-(?P<os>linux|macos|windows)-(?P<arch>[a-z0-9]+)",
    re.ASCII,
)
_PYODIDE = re.compile(
    r"(?P<kind>xbuildenv|pyodide-core|pyodide)-(?P<release>\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)",
    re.ASCII,
)
_PYODIDE_FLAVORS = {"xbuildenv": "xbuildenv", "pyodide-core": "core", "pyodide": "full"}


@dataclass(frozen=True)
class UpstreamName:
    """What one file name says.

    ``version`` is ``None`` where only the inside of the archive knows it: PyPy's name has the
    minor version alone, GraalPy's and Pyodide's often not even that. ``minor`` is ``"3.11"``, or
    empty when it is unknown too.
    """

    implementation: str
    version: Version | None
    minor: str
    variant: str
    target: Target
    release: str
    """The release tag, such as ``20260101`` or ``7.3.19``; empty for an archive of our own."""
    flavor: str
    """``install_only_stripped``, ``install_only``, ``full``, ``rerooted``, ``community``, …"""
    options: tuple[str, ...]
    """Build options beside the variant, sorted: ``lto``, ``pgo``, ``noopt``, ``static``, …"""
    suffix: str
    """The form of the archive, such as ``.tar.gz``."""

    @property
    def key(self) -> BuildKey | None:
        """The key of the build, or ``None`` when the version comes from the inside."""
        return None if self.version is None else self.with_version(self.version)

    @property
    def static(self) -> bool:
        """Whether it is linked statically: such a build cannot load extension modules."""
        return "static" in self.options

    def with_version(self, version: Version) -> BuildKey:
        """The key of the build once its full version is known."""
        return BuildKey(self.implementation, version, self.variant, self.target)

    def admits(self, version: Version) -> bool:
        """Whether the name leaves room for a build of this version."""
        if self.version is not None:
            return version == self.version
        return self.minor in ("", version.minor_text)


def parse_filename(name: str) -> UpstreamName | None:
    """Read the name of an archive, or return ``None`` for one that tells nothing.

    ``name`` may be the last part of a URL (``%2B`` for ``+``) or a file of uv's archive cache
    (nine hex digits in front, ``-`` for ``+``). Case matters; folders in front are not expected.
    """
    plain = unquote(name)
    suffix = archive_suffix(plain)
    if not suffix or not plain.endswith(suffix):
        return None
    stem = plain.removesuffix(suffix)
    stem = stem[10:] if _CACHE_PREFIX.match(stem) else stem
    for read in (_read_cpython, _read_pypy, _read_graalpy, _read_pyodide):
        found = read(stem, suffix)
        if found:
            return found
    return None


def parse_triple(text: str) -> Target | None:
    """The target of a triple such as ``x86_64_v3-unknown-linux-gnu``; ``None`` if unknown."""
    return TRIPLES.get(text)


def triple(target: Target) -> str:
    """The triple in the file name of a CPython build for ``target``.

    Raises :class:`UsageError` for a target that CPython archives have no name for.
    """
    for name, known in TRIPLES.items():
        if known == target:
            return name
    raise UsageError(f"{target} is not a target that an archive of CPython can be named for")


def _read_cpython(stem: str, suffix: str) -> UpstreamName | None:
    found = _CPYTHON.fullmatch(stem)
    if not found:
        return None
    platform, words = _split_platform(found["rest"])
    if platform is None:
        return None
    release = found["release"] or ""
    if not release and words and _STAMP.fullmatch(words[-1]):
        release = words.pop()
    options = [word for word in words if word in _BUILD_OPTIONS]
    flavors = [word for word in words if word in _FLAVORS]
    if len(flavors) > 1 or len(set(options)) + len(flavors) != len(words):
        return None
    flavor = flavors[0] if flavors else "full"
    if release == "rerooted":
        if flavor != "install_only":
            return None
        release, flavor = "", "rerooted"
    version = Version.parse(found["version"])
    return UpstreamName(
        implementation="cpython",
        version=version,
        minor=version.minor_text,
        variant=_variant(options),
        target=platform,
        release=release,
        flavor=flavor,
        options=tuple(sorted(set(options) - {"freethreaded", "debug"})),
        suffix=suffix,
    )


def _split_platform(rest: str) -> tuple[Target | None, list[str]]:
    """Take the platform off the front; what follows comes back as words."""
    names = [name for name in (*TRIPLES, *_OLD_PLATFORMS) if f"{rest}-".startswith(f"{name}-")]
    if not names:
        return None, []
    platform = max(names, key=len)
    words = re.split(r"[+-]", rest[len(platform) + 1 :]) if len(rest) > len(platform) else []
    return TRIPLES[_OLD_PLATFORMS.get(platform, platform)], words


def _variant(options: Iterable[str]) -> str:
    return "+".join(word for word in ("freethreaded", "debug") if word in options)


def _read_pypy(stem: str, suffix: str) -> UpstreamName | None:
    found = _PYPY.fullmatch(stem)
    platform = _PYPY_PLATFORMS.get(found["platform"]) if found else None
    if not found or not platform:
        return None
    return UpstreamName(
        implementation="pypy",
        version=None,
        minor=found["minor"],
        variant="",
        target=Target.parse(platform),
        release=found["release"],
        flavor="portable" if found["platform"].endswith("-portable") else "",
        options=(),
        suffix=suffix,
    )


def _read_graalpy(stem: str, suffix: str) -> UpstreamName | None:
    found = _GRAALPY.fullmatch(stem)
    arch = _GRAALPY_ARCHES.get(found["arch"]) if found else None
    if not found or not arch:
        return None
    return UpstreamName(
        implementation="graalpy",
        version=None,
        minor=found["minor"] or "",
        variant="",
        target=Target(found["os"], arch, "gnu" if found["os"] == "linux" else "none"),
        release=found["release"],
        flavor=("community" if found["community"] else "oracle") + (found["jvm"] or ""),
        options=(),
        suffix=suffix,
    )


def _read_pyodide(stem: str, suffix: str) -> UpstreamName | None:
    found = _PYODIDE.fullmatch(stem)
    if not found:
        return None
    # The package of the npm registry has the plain name too, but always ends in .tgz.
    flavor = "npm" if suffix == ".tgz" else _PYODIDE_FLAVORS[found["kind"]]
    return UpstreamName(
        implementation="pyodide",
        version=None,
        minor="",
        variant="",
        target=_EMSCRIPTEN,
        release=found["release"],
        flavor=flavor,
        options=(),
        suffix=suffix,
    )
