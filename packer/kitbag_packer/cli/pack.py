"""Make a bundle.

What is named by a request (3.13, pypy3.11, …) is looked up in catalogs, downloaded, checked and
kept in a cache. What is named with --from is taken from this machine: an archive travels byte for
byte; an installed CPython is taken apart, its own files only, in the shape that can be installed
anywhere. A recipe (kitbag.toml) says all this in a file, and its lock (kitbag.lock) pins it.

The same builds give the same bundle, byte for byte, whatever the order, the place and the day.

With no arguments on a terminal, kitbag asks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import REQUEST_HELP, add_output
from kitbag_packer.cli.options import (
    add_catalogs,
    add_downloads,
    add_flavor,
    add_targets,
    chosen_jobs,
)
from kitbag_packer.cli.passwords import add_password

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.gathering import Supply
    from kitbag_packer.packing import Packed, PackOptions
    from kitbag_packer.recipes.lock import Lock
    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.reporting import PackerReporter
    from kitbag_packer.resolution import Choice

EPILOG = """\
examples:
  kitbag pack 3.13 -o tools.kitbag
  kitbag pack 3.13 pypy3.11 --target linux-x86_64-gnu --target windows-x86_64 -o kit.kitbag
  kitbag pack '>=3.11,<3.13' --target all --limit-rate 200k -o wide.kitbag
  kitbag pack 3.13 --offline --catalog /media/stick/archives/ -o tools.kitbag
  kitbag pack 3.13 --bytecode -o warm.kitbag
  kitbag pack -f kitbag.toml --locked
  kitbag pack --from cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz \\
              --from python3.12 -o tools.kitbag
  kitbag pack --from build.tar.gz --key cpython-3.13.5-linux-x86_64-gnu -o own.kitbag
