"""Sees to it that a bundle starts by itself on every machine that it has builds for.

:mod:`kitbag_packer.starting` says what is missing. Here it is decided what to do about that: an
archive is re-compressed where that was asked for, a build is added where catalogs have one that
helps, and what is left is told. Nothing is fetched here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_bundles.requests import Request
from kitbag_packer.catalogs.merging import collect
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.flavors import best
from kitbag_packer.resolution import Choice
from kitbag_packer.starting import Runtime, Shortfall, runs_on, shortfall
from kitbag_packer.targets import EMSCRIPTEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kitbag_bundles.keys import BuildKey, Target, Version
    from kitbag_packer.catalogs.model import Catalog, Offer
    from kitbag_packer.materials import Material
    from kitbag_packer.reporting import PackerReporter as Reporter

__all__ = [
    "Bootstrap",
    "Plan",
    "complete",
    "machines",
    "needed",
    "offers_of",
    "remarks",
    "tell",
    "tell_costs",
]

REQUEST = "bootstrap"
"""What stands for the request of a build that nobody asked for."""
_FLAVORS = ("install_only_stripped", "install_only")
_RECOMPRESSED = ".tar.gz"
_RECOMPRESSIBLE = (".tar.zst", ".tar.xz", ".tar.bz2")
_HOPELESS = ".7z"


@dataclass(frozen=True)
class Bootstrap:
    """What may be done so that a bundle starts by itself; with nothing said it is only told."""

    catalogs: tuple[Catalog, ...] = ()
    """Where to look for a build to add; none where nothing shall be added."""
    targets: tuple[Target, ...] = ()
    """Machines that are meant even if the bundle has no build of their own; Pyodide is for any."""
    recompress: bool = False
    """Whether archives that no starter decodes are turned into ``.tar.gz``, before adding."""
    allow_unverified: bool = False
    remedy: str = ""
    """How not to get what is added, as a clause."""


@dataclass(frozen=True)
class Plan:
    """What to do, and what is left."""

    added: tuple[Choice, ...] = ()
    recompressed: frozenset[BuildKey] = frozenset()
    filled: tuple[tuple[Shortfall, Choice], ...] = ()
    """What was short before each of ``added``."""
    left: tuple[Shortfall, ...] = ()
    """Where a Python is needed on the target."""


def complete(runtimes: Iterable[Runtime], how: Bootstrap) -> Plan:
    """What makes a bundle of ``runtimes`` start by itself everywhere, as far as it can.

    Depends on nothing but the arguments. Raises :class:`CatalogError`.
    """
    have = list(runtimes)
    wanted = machines(have, how.targets)
    recompressed: set[BuildKey] = set()
    if how.recompress:
        for target in wanted:
            recompressed |= _recompress(have, target)
        have = [
            replace(each, suffix=_RECOMPRESSED) if each.key in recompressed else each
            for each in have
        ]
    filled, left = [], []
    for target in wanted:
        short = shortfall(have, target)
        if short is None:
            continue
        offer = _find(have, short, how)
        if offer is None:
            left.append(short)
            continue
        filled.append((short, Choice(REQUEST, offer.key.target, offer, bootstrap=True)))
        have.append(Runtime.promised(offer))
        rest = shortfall(have, target)
        if rest is not None:
            left.append(rest)
    added = sorted((choice for _, choice in filled), key=lambda each: each.offer.key.order())
    return Plan(tuple(added), frozenset(recompressed), tuple(filled), tuple(left))


def machines(runtimes: Iterable[Runtime], named: Iterable[Target] = ()) -> list[Target]:
    """The targets on which a bundle of ``runtimes`` has to start, lower CPU levels first.

    Those that it has builds for; with a Pyodide, which any machine can use, those that were
    ``named`` too.
    """
    keys = [each.key for each in runtimes]
    found = {key.target for key in keys}
    if EMSCRIPTEN in found:
        found |= set(named)
    return sorted(found - {EMSCRIPTEN}, key=lambda target: (target.cpu_level, str(target)))


def needed(extra: Runtime, others: Sequence[Runtime], named: Iterable[Target] = ()) -> bool:
    """Whether ``extra`` helps a bundle of ``others`` on any machine."""
    for target in machines(others, named):
        before, after = shortfall(others, target), shortfall([*others, extra], target)
        if before != after:
            return True
    return False


def offers_of(choices: Iterable[Choice]) -> list[Runtime]:
    """Builds that have not arrived yet."""
    return [Runtime.promised(choice.offer) for choice in choices]


def tell(plan: Plan, how: Bootstrap, reporter: Reporter) -> None:
    """Say what is added and why, and where the bundle can't do without a Python."""
    for short, choice in plan.filled:
        remedy = f"; {how.remedy}" if how.remedy else ""
        reporter.info(f"{_lack(short)}; adding {_described(choice.offer)}{remedy}")
    for short in plan.left:
        reporter.warn(f"{_lack(short)}; {_demand(short)}")


