"""Which of several archives of one build is the best, and what ``--flavor`` restricts.

Nothing here knows catalogs or targets: an offer is judged by its own fields.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_packer.catalogs.model import Offer

__all__ = ["FLAVORS", "Flavor", "best", "parse_flavor"]

FLAVORS = {
    "cpython": ("install_only_stripped", "install_only", "full"),
    "pypy": ("portable",),
    "graalpy": ("community", "oracle", "community-jvm", "oracle-jvm"),
    "pyodide": ("xbuildenv", "core", "full", "npm"),
}
"""The kinds of archive that have a name, by implementation, best first."""

_ALL = tuple(dict.fromkeys(flavor for many in FLAVORS.values() for flavor in many))
_OPTIMISATIONS = frozenset(("lto", "pgo", "bolt"))
_OPTIONS = frozenset((*_OPTIMISATIONS, "noopt", "static", "shared"))


@dataclass(frozen=True)
class Flavor:
    """What ``--flavor`` asks for; with no ``kind`` everything will do."""

    kind: str = ""
    options: frozenset[str] = frozenset()
    """Build options that an archive must have."""

    def binds(self, implementation: str) -> bool:
        """Whether archives of this implementation come in such a flavor at all."""
        return self.kind in FLAVORS.get(implementation, ())

    def admits(self, offer: Offer) -> bool:
        """Whether ``offer`` will do."""
        if not self.binds(offer.key.implementation):
            return True
        return offer.flavor == self.kind and self.options <= frozenset(offer.options)

    def __str__(self) -> str:
        return "+".join((*sorted(self.options, reverse=True), self.kind))


def parse_flavor(text: str) -> Flavor:
    """Read ``install_only``, or ``pgo+lto+full`` with build options; raises :class:`UsageError`.

    Options without a kind mean a full archive, the only one that comes with different ones.
    """
    words = text.strip().lower().split("+") if text.strip() else []
    options = frozenset(words) & _OPTIONS
    kinds = [word for word in words if word not in _OPTIONS]
    if not words:
        return Flavor()
    kind = kinds[0] if kinds else "full"
    if len(kinds) > 1 or kind not in _ALL or (options and kind != "full"):
        near = difflib.get_close_matches(kind, _ALL, 1)
        hint = f"did you mean {near[0]}?" if near and near[0] != kind else _forms()
        raise UsageError(f"--flavor {text!r} is no kind of archive; {hint}")
    return Flavor(kind, options)


def best(offers: Iterable[Offer]) -> Offer:
    """The archive to take of several of one build, of which there must be one."""
    return max(offers, key=_merit)


def _forms() -> str:
    return f"there are {', '.join(_ALL)} and, with build options, pgo+lto+full"


def _merit(offer: Offer) -> tuple[object, ...]:
    options = frozenset(offer.options)
    return (
        not offer.static,
        -_rank(offer),
        "noopt" not in options,
        len(options & _OPTIMISATIONS),
        _age(offer.release),
        bool(offer.sha256),
        offer.filename,
    )


def _rank(offer: Offer) -> int:
    """The place of the kind of archive, smaller is better."""
    if offer.flavor == "full":
        return len(_ALL) + 1
    known = FLAVORS.get(offer.key.implementation, ())
    if offer.flavor in known:
        return known.index(offer.flavor)
    # A publisher's only kind has no name; what kitbag made itself is as good as install_only.
    return 1 if offer.key.implementation == "cpython" else -1


def _age(release: str) -> tuple[tuple[int, ...], float]:
    """A sort key, larger is newer: ``20260101``, ``20211017T1616``, ``7.3.19``, ``7.3.10rc3``."""
    base, _, candidate = release.partition("rc")
    numbers = tuple(int(number) for number in re.findall(r"\d+", base))
    return numbers, float(candidate) if candidate.isdecimal() else float("inf")
