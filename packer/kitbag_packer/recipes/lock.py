"""The lock, ``kitbag.lock``: the exact archives and packages of a recipe, and kitbag's version.

It is the same text on every machine for the same inputs: no path, no mirror, no credentials, no
clock of its own. ``docs/reference/lock.md`` explains every key.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kitbag_bundles import __version__
from kitbag_bundles.errors import UsageError, file_system_error
from kitbag_bundles.keys import BuildKey
from kitbag_packer.cache.records import is_filename
from kitbag_packer.errors import StaleLock
from kitbag_packer.recipes.packages import EnvironmentPin, environment_pin, environment_table
from kitbag_packer.recipes.tables import REMEDY, Table
from kitbag_packer.recipes.wants import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kitbag_packer.resolution import Choice

VERSION = 1
_HEADER = "# Made by kitbag lock; do not edit. It belongs beside its recipe.\n"


@dataclass(frozen=True)
class CatalogPin:
    """A catalog that told of a build."""

    sha256: str
    """Of its data, in hex."""
    name: str
    """``embedded``, an address, a path as the recipe has it."""
    date: str
    """``2026-10-25``; empty if nobody knows."""


@dataclass(frozen=True)
class Pin:
    """One archive."""

    key: BuildKey
    requests: tuple[str, ...]
    """Those that stand for it, as the recipe has them, sorted."""
    target: str
    """The target that it was asked for, in full; or ``all``."""
    asked_flavor: str
    """The flavor that the recipe asked for; empty for the best there is."""
    url: str
    """The public address; empty where it has none."""
    filename: str
    """Upstream's name, decoded."""
    flavor: str
    release: str
    size: int
    """Bytes."""
    sha256: str
    """In hex."""
    catalog: str
    """The SHA-256 of the catalog that told of it; empty if nobody knows."""
    unverified: bool = False
    """Whether nobody published the digest, so that the one which was seen is pinned."""
    bootstrap: bool = False
    """Whether it is there for the bundle to start by itself; then ``requests`` are empty."""

    def order(self) -> tuple[object, ...]:
        """A sort key: the order of the keys."""
        return (*self.key.order(), self.target, self.filename)


@dataclass(frozen=True)
class Lock:
    """The whole lock; ``pins`` and ``catalogs`` are in fixed order."""

    pins: tuple[Pin, ...]
    catalogs: tuple[CatalogPin, ...]
    kitbag: str
    """The version of kitbag that it was made by."""
    installer_sha256: str
    """The digest of the ``kitbag.pyz`` that this version puts into a bundle."""
    needs_python: tuple[str, ...] = ()
    """Targets, sorted, that need a Python of their own: nothing was found to start with there."""
    bytecode: bool = False
    """Whether the bundle brings compiled files along."""
    environments: tuple[EnvironmentPin, ...] = ()
    """In the order of :meth:`EnvironmentPin.order`."""

    @classmethod
    def of(
        cls,
        pins: Iterable[Pin],
        catalogs: Iterable[CatalogPin],
        needs_python: Iterable[str] = (),
        *,
        bytecode: bool = False,
    ) -> Lock:
        """A lock for this kitbag, of the catalogs that ``pins`` name."""
        ordered = tuple(sorted(pins, key=Pin.order))
        used = {pin.catalog for pin in ordered}
        known = {each.sha256: each for each in catalogs if each.sha256 in used - {""}}
        named = tuple(sorted(known.values(), key=lambda each: (each.name, each.sha256)))
        bare = tuple(sorted(needs_python))
        return cls(ordered, named, __version__, installer_digest(), bare, bytecode)


def installer_digest() -> str:
    """SHA-256 of the ``kitbag.pyz`` that this kitbag puts into a bundle."""
    from kitbag_packer.pyz import build_installer

    return hashlib.sha256(build_installer()).hexdigest()


def lock_path(recipe: Path) -> Path:
    """The lock of the recipe at ``recipe``: beside it, ``edge.toml`` has ``edge.lock``."""
    if not recipe.name:
        raise UsageError(f"{str(recipe)!r} is no recipe; name a file such as kitbag.toml")
    if recipe.suffix == ".lock":
        raise UsageError(f"{recipe}: a lock, not a recipe; name the recipe that it belongs to")
    return recipe.with_suffix(".lock")


def relocked(lock: Lock) -> Lock:
    """The same archives, for this version of kitbag."""
    return replace(lock, kitbag=__version__, installer_sha256=installer_digest())


