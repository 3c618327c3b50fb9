"""Pin what a recipe asks for.

Looks up every build of kitbag.toml and every package of its environments, and writes the exact
files, with sizes and digests, into kitbag.lock beside it. What is locked already and still fits
stays as it is. With the lock, kitbag pack --locked makes the same bundle on any machine, any day.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output
from kitbag_packer.cli.options import add_catalogs, add_downloads

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from kitbag_packer.recipes.changes import Changes, EnvironmentChange
    from kitbag_packer.recipes.lock import Lock, Pin
    from kitbag_packer.recipes.packages import EnvironmentPin
    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.reporting import PackerReporter

EPILOG = """\
examples:
  kitbag lock                                  kitbag.toml here; what fits is kept
  kitbag lock --upgrade                        the newest of everything
  kitbag lock -f edge.toml --check             only say whether edge.lock fits
  kitbag lock --print-schema                   the JSON schema of recipes, for editors
"""
DEFAULT = "kitbag.toml"
_MARKS = {"added": "+", "removed": "-", "updated": "~", "kept": "="}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "-f",
        "--file",
        dest="recipe",
        default=DEFAULT,
        metavar="FILE",
        help=f"the recipe (default: {DEFAULT}); its lock is beside it, edge.toml has edge.lock",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--upgrade",
        action="store_true",
        help="look everything up anew, also what is locked already",
    )
    what.add_argument(
        "--check",
        action="store_true",
        help="write nothing; say whether the lock goes with its recipe and with this kitbag",
    )
    what.add_argument(
        "--print-schema", action="store_true", help="write the JSON schema of recipes to stdout"
    )
    add_catalogs(parser)
    add_downloads(parser)
    add_output(parser)


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.recipes.lock import lock_path, read_lock
    from kitbag_packer.recipes.recipe import read_recipe

    if options.print_schema:
        import sys

        from kitbag_packer.recipes.shape import schema_text

        sys.stdout.write(schema_text())
        return 0
    path = Path(os.path.expanduser(options.recipe))
    place = lock_path(path)
    recipe = read_recipe(path)
    if options.check:
        return _check(options, read_lock(place), recipe, path, place)
    previous = _previous(place, upgrade=options.upgrade)
    lock = bring_up_to_date(options, recipe, previous, reporter, upgrade=options.upgrade)
    _write(options, path, place, previous, lock)
    return 0


def _previous(place: Path, *, upgrade: bool) -> Lock | None:
    from kitbag_packer.errors import StaleLock
    from kitbag_packer.recipes.lock import read_lock

    try:
        return read_lock(place) if os.path.lexists(place) else None
    except StaleLock:
        if upgrade:
            return None
        raise


def bring_up_to_date(
    options: argparse.Namespace,
    recipe: Recipe,
    previous: Lock | None,
    reporter: PackerReporter,
    *,
    upgrade: bool = False,
) -> Lock:
    """The lock of ``recipe``, by the catalogs and with the downloads that ``options`` name.

    An option beats the environment, and that the recipe.
    """
    from kitbag_packer.cli.options import (
        chosen_cache,
        chosen_catalogs,
        chosen_mirrors,
        chosen_settings,
    )
    from kitbag_packer.downloads.accounts import Accounts
    from kitbag_packer.recipes.fitting import differences
    from kitbag_packer.recipes.lock import relocked
    from kitbag_packer.recipes.locking import make_lock

    if previous is not None and not upgrade and not any(differences(previous, recipe)):
        return relocked(previous)
    if not options.catalogs and not os.environ.get("KITBAG_CATALOG", "").split():
        options.catalogs = list(recipe.catalog_places)
    cache = chosen_cache(options, reporter)
    return make_lock(
        recipe,
        previous,
        upgrade=upgrade,
        catalogs=chosen_catalogs(options, cache.folder, reporter),
        mirrors=chosen_mirrors(options),
        settings=replace(chosen_settings(options), accounts=Accounts()),
        cache=cache,
        reporter=reporter,
    )


def _check(options: argparse.Namespace, lock: Lock, recipe: Recipe, path: Path, place: Path) -> int:
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_packer.recipes.fitting import check, check_kitbag

    check(lock, recipe)
    check_kitbag(lock)
    if options.json:
        builds = [str(pin.key) for pin in lock.pins]
        environments = [_environment_table(pin) for pin in lock.environments]
        write_json({**_names(path, place), "builds": builds, "environments": environments})
    else:
        write_line(f"{place}: fits; {_count(lock)}")
    return 0


def _write(
    options: argparse.Namespace, path: Path, place: Path, previous: Lock | None, lock: Lock
) -> None:
    from kitbag_installer.cli.terminal import write_json
    from kitbag_packer.recipes.changes import changes, environment_changes
    from kitbag_packer.recipes.files import write_text_safely
    from kitbag_packer.recipes.lock import render

    changed = previous is None or render(previous) != render(lock)
    if changed:
        write_text_safely(place, render(lock))
    found, environments = changes(previous, lock), environment_changes(previous, lock)
    if options.json:
        table = {**_names(path, place), "changed": changed, **_as_table(found)}
        write_json({**table, "environments": [_change_table(each) for each in environments]})
    else:
        _render(place, previous, lock, found, environments, changed=changed)


def _render(
    place: Path,
    previous: Lock | None,
    lock: Lock,
    found: Changes,
    environments: Iterable[EnvironmentChange],
    *,
    changed: bool,
) -> None:
    from kitbag_installer.cli.terminal import write_line

    write_line(f"{'Locked' if changed else 'Unchanged:'} {_count(lock)} in {place}")
    for pin in found.added:
        write_line(f" + {_described(pin)}")
    for pin in found.removed:
        write_line(f" - {pin.key}")
    for old, new in found.updated:
        before = f"{old.key.version}" if old.key != new.key else old.release or old.filename
        write_line(f" ~ {_described(new)}, was {before}")
    for pin in found.kept:
        write_line(f" = {_described(pin)}")
    for each in environments:
        count = len(each.pin.packages)
        told = f": {'; '.join(each.packages)}" if each.packages else ""
        write_line(
            f" {_MARKS[each.what]} {each.pin.title} ({count} package{'s'[: count != 1]}){told}"
        )
    if previous and previous.kitbag != lock.kitbag:
        write_line(f"for kitbag {lock.kitbag}, was {previous.kitbag}")


def _described(pin: Pin) -> str:
    from kitbag_installer.cli.terminal import human_size

    reason = ", ".join(pin.requests) or "to start with"
    return f"{pin.key} ({reason}; {human_size(pin.size)})"


def _count(lock: Lock) -> str:
    from kitbag_installer.cli.terminal import human_size

    count, environments = len(lock.pins), len(lock.environments)
    size = human_size(sum(pin.size for pin in lock.pins))
    builds = f"{count} build{'' if count == 1 else 's'} ({size})"
    also = f"{environments} environment{'s'[: environments != 1]}"
    return " and ".join(([builds] if count else []) + ([also] if environments else []))


def _names(recipe: Path, place: Path) -> dict[str, Any]:
    return {"recipe": os.path.abspath(recipe), "lock": os.path.abspath(place)}


def _as_table(found: Changes) -> dict[str, Any]:
    return {
        "added": [_pin_table(pin) for pin in found.added],
        "removed": [_pin_table(pin) for pin in found.removed],
        "updated": [{"from": _pin_table(old), "to": _pin_table(new)} for old, new in found.updated],
        "kept": [_pin_table(pin) for pin in found.kept],
    }


def _change_table(change: EnvironmentChange) -> dict[str, Any]:
    table = {**_environment_table(change.pin), "change": change.what}
    return {**table, "packages": list(change.packages)} if change.packages else table


def _environment_table(pin: EnvironmentPin) -> dict[str, Any]:
    return {
        "name": pin.name,
        "target": str(pin.target),
        **({"python": str(pin.python)} if pin.python else {}),
        "python-version": pin.version,
        "count": len(pin.packages),
    }


def _pin_table(pin: Pin) -> dict[str, Any]:
    return {
        "key": str(pin.key),
        "requests": list(pin.requests),
        "filename": pin.filename,
        "size": pin.size,
        "sha256": pin.sha256,
        **({"bootstrap": True} if pin.bootstrap else {}),
    }
