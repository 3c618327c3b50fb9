"""What a recipe asks for: which request on which target, in which flavor; and what makes no sense.

Nothing here may depend on the machine: a recipe and its lock mean the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_bundles.requests import Request
from kitbag_packer.flavors import parse_flavor
from kitbag_packer.recipes.recipe import TargetOptions
from kitbag_packer.recipes.shape import place
from kitbag_packer.targets import EMSCRIPTEN, host_target, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.keys import Target
    from kitbag_packer.recipes.recipe import Recipe

ALL = "all"
"""The target that stands for every one that is not named."""


@dataclass(frozen=True)
class Want:
    """One request on one target."""

    request: str
    """As it was written."""
    target: str
    """In full, ``windows-x86_64-none``; or ``all``."""
    flavor: str
    """Empty for the best there is."""


def wants(recipe: Recipe) -> tuple[Want, ...]:
    """Everything that ``recipe`` asks for, each thing once, in the order of the recipe.

    A request that names a platform is for the targets that are that platform; Pyodide is for its
    own, whatever the targets are.
    """
    found: dict[Want, None] = {}
    for target, options in _targets(recipe):
        flavor = recipe.flavor if options.flavor is None else options.flavor
        for text in options.python or recipe.python:
            request = Request.parse(text)
            if request.implementation == "pyodide":
                found[Want(text, str(EMSCRIPTEN), flavor)] = None
            elif target is None or _is_for(request, target):
                found[Want(text, ALL if target is None else str(target), flavor)] = None
    return tuple(found)


def named_targets(recipe: Recipe) -> frozenset[str]:
    """The targets that the recipe names, in full; ``all`` is not about them.

    Pyodide's is among them where one is asked for, since that is always for its own.
    """
    named = {str(target) for target, _ in _targets(recipe) if target is not None}
    return frozenset(named | {want.target for want in wants(recipe)} - {ALL})


def meant(recipe: Recipe) -> tuple[Target, ...]:
    """The machines that the recipe names; a Pyodide is for each of them."""
    return tuple(target for target, _ in _targets(recipe) if target is not None)


def problems(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What is wrong with the values of ``recipe``: the key, and what to do about it."""
    # They end up in manifests and on terminals, where control characters do harm.
    for name in ("name", "version", "flavor", "output"):
        if not getattr(recipe, name).isprintable():
            yield place("bundle", name), "there is a character in it that cannot be printed"
    for where, requests in _requests(recipe):
        yield from _unreadable(requests, where)
    yield from _bad_flavors(recipe)
    yield from _bad_targets(recipe)
    yield from _ambiguous(wants(recipe))
    yield from _bad_environments(recipe)
    used = {want.request for want in wants(recipe)}
    for where, requests in _requests(recipe):
        for text in requests:
            # The bundle's requests may all be replaced; those of a target are for that one.
            if text not in used and not (where == place("bundle", "python") and _replaced(recipe)):
                yield where, f"{text!r} is for none of the targets here; add its target, or drop it"


def builds_wanted(recipe: Recipe) -> tuple[Want, ...]:
    """The builds among :func:`wants`: none of a wheelhouse, which has versions alone."""
    return () if recipe.wheelhouse_only else wants(recipe)


def _bad_environments(recipe: Recipe) -> Iterator[tuple[str, str]]:
    from kitbag_packer.recipes.environments import problems_of

    if recipe.wheelhouse_only:
        if not recipe.environments:
            where = place("bundle", "wheelhouse-only")
            yield where, "there are no packages; describe them in an [[environment]]"
        if recipe.bytecode:
            where = place("bundle", "bytecode")
            yield where, "a wheelhouse has no builds to compile; leave it out"
    yield from problems_of(recipe.environments)


def _ambiguous(asked: Sequence[Want]) -> Iterator[tuple[str, str]]:
    flavors: dict[tuple[str, str], str] = {}
    for want in asked:
        if flavors.setdefault((want.request, want.target), want.flavor) != want.flavor:
            problem = f"{want.request!r} is the same build for every target; give it one flavor"
            yield place("bundle", "flavor"), problem


def _targets(recipe: Recipe) -> Iterator[tuple[Target | None, TargetOptions]]:
    """Targets with their options, ``None`` for ``all``."""
    special = {parse_target(each.target): each for each in recipe.target_options}
    named = [parse_target(each) for each in recipe.targets if each != ALL]
    if ALL in recipe.targets:
        named += [target for target in special if target not in named]
    for target in named:
        yield target, special.get(target, TargetOptions(str(target)))
    if ALL in recipe.targets:
        yield None, TargetOptions(ALL)


def _is_for(request: Request, target: Target) -> bool:
    return (
        request.os in ("", target.os)
        and request.arch in ("", target.arch)
        and request.libc in ("", target.libc)
    )


def _requests(recipe: Recipe) -> Iterator[tuple[str, Sequence[str]]]:
    yield place("bundle", "python"), recipe.python
    for options in recipe.target_options:
        yield place("target", options.target, "python"), options.python


def _replaced(recipe: Recipe) -> bool:
    return all(options.python for _, options in _targets(recipe))


def _unreadable(texts: Sequence[str], where: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        try:
            Request.parse(text)
        except UsageError as error:
            yield where, str(error)


def _bad_flavors(recipe: Recipe) -> Iterator[tuple[str, str]]:
    flavors = {place("bundle", "flavor"): recipe.flavor}
    flavors |= {
        place("target", options.target, "flavor"): options.flavor or ""
        for options in recipe.target_options
    }
    for where, text in flavors.items():
        try:
            parse_flavor(text)
        except UsageError as error:
            yield where, str(error).removeprefix("--flavor ")


def _bad_targets(recipe: Recipe) -> Iterator[tuple[str, str]]:
    where = place("bundle", "targets")
    named = set()
    for text in recipe.targets:
        if text == "host":
            yield where, f"'host' is another machine for others; this one is {host_target()}"
        elif text != ALL:
            try:
                named.add(parse_target(text))
            except UsageError as error:
                yield where, str(error)
    seen: dict[Target, str] = {}
    for options in recipe.target_options:
        where = place("target", options.target)
        try:
            target = parse_target(options.target)
        except UsageError as error:
            yield where, str(error)
            continue
        if target in seen:
            yield where, f"[target.{seen[target]}] is about {target} too; make one of them"
        elif target not in named and ALL not in recipe.targets:
            yield where, "not one of the targets of [bundle]; add it there, or remove this table"
        seen[target] = options.target
