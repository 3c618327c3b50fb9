"""Which builds of a bundle can start its installer on a bare target, and decode what is for it.

This is the one definition: the shell header offers what :func:`starters` names, in that order, and
the packer proves with :func:`shortfall` that nothing is missing. Pure functions of what the
manifest says; before an archive has arrived, of what its name and its catalog say.

A shell unpacks ``.tar.gz`` alone, with the ``tar`` and ``gzip`` that every system has. What the
started Python can decode follows from the standard library that its publisher builds: gzip, bz2
and xz always, zstd from 3.14 on (``compression.zstd``), 7z never. An installed Python that was
taken from a machine borrows its bz2 and lzma libraries from there, so these do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_bundles.archives import archive_suffix
from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.keys import IMPLEMENTATIONS, BuildKey, Target, Version
from kitbag_packer.upstream import parse_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kitbag_bundles.manifest import Build
    from kitbag_packer.catalogs.model import Offer

__all__ = ["Runtime", "Shortfall", "can_start", "decodes", "runs_on", "shortfall", "starters"]

OLDEST = Version(3, 9, 0)
"""What ``kitbag.pyz`` runs on."""
OLDEST_WITH_ZSTD = Version(3, 14, 0)

_STARTING_FORMS = (".tar.gz", ".tgz")
_EVERYWHERE = frozenset((".tar.gz", ".tgz", ".zip"))
_FROM_LIBRARIES = frozenset((".tar.bz2", ".tar.xz"))
_ZSTD = ".tar.zst"
_HIGHEST = {"x86_64": "x86_64_v4"}
"""The architecture that runs builds of every level."""


@dataclass(frozen=True)
class Runtime:
    """One build, as far as it matters for starting."""

    key: BuildKey
    suffix: str
    """The form of its archive, ``.tar.gz``."""
    flavor: str = ""
    static: bool = False
    """Whether it is a static Linux build, which can't load extension modules."""

    @classmethod
    def of(cls, build: Build) -> Runtime:
        """A build of a manifest."""
        filename = build.payload.member.rpartition("/")[2]
        return cls(
            key=build.key,
            suffix=archive_suffix(filename),
            flavor=build.flavor,
            static=_is_static(build, filename),
        )

    @classmethod
    def promised(cls, offer: Offer) -> Runtime:
        """An archive that has not arrived yet."""
        return cls(
            key=offer.key,
            suffix=archive_suffix(offer.filename),
            flavor=offer.flavor,
            static=offer.static,
        )

    @property
    def starts(self) -> bool:
        """Whether a shell can unpack it and it can then run ``kitbag.pyz``."""
        return (
            implementation_of(self.key).starts_kitbag
            and self.key.version >= OLDEST
            and self.suffix in _STARTING_FORMS
            and not self.static
        )

    def decodes(self, suffix: str) -> bool:
        """Whether its own standard library reads archives of this form."""
        if suffix in _EVERYWHERE:
            return True
        complete = self.flavor != "rerooted"
        if suffix in _FROM_LIBRARIES:
            return complete
        new = self.key.implementation == "cpython" and self.key.version >= OLDEST_WITH_ZSTD
        return suffix == _ZSTD and complete and new

    def undecodable(self, suffixes: Iterable[str]) -> tuple[str, ...]:
        """Those of ``suffixes`` that it can't decode, sorted."""
        return tuple(sorted(suffix for suffix in suffixes if not self.decodes(suffix)))


@dataclass(frozen=True)
class Shortfall:
    """What a bundle lacks on one target."""

    target: Target
    starter: bool
    """Whether something in the bundle can start there."""
    undecodable: tuple[str, ...]
    """The forms of archives for it that what starts can't decode, or an old Python; sorted."""


def can_start(build: Build) -> bool:
    """Whether a shell can unpack ``build`` and run ``kitbag.pyz`` with it, on its own target."""
    return Runtime.of(build).starts


def decodes(build: Build, suffix: str) -> bool:
    """Whether ``build``, once started, reads archives of the form ``suffix`` (``.tar.zst``)."""
    return Runtime.of(build).decodes(suffix)


def runs_on(key: BuildKey, target: Target) -> bool:
    """Whether a build is for ``target`` or one that such a machine is too: a lower CPU level.

    A Pyodide is for every machine.
    """
    own = key.target
    if implementation_of(key).any_machine:
        return True
    same = (own.os, own.cpu, own.libc) == (target.os, target.cpu, target.libc)
    return same and own.cpu_level <= target.cpu_level


def starters(builds: Iterable[Build], target: Target) -> tuple[Build, ...]:
    """The builds to start with on ``target``, in the order to try them; none if there is none.

    The least CPU level goes first, since it is sure to run; then what decodes most of the archives
    for such machines, CPython, a release, no variant, the least glibc, the smallest.
    """
    everything = tuple(builds)
    runtimes = {build.key: Runtime.of(build) for build in everything}
    forms = _forms(runtimes.values(), replace(target, arch=_HIGHEST.get(target.cpu, target.arch)))

    def rank(build: Build) -> tuple[object, ...]:
        key = build.key
        return (
            key.target.cpu_level,
            len(runtimes[key].undecodable(forms)),
            IMPLEMENTATIONS.index(key.implementation),
            bool(key.version.prerelease),
            bool(key.variant),
            tuple(int(part) for part in build.needs.glibc.split(".") if part.isdigit()),
            build.payload.size,
            str(key),
        )

    able = [b for b in everything if runtimes[b.key].starts and runs_on(b.key, target)]
    return tuple(sorted(able, key=rank))


def shortfall(runtimes: Sequence[Runtime], target: Target) -> Shortfall | None:
    """What a bundle of ``runtimes`` lacks on ``target``; ``None`` if it does all by itself."""
    forms = _forms(runtimes, target)
    able = [each for each in runtimes if each.starts and runs_on(each.key, target)]
    if not able:
        oldest = Runtime(BuildKey("cpython", OLDEST, "", target), "")
        return Shortfall(target, starter=False, undecodable=oldest.undecodable(forms))
    # As starters() has it: of the least level the one that decodes most.
    level = min(each.key.target.cpu_level for each in able)
    first = [each.undecodable(forms) for each in able if each.key.target.cpu_level == level]
    least = min(first, key=lambda each: (len(each), each))
    return Shortfall(target, starter=True, undecodable=least) if least else None


def _forms(runtimes: Iterable[Runtime], target: Target) -> set[str]:
    """The forms of the archives that can be installed on ``target``."""
    return {each.suffix for each in runtimes if runs_on(each.key, target)}


def _is_static(build: Build, filename: str) -> bool:
    from kitbag_packer.catalogs.model import Offer

    said = parse_filename(filename)
    options = said.options if said else ()
    offer = Offer(build.key, filename, "", "", release=build.release, options=options)
    # A build of unknown origin has no release, and is none of those of old.
    return offer.static and bool(said and build.release)
