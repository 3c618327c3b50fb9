"""Make a bundle.

What is named by a request (3.13, pypy3.11, …) is looked up in catalogs, downloaded, checked and
kept in a cache. What is named with --from is taken from this machine: an archive travels byte for
byte; an installed CPython is taken apart, its own files only, in the shape that can be installed
anywhere. Packages of a project travel with the builds they are for (--project, --lock,
--requirements). A recipe (kitbag.toml) says all this in a file, and its lock (kitbag.lock) pins it.

The same builds give the same bundle, byte for byte, whatever the order, the place and the day.

With no arguments on a terminal, kitbag asks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import REQUEST_HELP, add_output
from kitbag_packer.cli.environments import add_environments
from kitbag_packer.cli.options import (
    add_catalogs,
    add_downloads,
    add_flavor,
    add_targets,
    chosen_jobs,
)
from kitbag_packer.cli.orders import RECIPE
from kitbag_packer.cli.passwords import add_password

if TYPE_CHECKING:
    import argparse

    from kitbag_packer.reporting import PackerReporter

EPILOG = """\
examples:
  kitbag pack 3.13 -o tools.kitbag
  kitbag pack 3.13 pypy3.11 --target linux-x86_64-gnu --target windows-x86_64 -o kit.kitbag
  kitbag pack '>=3.11,<3.13' --target all --limit-rate 200k -o wide.kitbag
  kitbag pack 3.13 --offline --catalog /media/stick/archives/ -o tools.kitbag
  kitbag pack 3.13 --bytecode -o warm.kitbag
  kitbag pack 3.13 --project . --expose myapp -o app.kitbag
  kitbag pack 3.13 --lock pylock.toml --wheelhouse-only -o wheels.kitbag
  kitbag pack -f kitbag.toml --locked
  kitbag pack --from cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz \\
              --from python3.12 -o tools.kitbag
  kitbag pack --from build.tar.gz --key cpython-3.13.5-linux-x86_64-gnu -o own.kitbag
"""


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
        help=f"pack what the lock of the recipe ({RECIPE} without -f) pins, and nothing else",
    )
    recipe.add_argument(
        "--relock",
        action="store_true",
        help="with --locked: go on although another version of kitbag made the lock",
    )
    add_environments(parser.add_argument_group("packages"))
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
        "--name",
        help="a name for the bundle, shown by kitbag show (default: the environment's, or python)",
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


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.cli.environments import says_environment
    from kitbag_packer.cli.forms import chosen_volume_size, in_volumes, new_password, wrapping
    from kitbag_packer.cli.orders import by_conversation, by_recipe, by_requests
    from kitbag_packer.cli.packed import render
    from kitbag_packer.packing import pack

    packages = says_environment(options)
    _check(options, packages)
    volume_size = chosen_volume_size(options)
    jobs = chosen_jobs(options)
    password = new_password(options)
    if options.recipe or options.locked:
        order = by_recipe(options, reporter)
    elif options.requests or options.sources or packages:
        order = by_requests(options, reporter)
    else:
        order = by_conversation(options, reporter)
    how = in_volumes(order.options, order.output, volume_size)
    packed = pack(
        order.sources,
        order.output,
        replace(how, **wrapping(options, password), jobs=jobs),
        reporter,
        choices=order.choices,
        supply=order.supply,
        carried=order.carried,
    )
    render(packed, as_json=options.json)
    return 0


def _check(options: argparse.Namespace, packages: str) -> None:
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
    if by_recipe and packages:
        raise UsageError(
            f"a recipe says itself which packages to bring ([[environment]]); leave out {packages}"
        )
    if options.wheelhouse_only and (options.sources or options.bytecode):
        raise UsageError("--wheelhouse-only packs no builds; leave out --from and --bytecode")
    if options.targets and not options.requests:
        raise UsageError("--target goes with a request, such as 3.13; a --from tells its own")