def choices_of(lock: Lock) -> tuple[Choice, ...]:
    """What to pack, with no catalog asked; an offer's ``url`` is empty where nobody has it."""
    from kitbag_packer.catalogs.model import Offer
    from kitbag_packer.resolution import Choice
    from kitbag_packer.upstream import parse_filename

    names = {each.sha256: each.name for each in lock.catalogs}
    found = []
    for pin in lock.pins:
        said = parse_filename(pin.filename)
        offer = Offer(
            key=pin.key,
            filename=pin.filename,
            url=pin.url,
            canonical=pin.url,
            sha256=pin.sha256,
            size=pin.size,
            flavor=pin.flavor,
            release=pin.release,
            options=said.options if said else (),
            catalog=names.get(pin.catalog, ""),
        )
        request = "" if pin.bootstrap else pin.requests[0]
        found.append(Choice(request, pin.key.target, offer, pin.bootstrap))
    return tuple(found)


def render(lock: Lock) -> str:
    """The text of ``lock``."""
    import tomli_w

    environments = [environment_table(pin) for pin in lock.environments]
    table = {
        "version": VERSION,
        "kitbag": lock.kitbag,
        "installer-sha256": lock.installer_sha256,
        **({"needs-python": list(lock.needs_python)} if lock.needs_python else {}),
        **({"bytecode": True} if lock.bytecode else {}),
        "catalog": [
            {"name": each.name, "sha256": each.sha256, "date": each.date} for each in lock.catalogs
        ],
        "build": [_pin_table(pin) for pin in lock.pins],
        **({"environment": environments} if environments else {}),
    }
    return _HEADER + tomli_w.dumps(table)


def read_lock(path: Path) -> Lock:
    """Read a lock; raises :class:`StaleLock` for one that is missing, newer or damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StaleLock(f"{path}: there is no lock; make it with kitbag lock") from None
    except UnicodeDecodeError:
        raise StaleLock(f"{path}: not UTF-8; {REMEDY}") from None
    except OSError as error:
        raise file_system_error(error, str(path)) from None
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StaleLock(f"{path}: not TOML: {error}; {REMEDY}") from None
    table = Table(document, str(path))
    number = table.get("version", int)
    if number != VERSION:
        raise StaleLock(f"{path}: version {number}, and this kitbag reads {VERSION}; {REMEDY}")
    return Lock(
        pins=tuple(_pin(each) for each in table.tables("build")),
        catalogs=tuple(
            CatalogPin(each.digest("sha256"), each.get("name", str), each.get("date", str))
            for each in table.tables("catalog")
        ),
        kitbag=table.get("kitbag", str),
        installer_sha256=table.digest("installer-sha256"),
        needs_python=table.texts("needs-python") if "needs-python" in document else (),
        bytecode=table.flag("bytecode"),
        environments=tuple(environment_pin(each) for each in table.tables("environment")),
    )


def _pin_table(pin: Pin) -> dict[str, Any]:
    return {
        "key": str(pin.key),
        "requests": list(pin.requests),
        "target": pin.target,
        "asked-flavor": pin.asked_flavor,
        "url": pin.url,
        "filename": pin.filename,
        "flavor": pin.flavor,
        "release": pin.release,
        "size": pin.size,
        "sha256": pin.sha256,
        "catalog": pin.catalog,
        **({"unverified": True} if pin.unverified else {}),
        **({"bootstrap": True} if pin.bootstrap else {}),
    }


def _pin(table: Table) -> Pin:
    key = BuildKey.try_parse(table.get("key", str))
    requests = table.texts("requests")
    bootstrap = table.flag("bootstrap")
    filename = table.get("filename", str)
    if key is None:
        raise table.damaged("key")
    if bool(requests) == bootstrap:
        raise table.damaged("requests")
    if not is_filename(filename):
        raise table.damaged("filename")
    return Pin(
        key=key,
        requests=requests,
        target=_target(table),
        asked_flavor=table.get("asked-flavor", str),
        url=table.address("url"),
        filename=filename,
        flavor=table.get("flavor", str),
        release=table.get("release", str),
        size=table.size("size"),
        sha256=table.digest("sha256"),
        catalog=table.digest("catalog", empty=True),
        unverified=table.flag("unverified"),
        bootstrap=bootstrap,
    )


def _target(table: Table) -> str:
    return ALL if table.get("target", str) == ALL else str(table.target("target"))