"""
_RECIPE = "kitbag.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("requests", nargs="*", metavar="REQUEST", help=REQUEST_HELP)
    add_targets(parser, "host")
    parser.add_argument("-o", "--output", metavar="FILE", help="the bundle to write")
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="PATH",
        help="pack this too: an archive of a build (.tar.gz, .tgz, .tar.zst, .tar.xz, .tar.bz2, "
        ".zip, .7z), the prefix of an installed CPython, or an interpreter such as python3.12; "
        "may be given several times",
    )
    parser.add_argument(
        "--key", metavar="KEY", help="the build's key, where the name of its archive does not tell"
    )
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument(
        "-f",
        "--file",
        dest="recipe",
        metavar="FILE",
        help="a recipe, which says what to pack; its lock, beside it, is made or brought up to "
        "date",
    )
    recipe.add_argument(
        "--locked",
        action="store_true",
        help=f"pack what the lock of the recipe ({_RECIPE} without -f) pins, and nothing else",
    )
    recipe.add_argument(
        "--relock",
        action="store_true",
        help="with --locked: go on although another version of kitbag made the lock",
    )
    fetching = parser.add_argument_group("catalogs and downloads")
    add_flavor(fetching)
    add_catalogs(fetching)
    add_downloads(fetching)
    fetching.add_argument(
        "--allow-unverified",
        action="store_true",
        help="also take builds for which no catalog has a SHA-256",
    )
    made = parser.add_argument_group("the bundle")
    made.add_argument(
        "--format",
        choices=("kitbag", "7z", "dir"),
        help="one file (the default), that file inside of a .7z, or its members in a directory",
    )
    made.add_argument(
        "--encrypt", action="store_true", help="with --format 7z: only a password opens it"
    )
    add_password(made)
    made.add_argument(
        "--plain",
        action="store_true",
        help="without the shell script at its start that installs it where there is no Python: an "
        "ordinary ZIP file, for sites that refuse executables",
    )
    made.add_argument(
        "--volume-size",
        metavar="SIZE",
        help="write volumes FILE.001, FILE.002, … of at most this many bytes, such as 4GiB-1 (what "
        "FAT32 holds), 2GiB or 700MB; rounded down to a multiple of 4096",
    )
    made.add_argument(
        "--name", help="a name for the bundle, shown by kitbag show (default: python)"
    )
    made.add_argument("--bundle-version", metavar="VERSION", help="the bundle's own version")
    made.add_argument(
        "--no-bootstrap",
        dest="bootstrap",
        action="store_false",
        help="add no build where nothing in the bundle can start the installer on a target, or "
        "decode everything that is for it; only warn",
    )
    made.add_argument(
        "--recompress",
        action="store_true",
        help="in such a case, first carry archives of the bundle that stand in the way as .tar.gz: "
        "the same tar, but no longer upstream's file",
    )
    made.add_argument(
        "--bytecode",
        action="store_true",
        default=None,
        help="compile the standard libraries now and bring the compiled files along, for every "
        "build whose bytecode an interpreter at hand makes: one of the bundle's that runs here, or "
        "one on PATH; PYC_INVALIDATION_MODE may be checked_hash (the default) or unchecked_hash",
    )
    made.add_argument(
        "--no-bytecode",
        dest="bytecode",
        action="store_false",
        help="bring none along, where a recipe says to",
    )
    made.add_argument(
        "--with-tests",
        action="store_true",
        help="take the test suite of an installed CPython along",
    )
    add_output(parser)


@dataclass(frozen=True)
class _Order:
    """Everything that one run is asked to do, whoever asked."""

    output: Path
    options: PackOptions
    sources: Sequence[str] = ()
    choices: Sequence[Choice] = ()
    supply: Supply | None = field(default=None, compare=False)


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.packing import pack

    _check(options)
    volume_size = _volume_size(options)
    jobs = chosen_jobs(options)
    password = _password(options)
    said = options.requests or options.sources or options.recipe or options.locked
    if options.recipe or options.locked:
        order = _by_recipe(options, reporter)
    elif said:
        order = _by_requests(options, reporter)
    else:
        order = _by_conversation(options, reporter)
    packed = pack(
        order.sources,
        order.output,
        replace(_in_volumes(order, volume_size), **_wrapping(options, password), jobs=jobs),
        reporter,
        choices=order.choices,
        supply=order.supply,
    )
    _render(packed, as_json=options.json)
    return 0


def _check(options: argparse.Namespace) -> None:
    """What contradicts itself, before any work."""
    by_recipe = options.recipe or options.locked
    if by_recipe and (options.requests or options.sources or options.targets or options.flavor):
        raise UsageError(
            "a recipe says itself what to pack; leave out requests, --from, --target and --flavor, "
            "or leave out -f and --locked"
        )
    if by_recipe and options.allow_unverified:
        raise UsageError("a recipe says itself whether to (allow-unverified = true in [bundle])")
    if by_recipe and not options.bootstrap:
        raise UsageError("a recipe says itself whether to (bootstrap = false in [bundle])")
    if by_recipe and options.recompress:
        raise UsageError(
            "--recompress is not for recipes: their bundles are the same bytes everywhere, and "
            "what is compressed here is not"
        )
    if options.relock and not options.locked:
        raise UsageError("--relock goes with --locked")
    if options.targets and not options.requests:
        raise UsageError("--target goes with a request, such as 3.13; a --from tells its own")


def _volume_size(options: argparse.Namespace) -> int:
    """The largest volume in bytes; 0 for one file."""
    if options.volume_size is None:
        return 0
    from kitbag_packer.volumes.sizes import parse_volume_size

    if options.format not in (None, "kitbag"):
        raise UsageError("--volume-size cuts up one file; leave out --format, or leave it out")
    return parse_volume_size(options.volume_size)


def _in_volumes(order: _Order, volume_size: int) -> PackOptions:
    """How to pack what was ordered, in volumes of this size."""
    if not volume_size:
        return order.options
    from kitbag_packer.cli.split import check_unnumbered

    if order.options.directory:
        raise UsageError("--volume-size cuts up one file, and a directory is none")
    check_unnumbered(order.output)
    return replace(order.options, volume_size=volume_size)


def _bytecode(options: argparse.Namespace, *, recipe: bool = False) -> str:
    """The mode of the compiled files to bring along; empty for none."""
    wanted = recipe if options.bytecode is None else options.bytecode
    if not wanted:
        return ""
    from kitbag_installer.bytecode.modes import CHECKED_HASH, TIMESTAMP, chosen_mode

    mode, named = chosen_mode(os.environ)
    if named and mode == TIMESTAMP:
        raise UsageError(
            "PYC_INVALIDATION_MODE=timestamp: compiled files of a bundle can't go by the time of "
            "their sources, which is another one on every machine; set it to checked_hash or "
            "unchecked_hash, or unset it"
        )
    return mode if named else CHECKED_HASH


def _password(options: argparse.Namespace) -> str:
    """What encrypts the bundle; empty for not at all."""
    if not options.encrypt and options.password_file is None:
        return ""
    if options.format != "7z":
        raise UsageError("only a .7z can be encrypted; say --format 7z")
    from kitbag_packer.cli.passwords import chosen_password

    return chosen_password(options.password_file, options.output or "the bundle", twice=True)


def _wrapping(options: argparse.Namespace, password: str) -> dict[str, Any]:
    """The options of a ``.7z``, if it is to be one."""
    return {"sevenzip": True, "password": password} if options.format == "7z" else {}


def _output(given: str | None, otherwise: Path | None = None) -> Path:
    if given == "" or not (given or otherwise):
        raise UsageError("name the bundle to write with -o FILE")
    return Path(given) if given else Path(str(otherwise))


def _supply(options: argparse.Namespace, reporter: PackerReporter) -> Supply:
    from kitbag_packer.cli.options import chosen_cache, chosen_mirrors, chosen_settings
    from kitbag_packer.gathering import Supply

    return Supply(
        chosen_cache(options, reporter), chosen_settings(options), chosen_mirrors(options)
    )


def _by_requests(options: argparse.Namespace, reporter: PackerReporter) -> _Order:
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.requests import parse_requests
    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.packing import PackOptions

    how = PackOptions(
        name=options.name or "python",
        version=options.bundle_version or "",
        key=BuildKey.parse(options.key) if options.key else None,
        with_tests=options.with_tests,
        directory=options.format == "dir",
        plain=options.plain,
        bootstrap=Bootstrap(recompress=options.recompress),
        bytecode=_bytecode(options),
    )
    output = _output(options.output)
    requests = parse_requests(options.requests)
    if not requests:
        return _Order(output, how, options.sources)
    from kitbag_packer.cli.options import chosen_catalogs
    from kitbag_packer.resolution import resolve

    supply = _supply(options, reporter)
    catalogs = chosen_catalogs(options, supply.cache.folder, reporter)
    choices = resolve(
        requests,
        options.targets or ["host"],
        catalogs,
        flavor=options.flavor,
        allow_unverified=options.allow_unverified,
    )
    _tell_differences(choices, reporter)
    how = replace(how, bootstrap=_bootstrap(options, catalogs, options.targets or ["host"]))
    return _Order(output, how, options.sources, choices, supply)


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


def _by_recipe(options: argparse.Namespace, reporter: PackerReporter) -> _Order:
    from kitbag_packer.bootstrap import Bootstrap
    from kitbag_packer.packing import PackOptions
    from kitbag_packer.recipes.fitting import check, check_kitbag
    from kitbag_packer.recipes.lock import choices_of, lock_path, read_lock
    from kitbag_packer.recipes.recipe import read_recipe
    from kitbag_packer.recipes.wants import meant

    place = Path(options.recipe or _RECIPE)
    recipe = read_recipe(place)
    output = _output(options.output, recipe.output_path)
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
        bytecode=_bytecode(options, recipe=recipe.bytecode),
    )
    choices = _located(choices_of(lock), recipe, options, supply, reporter)
    return _Order(output, how, (), choices, supply)


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


def _by_conversation(options: argparse.Namespace, reporter: PackerReporter) -> _Order:
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
        bytecode=_bytecode(options),
    )
    return _Order(Path(answers.output), how, (), answers.choices, supply)


def _render(packed: Packed, *, as_json: bool) -> None:
    from kitbag_bundles.manifest import to_table
    from kitbag_installer.cli.terminal import human_size, write_json, write_line
    from kitbag_packer.cli.split import named

    if as_json:
        table: dict[str, Any] = {
            "bundle": str(packed.path),
            "size": packed.size,
            "sha256": packed.sha256,
            "manifest": to_table(packed.manifest),
        }
        if packed.volumes:
            table["volumes"] = [os.path.basename(path) for path in packed.volumes]
        write_json(table)
        return
    builds = packed.manifest.builds
    count = f"{len(builds)} build{'s' if len(builds) > 1 else ''}"
    place = named(str(packed.path), packed.volumes)
    write_line(f"Packed {count} into {place} ({human_size(packed.size)})")
    for build in builds:
        size, unpacked = human_size(build.payload.size), human_size(build.unpacked_size)
        compiled = (
            f", bytecode of {build.bytecode.files} files: {human_size(build.bytecode.size)}"
            if build.bytecode
            else ""
        )
        write_line(f" + {build.key} ({size}, {unpacked} unpacked{compiled})")
    if packed.sha256:
        write_line(f"sha256 {packed.sha256}")
