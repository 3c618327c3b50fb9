"""``pylock.toml`` (PEP 751): read, held against the standard, and freed of credentials.

The format: https://packaging.python.org/en/latest/specifications/pylock-toml/.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from kitbag_bundles.errors import UsageError
from kitbag_bundles.toml import loads
from kitbag_packer.errors import Unverified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.pylock import PackageWheel, Pylock

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.downloads.accounts import Accounts

_LARGEST = 64 * 1024 * 1024
"""Bytes."""
_NEWEST = "1.0"
_SHOWN = 8
_REPOSITORIES = ("vcs", "git")
"""Their keys, in a lock of PEP 751 and in one of uv."""


def read_table(path: Path) -> dict[str, Any]:
    """The TOML document at ``path``; raises :class:`UsageError`."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}); check the path") from None
    if len(data) > _LARGEST:
        raise UsageError(f"{path} has more than {_LARGEST} bytes; that is no lock")
    try:
        return loads(data.decode("utf-8"))
    except ValueError as error:
        raise UsageError(
            f"{path} is not TOML ({' '.join(str(error).split())}); correct it, or make it anew"
        ) from None


def parsed(text: str, where: str) -> dict[str, Any]:
    """The lock in ``text``, which uv wrote; raises :class:`UsageError`."""
    try:
        return loads(text)
    except ValueError:
        raise UsageError(f"{where}: uv's lock is not TOML; update uv") from None


def pylock_of(
    table: dict[str, Any], where: str, base: Path, accounts: Accounts, reporter: Reporter
) -> Pylock:
    """The lock in ``table``, checked; ``where`` begins messages.

    Its paths become absolute: they are relative to the folder ``base``. Credentials in its
    addresses are moved to ``accounts``. Raises :class:`UsageError` for what is no lock or one of a
    later kind, and :class:`Unverified` for one with files that have no hash.
    """
    from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

    _tell_of_version(table, where, reporter)
    cleaned = without_credentials(table, accounts)
    packages = cleaned.get("packages")
    _check_hashes(packages if isinstance(packages, list) else [], where)
    for part in paths_in(cleaned):
        part["path"] = os.path.normpath(os.path.join(base, part["path"]))
    # It would write about a later minor version where nobody asked for it.
    silent = logging.getLogger("packaging.pylock")
    before, silent.disabled = silent.disabled, True
    try:
        return Pylock.from_dict(cleaned)
    except PylockUnsupportedVersionError:
        raise UsageError(
            f"{where} has lock-version {cleaned.get('lock-version')!r}, and this kitbag reads 1.x; "
            "update kitbag, or make the lock with an older tool"
        ) from None
    except PylockValidationError as error:
        raise UsageError(
            f"{where} is no lock as PEP 751 has it ({accounts.hide(_one_line(error))}); make it "
            "anew with the tool that wrote it"
        ) from None
    finally:
        silent.disabled = before


def published_name(wheel: PackageWheel) -> str:
    """The name of a wheel's file as its index has it.

    uv writes names into a lock in a spelling of its own: ``backports_tarfile-…`` for what is
    ``backports.tarfile-…`` in the address.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    published = unquote(urlsplit(wheel.url or "").path).rpartition("/")[2]
    try:
        if published.isascii() and (
            parse_wheel_filename(published) == parse_wheel_filename(wheel.filename)
        ):
            return published
    except InvalidWheelFilename:
        pass
    return wheel.filename


def paths_in(lock: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Those tables of a lock that have a ``path``."""
    packages = lock.get("packages")
    for package in packages if isinstance(packages, list) else []:
        if not isinstance(package, dict):
            continue
        for each in (*_files(package), package.get("directory"), package.get("vcs")):
            if isinstance(each, dict) and isinstance(each.get("path"), str) and each["path"]:
                yield each


def without_credentials(value: Any, accounts: Accounts, *, below: bool = False) -> Any:
    """A table of a lock without credentials in its addresses: they are moved to ``accounts``.

    With ``below`` they count for what is below their addresses alone; a repository's always do.
    """
    if isinstance(value, dict):
        return {
            key: without_credentials(each, accounts, below=below or key in _REPOSITORIES)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_credentials(each, accounts, below=below) for each in value]
    if isinstance(value, str) and "://" in value:
        return accounts.add(value, below=below)
    return value


def _tell_of_version(table: Mapping[str, Any], where: str, reporter: Reporter) -> None:
    version = table.get("lock-version")
    if isinstance(version, str) and version.startswith("1.") and version != _NEWEST:
        reporter.warn(
            f"{where} has lock-version {version}, and this kitbag knows {_NEWEST}; what is new in "
            "it is ignored"
        )


def _files(package: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    wheels = package.get("wheels")
    many = wheels if isinstance(wheels, list) else []
    for each in (*many, package.get("sdist"), package.get("archive")):
        if isinstance(each, dict):
            yield each


def _check_hashes(packages: Sequence[Any], where: str) -> None:
    bare = [
        str(package.get("name"))
        for package in packages
        if isinstance(package, dict) and not all(each.get("hashes") for each in _files(package))
    ]
    if bare:
        more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
        raise Unverified(
            f"{where} has no hash for files of {', '.join(bare[:_SHOWN])}{more}, so what arrives "
            "could not be checked; make it anew from an index that publishes hashes"
        )


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
