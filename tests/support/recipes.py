"""Recipes, locks and a catalog in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_bundles.keys import BuildKey
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.recipes.lock import Pin
from kitbag_packer.recipes.recipe import Recipe
from kitbag_packer.upstream import triple

if TYPE_CHECKING:
    from kitbag_packer.catalogs.model import Interest

LINUX, WINDOWS, MACOS = "linux-x86_64-gnu", "windows-x86_64-none", "macos-aarch64-none"
CATALOG_DIGEST = "c" * 64
BASE = "https://github.com/astral-sh/python-build-standalone/releases/download"


@dataclass(frozen=True)
class ListCatalog:
    """A catalog of the offers that it is given."""

    known: tuple[Offer, ...]
    name: str = "embedded"
    digest: str = CATALOG_DIGEST
    date: str = "2026-10-25"

    def offers(self, interest: Interest) -> list[Offer]:
        """Everything of interest."""
        named = (replace(offer, catalog=self.name) for offer in self.known)
        return [offer for offer in named if interest.in_key(offer.key)]


def an_offer(
    version: str,
    target: str = LINUX,
    *,
    release: str = "20260101",
    flavor: str = "install_only_stripped",
    size: int | None = 1000,
    verified: bool = True,
    url: str = "",
) -> Offer:
    """An archive of CPython as an index of releases has it."""
    key = BuildKey.parse(f"cpython-{version}-{target}")
    filename = f"cpython-{version}+{release}-{triple(key.target)}-{flavor}.tar.gz"
    canonical = f"{BASE}/{release}/{filename.replace('+', '%2B')}"
    digest = hashlib.sha256(filename.encode()).hexdigest() if verified else ""
    return Offer(key, filename, url or canonical, canonical, digest, size, flavor, release)


def a_pin(version: str, target: str = LINUX, *requests: str, **changes: object) -> Pin:
    """What a lock says of :func:`an_offer`."""
    offer = an_offer(version, target)
    pin = Pin(
        key=offer.key,
        requests=requests or (version.rpartition(".")[0],),
        target=target,
        asked_flavor="",
        url=offer.canonical,
        filename=offer.filename,
        flavor=offer.flavor,
        release=offer.release,
        size=offer.size or 0,
        sha256=offer.sha256,
        catalog=CATALOG_DIGEST,
    )
    return replace(pin, **changes)  # type: ignore[arg-type]


def a_recipe(*python: str, targets: tuple[str, ...] = (LINUX,), **more: object) -> Recipe:
    """A recipe of these requests."""
    return Recipe(python or ("3.13",), targets, **more)  # type: ignore[arg-type]
