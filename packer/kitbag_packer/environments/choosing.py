"""Which file of each package of a lock a target gets (PEP 751's rules for installers).

Of several wheels with the same tags the one with the highest build number is taken, as pip and uv
do. A lock says nothing of yanked files: those are told by whoever makes the lock.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.pylock import (
    PackageArchive,
    PackageDirectory,
    PackageVcs,
    PackageWheel,
    Pylock,
)
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from kitbag_bundles.errors import KitbagError, NoMatch, UsageError
from kitbag_packer.environments.misfits import why_none_fits
from kitbag_packer.environments.model import DIRECTORY, SDIST, VCS, WHEEL, Pick
from kitbag_packer.environments.naming import known
from kitbag_packer.environments.pylocks import published_name
from kitbag_packer.errors import NoWheel, Unverified

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.pylock import Package, PackageSdist
    from packaging.specifiers import SpecifierSet

    from kitbag_packer.environments.model import Spec
    from kitbag_packer.environments.platforms import Platform

__all__ = ["Chosen", "choose"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Chosen:
    """What became of the packages of a lock."""

    picks: tuple[Pick, ...]
    """In the order of their names."""
    refused: tuple[tuple[str, KitbagError], ...] = ()
    """Names of packages that can't be had, in the order of the lock, and why, in a clause:
    :class:`NoWheel` for neither a wheel that fits nor a source, :class:`Unverified` for a file
    without a SHA-256, :class:`NoMatch` for another Python and for a marker that can't be evaluated,
    :class:`UsageError` for a lock that contradicts itself."""


def choose(spec: Spec, pylock: Pylock, platform: Platform, lock_path: Path) -> Chosen:
    """What each package comes to on ``platform``.

    ``lock_path`` begins messages; paths in the lock are relative to it, or to its folder.

    Raises :class:`UsageError` for extras and groups that the lock does not have, and
    :class:`NoMatch` for a Python or a target that it is not for.
    """
    try:
        extras = known(spec.extras, pylock.extras, "extra")
        groups = (
            *known(spec.groups or (), pylock.dependency_groups, "dependency group"),
            *_default_groups(spec, pylock),
        )
        _check_lock(pylock, platform)
    except KitbagError as error:
        raise type(error)(f"{lock_path}: {error}") from None
    chooser = _Chooser(platform, lock_path if lock_path.is_dir() else lock_path.parent)
    wanted = chooser.wanted(pylock.packages, extras, groups)
    lock = dataclasses.replace(pylock, packages=wanted, requires_python=None, environments=None)
    found = []
    for package, source in lock.select(environment=platform.markers, tags=platform.tags):
        try:
            found.append(chooser.pick(package, source))
        except KitbagError as error:
            chooser.refused.append((package.name, error))
    return Chosen(tuple(sorted(found, key=lambda pick: pick.name)), tuple(chooser.refused))


class _Chooser:
    """Turns packages into picks; what can't be had is kept in ``refused``."""

    def __init__(self, platform: Platform, base: Path) -> None:
        self._platform = platform
        self._tags = frozenset(platform.tags)
        self._base = base
        self.refused: list[tuple[str, KitbagError]] = []

    def wanted(
        self, packages: Sequence[Package], extras: Collection[str], groups: Collection[str]
    ) -> list[Package]:
        """The packages for this target, without whatever :meth:`Pylock.select` would stumble at."""
        found: dict[str, Package] = {}
        for package in packages:
            try:
                if package.marker and not self._platform.holds(package.marker, extras, groups):
                    continue
                if package.name in found:
                    raise UsageError(
                        f"{package.name} is there twice, as {found[package.name].version} and as "
                        f"{package.version}, both for {self._platform}"
                    )
                found[package.name] = self._ready(package)
            except KitbagError as error:
                what = "" if isinstance(error, (NoWheel, UsageError)) else f"{package.name}: "
                self.refused.append((package.name, type(error)(f"{what}{error}")))
        return list(found.values())

    def _ready(self, package: Package) -> Package:
        """``package`` without conditions, its wheels ordered by their build numbers."""
        _check_python(package.requires_python, self._platform)
        wheels = sorted(package.wheels or (), key=_build_number, reverse=True)
        if wheels and not package.sdist and not any(map(self._fits, wheels)):
            reason = why_none_fits([wheel.filename for wheel in wheels], self._platform)
            raise NoWheel(f"{_called(package)} {reason}, and has no source distribution")
        return dataclasses.replace(package, marker=None, requires_python=None, wheels=wheels)

    def _fits(self, wheel: PackageWheel) -> bool:
        return bool(parse_wheel_filename(wheel.filename)[3] & self._tags)

    def pick(
        self,
        package: Package,
        source: PackageVcs | PackageDirectory | PackageArchive | PackageWheel | PackageSdist,
    ) -> Pick:
        """What ``source``, which was selected for ``package``, comes to."""
        if isinstance(source, PackageVcs):
            return self._vcs(package, source)
        if isinstance(source, PackageDirectory):
            return self._directory(package, source)
        if isinstance(source, PackageArchive):
            return self._archive(package, source)
        if isinstance(source, PackageWheel):
            return self._file(package, source, WHEEL, published_name(source))
        reason = f"the lock lists no wheels of it for {self._platform.made_for.target}"
        if package.wheels:
            names = [wheel.filename for wheel in package.wheels]
            reason = f"it {why_none_fits(names, self._platform)}"
        return self._file(package, source, SDIST, source.filename, reason)

    def _vcs(self, package: Package, source: PackageVcs) -> Pick:
        return Pick(
            name=package.name,
            version=_version(package),
            kind=VCS,
            vcs=source.type,
            repository=source.url or self._absolute(source.path or ""),
            commit=source.commit_id,
            revision=source.requested_revision or "",
            subdirectory=source.subdirectory or "",
            reason=f"it comes from a {source.type} repository",
        )

    def _directory(self, package: Package, source: PackageDirectory) -> Pick:
        path = self._absolute(source.path)
        if not os.path.isdir(path):
            raise UsageError(f"{package.name} is to be in {path}, which is no directory")
        return Pick(
            name=package.name,
            version=_version(package),
            kind=DIRECTORY,
            path=path,
            subdirectory=source.subdirectory or "",
            reason="it is a directory of source",
        )

    def _archive(self, package: Package, source: PackageArchive) -> Pick:
        try:
            address = source.path or urlsplit(source.url or "").path
        except ValueError:
            raise UsageError(f"{package.name} has an address that can't be read") from None
        filename = re.split(r"[/\\]", address if source.path else unquote(address))[-1]
        if not filename.endswith(".whl"):
            reason = "it is an archive of source"
            pick = self._file(package, source, SDIST, filename or package.name, reason)
            return dataclasses.replace(pick, subdirectory=source.subdirectory or "", direct=True)
        try:
            name, version, _, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            raise UsageError(f"{package.name}: {filename!r} is no name of a wheel") from None
        if name != package.name:
            raise UsageError(f"{package.name} is to be {filename}, which is another package")
        if not tags & self._tags:
            reason = why_none_fits([filename], self._platform)
            raise NoWheel(f"{_called(package)} {reason}, and is only this one wheel")
        pick = self._file(package, source, WHEEL, filename)
        return dataclasses.replace(pick, version=pick.version or str(version), direct=True)

    def _file(
        self,
        package: Package,
        source: PackageArchive | PackageWheel | PackageSdist,
        kind: str,
        filename: str,
        reason: str = "",
    ) -> Pick:
        sha256 = source.hashes.get("sha256", "").lower()
        if not _SHA256.fullmatch(sha256):
            others = ", ".join(sorted(set(source.hashes) - {"sha256"}))
            told = f"only {others}" if others else "no hash"
            raise Unverified(f"{_called(package)}: the lock has no SHA-256 of {filename} ({told})")
        urls = [source.url] if source.url else []
        if source.path:
            path = self._absolute(source.path)
            if os.path.isfile(path):
                urls.insert(0, Path(path).as_uri())
            elif not urls:
                raise UsageError(f"{_called(package)} is to be {path}, which is no file")
        return Pick(
            name=package.name,
            version=_version(package),
            kind=kind,
            filename=filename,
            urls=tuple(urls),
            sha256=sha256,
            size=source.size,
            reason=reason,
        )

    def _absolute(self, path: str) -> str:
        # PEP 751 has paths with the separators of the system that they were written on.
        if os.sep == "/" and not os.path.exists(os.path.join(self._base, path)):
            path = path.replace("\\", "/")
        return os.path.abspath(os.path.join(self._base, path))


