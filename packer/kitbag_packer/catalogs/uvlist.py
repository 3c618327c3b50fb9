"""Lists in the format of uv's ``download-metadata.json``, read as tolerantly as uv reads them.

The keys of the object are ignored, and so are unknown fields and entries of kinds that are not
known here. Field names differ from those of keys in four places: ``darwin`` is macos, ``i686`` is
x86, ``riscv64`` is riscv64gc, and CPython for ``emscripten`` is pyodide. One field more than uv's
is read: ``size``, in bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kitbag_bundles.keys import VARIANTS, BuildKey, Target, Version
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.catalogs.naming import (
    NameReader,
    canonical_address,
    digest_of,
    filename_of,
    is_address,
    is_unchecked_local,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_packer.catalogs.model import Interest

_RELEASE = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}", re.ASCII)
_OSES = {"linux": "linux", "darwin": "macos", "macos": "macos", "windows": "windows",
         "emscripten": "emscripten"}  # fmt: skip
_ARCHES = {
    **{name: name for name in (
        "aarch64", "armv5tel", "armv6", "armv6l", "armv7", "armv7l", "loongarch64", "mips",
        "mipsel", "powerpc64", "powerpc64le", "riscv64gc", "s390x", "wasm32", "x86", "x86_64",
    )},
    "i686": "x86",
    "riscv64": "riscv64gc",
}  # fmt: skip
_LIBCS = frozenset(("gnu", "gnueabi", "gnueabihf", "musl", "musleabi", "musleabihf", "none"))
_LEVELS = {"v2": "_v2", "v3": "_v3", "v4": "_v4"}
_NAMES = frozenset(("cpython", "pypy", "graalpy"))


class UvListCatalog:
    """One list."""

    def __init__(
        self,
        table: Mapping[str, Any],
        *,
        name: str,
        digest: str,
        date: str = "",
        remote: bool = False,
    ) -> None:
        """``remote``: it came from the network, so what it says of this machine is checked."""
        self._remote = remote
        self.name = name
        self.digest = digest
        self.date = date
        self._table = table
        self._names = NameReader()

    def offers(self, interest: Interest) -> Iterator[Offer]:
        """The archives of interest; an entry that uv would skip is skipped."""
        wanted: dict[tuple[str, Version], bool] = {}
        targets: dict[tuple[Any, ...], Target | None] = {}
        for entry in self._table.values():
            if not isinstance(entry, dict):
                continue
            implementation, version = _implementation(entry), self._version(entry)
            if not implementation or version is None:
                continue
            build = (implementation, version)
            if build not in wanted:
                wanted[build] = interest.in_version(*build)
            if not wanted[build]:
                continue
            target = _target(entry, targets)
            if target is None or (interest.targets is not None and target not in interest.targets):
                continue
            offer = self._offer(entry, implementation, version, target)
            if offer is not None:
                yield offer

    def _version(self, entry: dict[str, Any]) -> Version | None:
        numbers = (entry.get("major"), entry.get("minor"), entry.get("patch"))
        prerelease = entry.get("prerelease") or ""
        if any(type(number) is not int or number < 0 for number in numbers):
            return None
        if not isinstance(prerelease, str):
            return None
        return self._names.version("{}.{}.{}".format(*numbers) + prerelease)

    def _offer(
        self, entry: dict[str, Any], implementation: str, version: Version, target: Target
    ) -> Offer | None:
        url, variant, build = entry.get("url"), entry.get("variant"), entry.get("build")
        variant = variant or ""
        if variant not in VARIANTS or not isinstance(url, str) or not is_address(url):
            return None
        filename, sha256 = filename_of(url), digest_of(entry.get("sha256"))
        if not filename or (self._remote and is_unchecked_local(url, sha256)):
            return None
        try:
            canonical = canonical_address(url, filename)
        except ValueError:
            return None
        name = self._names.read(filename)
        if name is not None and name.implementation != implementation:
            name = None
        # It is shown, and goes into manifests and locks.
        release = build if isinstance(build, str) and _RELEASE.fullmatch(build) else ""
        return Offer(
            key=BuildKey(implementation, version, variant, target),
            filename=filename,
            url=url,
            canonical=canonical,
            sha256=sha256,
            size=size_of(entry.get("size")),
            flavor=name.flavor if name else "",
            release=release or (name.release if name else ""),
            options=name.options if name else (),
            catalog=self.name,
        )


def is_entry(value: object) -> bool:
    """Whether ``value`` looks like an entry of such a list, of whatever kind."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("url"), str)
    )


def _implementation(entry: dict[str, Any]) -> str:
    name = entry.get("name")
    if name == "cpython" and entry.get("os") == "emscripten":
        return "pyodide"
    return name if isinstance(name, str) and name in _NAMES else ""


def _target(entry: dict[str, Any], known: dict[tuple[Any, ...], Target | None]) -> Target | None:
    arch = entry.get("arch")
    if not isinstance(arch, dict):
        return None
    words = (entry.get("os"), arch.get("family"), arch.get("variant"), entry.get("libc"))
    if not all(word is None or isinstance(word, str) for word in words):
        return None
    if words not in known:
        known[words] = _make_target(*words)
    return known[words]


def _make_target(
    os: str | None, family: str | None, level: str | None, libc: str | None
) -> Target | None:
    system, arch = _OSES.get(os or ""), _ARCHES.get(family or "")
    if system is None or arch is None or libc not in _LIBCS:
        return None
    if level:
        if arch != "x86_64" or level not in _LEVELS:
            return None
        arch += _LEVELS[level]
    return Target(system, arch, libc)
