"""What there is to choose from: Pythons and targets, in an order that suits people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.implementations import implementation_named
from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS, BuildKey, Target, Version
from kitbag_packer.conversation.asking import Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHORT_VARIANTS = {"": "", "freethreaded": "t"}
_VARIANT_NAMES = {
    "": "",
    "freethreaded": ", free-threaded",
    "debug": ", debug",
    "freethreaded+debug": ", free-threaded, debug",
}
_COMMON = (
    "linux-x86_64-gnu",
    "linux-aarch64-gnu",
    "macos-aarch64-none",
    "macos-x86_64-none",
    "windows-x86_64-none",
    "windows-aarch64-none",
    "linux-x86_64-musl",
    "linux-aarch64-musl",
)

_Name = tuple[str, Version, str]


@dataclass(frozen=True)
class Wish:
    """A version, in full or by its minor version alone, of an implementation and variant."""

    implementation: str
    version: str
    variant: str

    def __str__(self) -> str:
        """As a request: ``3.13``, ``3.14t``, ``3.13.4+debug``, ``pypy3.11``."""
        name = "" if self.implementation == "cpython" else self.implementation
        short = _SHORT_VARIANTS.get(self.variant)
        return f"{name}{self.version}{f'+{self.variant}' if short is None else short}"

    def on(self, target: str) -> str:
        """As a key for one target: ``cpython-3.14+freethreaded-linux-x86_64-gnu``."""
        plus = f"+{self.variant}" if self.variant else ""
        return f"{self.implementation}-{self.version}{plus}-{target}"


@dataclass(frozen=True)
class Python:
    """One line of the list of Pythons."""

    request: Wish
    title: str
    """What a person reads: ``CPython 3.14.5, free-threaded``."""
    targets: frozenset[Target]
    """Where there is a build of it."""

    @property
    def text(self) -> str:
        """The request as it is written."""
        return str(self.request)

    @property
    def anywhere(self) -> bool:
        """Whether it is for no machine in particular."""
        return implementation_named(self.request.implementation).any_machine

    @property
    def names(self) -> frozenset[str]:
        """The targets as they are written."""
        return frozenset(map(str, self.targets))


def pythons(keys: Iterable[BuildKey]) -> list[Python]:
    """The Pythons among ``keys``: the newest of each minor version first, prereleases last.

    The newest is asked for by its minor version, so that each target gets its own newest patch;
    anything else by its full version.
    """
    where: dict[_Name, set[Target]] = {}
    newest: dict[tuple[str, str, str], Version] = {}
    reach: dict[tuple[str, str, str], set[Target]] = {}
    for key in keys:
        version, minor = key.version, (key.implementation, key.version.minor_text, key.variant)
        where.setdefault((key.implementation, version, key.variant), set()).add(key.target)
        if not version.prerelease:
            newest[minor] = max(version, newest.get(minor, version))
            reach.setdefault(minor, set()).add(key.target)
    lines = []
    for (implementation, version, variant), targets in where.items():
        minor = (implementation, version.minor_text, variant)
        first = newest.get(minor) == version
        request = Wish(implementation, version.minor_text if first else str(version), variant)
        mark = ", prerelease" if version.prerelease else ""
        title = (
            f"{implementation_named(implementation).title} {version}{_VARIANT_NAMES[variant]}{mark}"
        )
        rank = 3 if version.prerelease else 2 if not first else 1 if "debug" in variant else 0
        kind = VARIANTS.index(variant)
        # What is listed by minor version goes by variant, all the rest by version.
        place = (rank, IMPLEMENTATIONS.index(implementation), kind if rank < 2 else 0)
        reached = frozenset(reach[minor] if first else targets)
        lines.append((place, version, kind, Python(request, title, reached)))
    lines.sort(key=lambda line: line[2])
    lines.sort(key=lambda line: line[1], reverse=True)
    lines.sort(key=lambda line: line[0])
    return [python for _, _, _, python in lines]


def python_options(found: Sequence[Python]) -> list[Option]:
    """The list of Pythons to choose from."""
    width = max((len(python.text) for python in found if len(python.text) < 14), default=0)
    return [Option(python.text, f"{python.text:<{width}}  {python.title}") for python in found]


def target_options(chosen: Sequence[Python], host: Target) -> list[Option]:
    """The targets for which there is any of ``chosen``; ``host`` is first, and chosen.

    A title says what of ``chosen`` a target lacks. Pyodide goes anywhere and asks for no target.
    """
    bound = [python for python in chosen if not python.anywhere]
    found = {target for python in bound for target in python.targets}
    width = max((len(str(target)) for target in found), default=0)
    options = []
    for target in sorted(found, key=lambda target: _target_place(target, host)):
        lacking = [python.text for python in bound if target not in python.targets]
        # Not "this machine": who searches for "mac" does not mean that.
        remarks = ["this host"] if target == host else []
        remarks += [f"no {', '.join(lacking)}"] if lacking else []
        title = f"{target!s:<{width}}  {'; '.join(remarks)}".rstrip()
        options.append(Option(str(target), title, chosen=target == host))
    return options


def unreached(chosen: Sequence[Python], targets: Iterable[str]) -> str:
    """What of ``chosen`` there is for none of ``targets``, as a sentence; empty if nothing."""
    wanted = set(targets)
    for python in chosen:
        if not python.anywhere and not wanted & python.names:
            return f"no {python.text} for {_listed(targets)}; choose a target that has it too"
    return ""


def requests(chosen: Sequence[Python], targets: Sequence[str]) -> tuple[str, ...]:
    """What asks for ``chosen`` on ``targets`` as far as there are builds.

    One that is not there for every target is asked for by a key for each that has it.
    """
    found: list[str] = []
    for python in chosen:
        if python.anywhere or python.names.issuperset(targets):
            found.append(python.text)
        else:
            found += [python.request.on(name) for name in targets if name in python.names]
    return tuple(found)


def gaps(chosen: Sequence[Python], targets: Sequence[str]) -> list[str]:
    """What there is not, one line each."""
    return [
        f"no {python.text} for {name}"
        for python in chosen
        for name in targets
        if not python.anywhere and name not in python.names
    ]


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown) if len(shown) < 4 else f"any of these {len(shown)} targets"


def _target_place(target: Target, host: Target) -> tuple[bool, int, str]:
    name = str(target)
    place = _COMMON.index(name) if name in _COMMON else len(_COMMON)
    return (target != host, place, name)
