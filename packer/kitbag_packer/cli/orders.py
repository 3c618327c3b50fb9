"""What one run of ``kitbag pack`` is asked to do: by requests, by a recipe, by a conversation."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_packer.cli.forms import chosen_bytecode, chosen_output
from kitbag_packer.environments.carrying import NOTHING, Carried

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.gathering import Supply
    from kitbag_packer.packing import PackOptions
    from kitbag_packer.recipes.lock import Lock
    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.reporting import PackerReporter
    from kitbag_packer.resolution import Choice

RECIPE = "kitbag.toml"


@dataclass(frozen=True)
class Order:
    """Everything that one run is asked to do, whoever asked."""

    output: Path
    options: PackOptions
    sources: Sequence[str] = ()
    choices: Sequence[Choice] = ()
    supply: Supply | None = field(default=None, compare=False)
    carried: Carried = NOTHING


def by_requests(options: argparse.Namespace, reporter: PackerReporter) -> Order:
    """What the words of the command line say."""
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.requests import parse_requests
    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.cli.environments import chosen_specs
    from kitbag_packer.packing import PackOptions

    specs = chosen_specs(options)
    how = PackOptions(
        name=options.name or (specs[0].name if specs else "python"),
        version=options.bundle_version or "",
        key=BuildKey.parse(options.key) if options.key else None,
        with_tests=options.with_tests,
        directory=options.format == "dir",
        plain=options.plain,
        bootstrap=Bootstrap(recompress=options.recompress),
        bytecode=chosen_bytecode(options),
    )
    output = chosen_output(options.output)
    requests = parse_requests(options.requests)
    carried = Carried(specs)
    if carried and not requests and not options.sources:
        raise UsageError("name the Python that the packages are for, such as 3.13")
    targets = options.targets or ["host"]
    if options.wheelhouse_only:
        from kitbag_packer.environments.carrying import versions_on

        carried = replace(carried, wheelhouse=versions_on(requests, targets))
        return Order(output, how, supply=_supply(options, reporter), carried=carried)
    if not requests:
        supply = _supply(options, reporter) if carried else None
        return Order(output, how, options.sources, supply=supply, carried=carried)
    from kitbag_packer.cli.options import chosen_catalogs
    from kitbag_packer.resolution import resolve

    supply = _supply(options, reporter)
    catalogs = chosen_catalogs(options, supply.cache.folder, reporter)
    choices = resolve(
        requests,
        targets,
        catalogs,
        flavor=options.flavor,
        allow_unverified=options.allow_unverified,
    )
    _tell_differences(choices, reporter)
    how = replace(how, bootstrap=_bootstrap(options, catalogs, targets))
    return Order(output, how, options.sources, choices, supply, carried)


def by_recipe(options: argparse.Namespace, reporter: PackerReporter) -> Order:
    """What a recipe and its lock say."""
    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.packing import PackOptions
    from kitbag_packer.recipes.fitting import check, check_kitbag
    from kitbag_packer.recipes.lock import choices_of, lock_path, read_lock
    from kitbag_packer.recipes.pinning import planned_of
    from kitbag_packer.recipes.recipe import read_recipe
    from kitbag_packer.recipes.wants import meant

    place = Path(options.recipe or RECIPE)
    recipe = read_recipe(place)
    output = chosen_output(options.output, recipe.output_path)
    supply = _supply(options, reporter)
    if options.locked:
        lock = read_lock(lock_path(place))
        check(lock, recipe)
        remark = check_kitbag(lock, relock=options.relock)
        if remark:
            reporter.warn(remark)
    else:
        lock = _up_to_date(place, recipe, options, reporter)
    how = PackOptions(
        name=options.name or recipe.name,
        version=recipe.version if options.bundle_version is None else options.bundle_version,
        directory=options.format == "dir",
        plain=options.plain,
        install=recipe.install,
        bootstrap=Bootstrap(targets=meant(recipe)),
        bytecode=chosen_bytecode(options, recipe=recipe.bytecode),
    )
    choices = _located(choices_of(lock), recipe, options, supply, reporter)
    return Order(output, how, (), choices, supply, Carried(planned=planned_of(lock, recipe)))


def by_conversation(options: argparse.Namespace, reporter: PackerReporter) -> Order:
    """What a person at the terminal answers."""
    from kitbag_packer.cli.conversation import can_converse, converse
    from kitbag_packer.cli.options import chosen_catalogs
    from kitbag_packer.packing import PackOptions

    if not can_converse():
        raise UsageError(
            "nothing to pack; name builds (3.13, pypy3.11), --from PATH or -f kitbag.toml, and the "
            "bundle to write with -o FILE; see kitbag pack --help"
        )
    supply = _supply(options, reporter)
    catalogs = chosen_catalogs(options, supply.cache.folder, reporter)
    answers = converse(
        options,
        reporter,
        catalogs=catalogs,
        cache=supply.cache,
        settings=supply.settings,
        mirrors=supply.mirrors,
    )
    how = PackOptions(
        name=answers.name,
        version=answers.version,
        directory=answers.format == "dir",
        install=answers.install,
        bootstrap=_bootstrap(options, catalogs, answers.targets),
        bytecode=chosen_bytecode(options),
    )
    return Order(Path(answers.output), how, (), answers.choices, supply)


def _supply(options: argparse.Namespace, reporter: PackerReporter) -> Supply:
    from kitbag_packer.cli.options import chosen_cache, chosen_mirrors, chosen_settings
    from kitbag_packer.downloads.accounts import Accounts
    from kitbag_packer.gathering import Supply

    settings = replace(chosen_settings(options), accounts=Accounts())
    return Supply(chosen_cache(options, reporter), settings, chosen_mirrors(options))


def _bootstrap(
    options: argparse.Namespace, catalogs: Sequence[Catalog], targets: Sequence[str]
) -> Bootstrap:
    """What may be done so that a bundle of requests starts by itself."""
    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.targets import Wanted

    return Bootstrap(
        tuple(catalogs) if options.bootstrap else (),
        Wanted.parse(targets).named,
        options.recompress,
        options.allow_unverified,
        "--no-bootstrap leaves it out",
    )


def _tell_differences(choices: Sequence[Choice], reporter: PackerReporter) -> None:
    from kitbag_packer.resolution import differing

    for request, several in differing(choices).items():
        got = ", ".join(f"{each.offer.key.version} for {each.target}" for each in several)
        reporter.info(f"{request} is not the same version everywhere: {got}")


def _up_to_date(
    place: Path, recipe: Recipe, options: argparse.Namespace, reporter: PackerReporter
) -> Lock:
    """The recipe's lock, made or changed as the recipe demands, and written if it was."""
    from kitbag_packer.cli.lock import bring_up_to_date
    from kitbag_packer.recipes.files import write_text_safely
    from kitbag_packer.recipes.lock import lock_path, read_lock, render

    path = lock_path(place)
    previous = read_lock(path) if path.exists() else None
    lock = bring_up_to_date(options, recipe, previous, reporter)
    if previous is None or render(previous) != render(lock):
        write_text_safely(path, render(lock))
        reporter.info(f"{path}: {'brought up to date' if previous else 'made'}")
    return lock


def _located(
    choices: Sequence[Choice],
    recipe: Recipe,
    options: argparse.Namespace,
    supply: Supply,
    reporter: PackerReporter,
) -> tuple[Choice, ...]:
    """The same choices; archives that no public address has get that of a catalog at hand."""
    if all(choice.offer.url for choice in choices):
        return tuple(choices)
    from kitbag_packer.cli.options import chosen_catalogs
    from kitbag_packer.recipes.places import located

    if not options.catalogs and not os.environ.get("KITBAG_CATALOG"):
        options.catalogs = list(recipe.catalog_places)
    return located(choices, chosen_catalogs(options, supply.cache.folder, reporter))
