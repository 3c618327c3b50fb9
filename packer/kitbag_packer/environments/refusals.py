"""What keeps environments from being packed: each thing told once, with what it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError, NoMatch, UsageError
from kitbag_packer.environments.model import WHEEL
from kitbag_packer.errors import NoWheel, Unverified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kitbag_bundles.keys import Target
    from kitbag_packer.environments.choosing import Chosen
    from kitbag_packer.environments.model import For, Spec

__all__ = ["Attempt", "told_once"]

_ADVICE: dict[type[KitbagError], str] = {
    NoWheel: "leave out what has none, or lock versions that have wheels for it",
    Unverified: "make the lock anew from an index that publishes SHA-256",
    NoMatch: "leave out that Python or target, or make a lock for it alone",
    UsageError: "correct the lock, or make it anew with the tool that wrote it",
}
_HERE = "\0"


@dataclass(frozen=True)
class Attempt:
    """One environment for one build, as far as it could be planned."""

    spec: Spec
    place: For
    chosen: Chosen | None = None
    """What its lock came to; nothing where ``error`` is."""
    lock: Path | None = None
    """The file that tells what is in it."""
    error: KitbagError | None = None
    """Why nothing could be chosen at all."""


def told_once(attempts: Sequence[Attempt]) -> list[KitbagError]:
    """Why those that are refused are, in the order in which that came up.

    What is the same for several targets is one error that names them all; a package without a
    wheel names those targets too that have one.
    """
    alike: dict[tuple[type[KitbagError], str, str, Path | None], list[Attempt]] = {}
    for each in attempts:
        for package, error in _refusals(each):
            text = _here(each.place.target).sub(_HERE, str(error))
            lock = each.lock if package else None
            alike.setdefault((type(error), text, package, lock), []).append(each)
    found = []
    for (kind, text, package, lock), mine in alike.items():
        targets = _targets(mine)
        told = text.replace(_HERE, _listed(targets))
        names = {each.spec.name for each in mine}
        if _HERE not in text and targets != _targets(a for a in attempts if a.spec.name in names):
            told += f" (for {_listed(targets)})"
        if package:
            told = f"{lock}: {told}{_elsewhere(kind, package, mine, attempts)}; {_ADVICE[kind]}"
        found.append(kind(told))
    return found


def _refusals(attempt: Attempt) -> Iterable[tuple[str, KitbagError]]:
    """Names of packages and what is wrong with them; no name where it is not one package."""
    if attempt.error is not None:
        return [("", attempt.error)]
    return attempt.chosen.refused if attempt.chosen is not None else ()


def _elsewhere(
    kind: type[KitbagError], package: str, mine: Sequence[Attempt], attempts: Sequence[Attempt]
) -> str:
    """The targets that have a wheel of ``package``, in a clause."""
    if kind is not NoWheel:
        return ""
    there = [
        each
        for each in attempts
        if each.lock == mine[0].lock
        and each.chosen is not None
        and any(pick.name == package and pick.kind == WHEEL for pick in each.chosen.picks)
    ]
    lacking = _targets(mine)
    targets = [target for target in _targets(there) if target not in lacking]
    return f"; there is one for {_listed(targets)}" if targets else ""


def _here(target: Target) -> re.Pattern[str]:
    """Where a text names ``target``, and not a file that is called so."""
    return re.compile(rf"(?<![\w./\\-]){re.escape(str(target))}(?![\w/\\-]|\.\w)")


def _targets(attempts: Iterable[Attempt]) -> list[Target]:
    return list(dict.fromkeys(each.place.target for each in attempts))


def _listed(targets: Sequence[Target]) -> str:
    names = [str(target) for target in targets]
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
