"""A catalog that lies in memory: just the offers that a test wants."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles.keys import BuildKey
from kitbag_packer.catalogs.model import Offer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_packer.catalogs.model import Interest


@dataclass(frozen=True)
class Stock:
    """The offers, what messages call them, and the day they are of."""

    listed: tuple[Offer, ...]
    name: str = "stock"
    date: str = "2026-11-01"
    digest: str = "0" * 64

    def offers(self, interest: Interest) -> Iterable[Offer]:
        """All of them: a catalog may say more than it is asked."""
        return self.listed


def offer(key: str, flavor: str = "install_only_stripped", **fields: Any) -> Offer:
    """An offer of the build ``key``."""
    named = BuildKey.parse(key)
    fields = {"release": "20260101", **fields}
    words = "+".join((*fields.get("options", ()), flavor))
    filename = f"{key}-{fields['release']}-{words}.tar.gz"
    url = f"https://example.test/{filename}"
    sha256 = hashlib.sha256(filename.encode()).hexdigest()
    given = {"filename": filename, "url": url, "canonical": url, "sha256": sha256, **fields}
    return Offer(key=named, flavor=flavor, **given)


def stock(*keys: str | Offer, **fields: Any) -> Stock:
    """A catalog of offers, or of the usual archives of builds with these keys."""
    return Stock(tuple(offer(key) if isinstance(key, str) else key for key in keys), **fields)
