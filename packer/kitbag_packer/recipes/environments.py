"""Environments in a recipe: what a person wrote of each, and what is wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_packer.environments.model import KINDS, Spec
from kitbag_packer.recipes.shape import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class EnvironmentOptions:
    """One environment; all texts as they were written."""

    name: str
    python: str = ""
    """A request; empty for every build of the bundle."""
    project: str = ""
    lock: str = ""
    requirements: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    expose: tuple[str, ...] = ()
    run: str = ""
    glibc: str = ""

    @property
    def kind(self) -> str:
        """Which of the three names its packages: ``project``, ``lock`` or ``requirements``."""
        return next(kind for kind in KINDS if getattr(self, kind))

    @property
    def source(self) -> str:
        """What names its packages, relative to the recipe."""
        return str(getattr(self, self.kind))

    def spec(self, folder: Path) -> Spec:
        """The same for a recipe in ``folder``, with the path of this machine."""
        path = Path(os.path.abspath(folder / os.path.expanduser(self.source)))
        return Spec(
            name=self.name,
            kind=self.kind,
            path=path,
            python=self.python,
            extras=self.extras,
            groups=self.groups,
            expose=tuple(sorted(set(self.expose))),
            run=self.run,
            glibc=self.glibc,
        )


def environment_options(table: Mapping[str, Any]) -> EnvironmentOptions:
    """Read a table that has the right shape."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    return EnvironmentOptions(**values)


def options_table(options: EnvironmentOptions) -> dict[str, Any]:
    """The table of an environment; what is as usual is left out."""
    usual = EnvironmentOptions(options.name)
    table: dict[str, Any] = {"name": options.name}
    for field in fields(options):
        value = getattr(options, field.name)
        if value != getattr(usual, field.name):
            table[field.name] = list(value) if isinstance(value, tuple) else value
    return table


def problems_of(environments: Sequence[EnvironmentOptions]) -> Iterator[tuple[str, str]]:
    """What is wrong with the values: the key, and what to do about it."""
    names: set[str] = set()
    for number, options in enumerate(environments, 1):
        called = options.name if options.name.isprintable() else str(number)
        yield from ((place("environment", called, key), why) for key, why in _problems(options))
        if options.name in names:
            yield place("environment", called, "name"), "two are called so; give one another name"
        names.add(options.name)


def _problems(options: EnvironmentOptions) -> Iterator[tuple[str, str]]:
    from kitbag_bundles.requests import Request
    from kitbag_packer.environments.naming import problems

    named = [kind for kind in KINDS if getattr(options, kind)]
    if len(named) != 1:
        what = f"{' and '.join(named)} are there" if named else "nothing names its packages"
        yield "project", f"{what}; write one of {', '.join(KINDS)}"
        return
    if not options.source.isprintable():
        yield options.kind, "there is a character in it that cannot be printed"
    if options.python:
        try:
            Request.parse(options.python)
        except UsageError as error:
            yield "python", str(error)
    yield from problems(options.spec(Path()))
