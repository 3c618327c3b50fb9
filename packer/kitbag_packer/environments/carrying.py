"""Which environments a bundle carries, and what each of them is made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_bundles.keys import BuildKey, Version
from kitbag_bundles.requests import Request
from kitbag_packer.environments.model import For

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kitbag_bundles.keys import Target
    from kitbag_packer.environments.model import Planned, Spec

_ABLE = ("cpython", "pypy", "graalpy")
"""Implementations that virtual environments can be made of; Pyodide is none."""


@dataclass(frozen=True)
class Carried:
    """The environments of a bundle; empty for none."""

    specs: tuple[Spec, ...] = ()
    """As a person asked for them: to be planned for the builds that are packed."""
    planned: tuple[Planned, ...] = ()
    """As a lock has them."""
    wheelhouse: tuple[For, ...] = ()
    """What ``specs`` are for in a bundle that has no builds."""

    def __bool__(self) -> bool:
        return bool(self.specs or self.planned)


NOTHING = Carried()


def made_for(key: BuildKey, release: str) -> For:
    """What an environment of a build is made for."""
    return For(key.implementation, str(key.version), key.variant, key.target, key, release)


def versions_on(requests: Sequence[Request], targets: Sequence[str]) -> tuple[For, ...]:
    """What a wheelhouse is made for, in the order of the targets.

    ``targets`` are the texts of ``--target``. Raises :class:`UsageError` for what is not one
    version of CPython, and for a target that has no name.
    """
    from kitbag_packer.targets import Wanted

    wanted = Wanted.parse(targets)
    if wanted.everything:
        raise UsageError("a wheelhouse is for named targets; name each with --target, not 'all'")
    found: dict[For, None] = {}
    for request in requests:
        if request.implementation != "cpython" or len(request.release) < 2 or request.variant:
            raise UsageError(
                f"{request.text!r}: a wheelhouse is for a version of CPython; write 3.13 or 3.13.5"
            )
        version = ".".join(map(str, request.release)) + request.prerelease
        for target in wanted.of(request, ()):
            found[For(request.implementation, version, "", target)] = None
    return tuple(found)


def pairs(specs: Iterable[Spec], places: Sequence[For]) -> list[tuple[Spec, For]]:
    """Each of ``specs`` with everything among ``places`` that it is for, in their orders.

    Raises :class:`UsageError` for two of one name, :class:`NoMatch` for one that is for nothing.
    """
    found: list[tuple[Spec, For]] = []
    names: set[str] = set()
    for spec in specs:
        if spec.name in names:
            raise UsageError(f"two environments are called {spec.name}; give one another name")
        names.add(spec.name)
        mine = _fitting(spec, places)
        if not mine:
            what = f"is for {spec.python!r}, which" if spec.python else "needs a build, and"
            raise NoMatch(
                f"environment {spec.name} {what} nothing that is packed satisfies; add a request "
                "for such a Python"
            )
        seen: set[Target] = set()
        for place in mine:
            if place.key is None and place.target in seen:
                several = [each.version for each in mine if each.target == place.target]
                raise UsageError(
                    f"environment {spec.name} is for {' and '.join(several)} on {place.target}, "
                    "and in a wheelhouse it has one version for each target; pack a bundle for "
                    "each, or give a recipe an environment for each (python = "
                    f'"{several[0]}")'
                )
            seen.add(place.target)
        found += [(spec, place) for place in mine]
    return found


def _fitting(spec: Spec, places: Sequence[For]) -> list[For]:
    """What ``spec`` is for: what its request says on each target, or all that can have one."""
    able = [place for place in places if place.implementation in _ABLE]
    if not spec.python:
        return able
    request = Request.parse(spec.python)
    by_target: dict[Target, list[BuildKey]] = {}
    for place in able:
        by_target.setdefault(place.target, []).append(_key(place))
    chosen = {key for keys in by_target.values() for key in request.choose(keys)}
    return [place for place in able if _key(place) in chosen]


def _key(place: For) -> BuildKey:
    """The build, or one as a wheelhouse's version stands for."""
    if place.key is not None:
        return place.key
    text = place.version if place.version.count(".") > 1 else f"{place.version}.0"
    return BuildKey(place.implementation, Version.parse(text), place.variant, place.target)