def remarks(plan: Plan) -> tuple[str, ...]:
    """The same for somebody who reads a plan that shows the builds themselves."""
    added = [f"{choice.offer.key}: only to start the installer with" for choice in plan.added]
    return (*added, *(f"{_lack(short)}; {_demand(short)}" for short in plan.left))


def tell_costs(materials: Iterable[Material], reporter: Reporter) -> None:
    """Say how large the builds are that are there for starting alone."""
    from kitbag_installer.cli.terminal import human_size

    for material in materials:
        if material.bootstrap:
            size = human_size(material.inspection.size)
            reporter.info(f"{material.inspection.key}: {size}, only for starting the installer")


def _described(offer: Offer) -> str:
    from kitbag_installer.cli.terminal import human_size

    size = f", {human_size(offer.size)}" if offer.size else ""
    return f"{offer.key} ({offer.flavor}{size})"


def _lack(short: Shortfall) -> str:
    if not short.starter:
        what = "nothing in the bundle can start the installer there (a CPython >= 3.9 as .tar.gz)"
    else:
        forms = " or ".join(short.undecodable)
        what = f"nothing in the bundle that starts the installer there can decode {forms}"
    return f"{short.target}: {what}"


def _demand(short: Shortfall) -> str:
    """What a person has to have on the target."""
    packages = []
    if ".tar.zst" in short.undecodable:
        packages.append("zstandard package (from 3.14 on it needs none)")
    if _HOPELESS in short.undecodable:
        packages.append("py7zr package")
    extra = f" with the {' and the '.join(packages)}" if packages else ""
    return f"it needs a Python >= 3.9{extra} on the target"


def _recompress(runtimes: Sequence[Runtime], target: Target) -> set[BuildKey]:
    """The builds to turn into ``.tar.gz`` so that nothing is short on ``target``."""
    have = list(runtimes)
    chosen: set[BuildKey] = set()

    def turn(keys: Iterable[BuildKey]) -> None:
        chosen.update(keys)
        have[:] = [
            replace(each, suffix=_RECOMPRESSED) if each.key in chosen else each for each in have
        ]

    short = shortfall(have, target)
    if short is not None and not short.starter:
        able = [each for each in _recompressible(have, target) if _as_gzip(each).starts]
        if able:
            turn([min(able, key=_plainest).key])
            short = shortfall(have, target)
    if short is not None and short.starter:
        turn(e.key for e in _recompressible(have, target) if e.suffix in short.undecodable)
    return chosen


def _recompressible(runtimes: Iterable[Runtime], target: Target) -> list[Runtime]:
    held = [each for each in runtimes if runs_on(each.key, target)]
    return [each for each in held if each.suffix in _RECOMPRESSIBLE]


def _as_gzip(runtime: Runtime) -> Runtime:
    return replace(runtime, suffix=_RECOMPRESSED)


def _plainest(runtime: Runtime) -> tuple[object, ...]:
    key = runtime.key
    return key.target.cpu_level, key.implementation, key.variant, key.order()


def _find(runtimes: Sequence[Runtime], short: Shortfall, how: Bootstrap) -> Offer | None:
    """The archive to add; none where no catalog has one that would help."""
    if not how.catalogs or (short.starter and set(short.undecodable) == {_HOPELESS}):
        return None
    target = short.target
    # The baseline serves machines of every level.
    for place in dict.fromkeys((replace(target, arch=target.cpu), target)):
        for flavor in _FLAVORS:
            found = _suitable(place, flavor, runtimes, short, how)
            if found:
                pythons = (each.key for each in runtimes)
                have = {key.version for key in pythons if key.implementation == "cpython"}
                return max(found, key=lambda offer: _merit(offer.key.version, have))
    return None


def _suitable(
    target: Target, flavor: str, runtimes: Sequence[Runtime], short: Shortfall, how: Bootstrap
) -> list[Offer]:
    """One archive for each build that would leave nothing short but what nothing can decode."""
    request = Request("cpython", implementation="cpython")
    stock = collect(how.catalogs, Interest((request,), frozenset((target,))), flavor)
    have = {each.key for each in runtimes}
    suitable = []
    for key, offers in stock.items():
        if key in have or not request.matches(key) or key.target != target:
            continue
        offer = best(offers)
        known = bool(offer.sha256) or offer.url.startswith("file:") or how.allow_unverified
        runtime = Runtime.promised(offer)
        if known and offer.flavor == flavor and runtime.starts:
            rest = shortfall([*runtimes, runtime], short.target)
            if rest is None or set(rest.undecodable) == {_HOPELESS}:
                suitable.append(offer)
    return suitable


def _merit(version: Version, have: set[Version]) -> tuple[object, ...]:
    return not version.prerelease, version in have, version