def _default_groups(spec: Spec, pylock: Pylock) -> list[str]:
    """The groups that nobody has to name; the nameless ones stand for the project itself."""
    hidden = set() if spec.groups is None else set(pylock.dependency_groups or ())
    return [each for each in pylock.default_groups or () if each not in hidden]


def _check_lock(pylock: Pylock, platform: Platform) -> None:
    """Whether the lock as a whole is for this Python and this system."""
    _check_python(pylock.requires_python, platform, "; ask for another, or lock for this one")
    doubts: list[KitbagError] = []
    for marker in pylock.environments or ():
        try:
            if platform.holds(marker):
                return
        except NoMatch as error:
            doubts.append(error)
    if doubts:
        raise doubts[0]
    if pylock.environments:
        told = " or ".join(f"({marker})" for marker in pylock.environments)
        raise NoMatch(f"the lock is only for {told}, and not for {platform}; lock for it too")


def _check_python(wanted: SpecifierSet | None, platform: Platform, advice: str = "") -> None:
    # As uv has it, an early build of 3.15 will do where 3.15 is asked for.
    version = platform.made_for.version
    versions = [version, re.sub(r"(a|b|rc)\d+$", "", version)]
    if version.count(".") < 2:
        # Where only the minor version is known, one patch that will do is enough.
        versions.append(f"{version}.9999")
    if wanted and not any(wanted.contains(each, prereleases=True) for each in versions):
        raise NoMatch(f"it needs Python {wanted}, which {version} is not{advice}")


def _build_number(wheel: PackageWheel) -> tuple[int, str] | tuple[()]:
    return parse_wheel_filename(wheel.filename)[2]


def _version(package: Package) -> str:
    return str(package.version or "")


def _called(package: Package) -> str:
    return f"{package.name} {package.version}" if package.version else package.name
