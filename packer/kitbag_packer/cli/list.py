"""List what can be packed.

Shows the newest build of each minor version for this machine, and of each build the archive that
"kitbag pack" would take. Nothing is fetched but catalogs that are named by address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output, add_requests
from kitbag_packer.cli.options import add_cache, add_catalogs, add_flavor, add_targets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from kitbag_packer.catalogs.model import Catalog, Offer
    from kitbag_packer.reporting import PackerReporter

EPILOG = """\
examples:
  kitbag list
  kitbag list 3.13 pypy --target linux-aarch64 --target windows-x86_64
  kitbag list 3.13t --all-versions
  kitbag list '>=3.12' --target all --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_requests(parser, "all, in their usual variant")
    add_targets(parser, "host")
    parser.add_argument(
        "--all-versions",
        action="store_true",
        help="every version, not only the newest of each minor version",
    )
    add_flavor(parser)
    add_catalogs(parser)
    add_cache(parser)
    parser.add_argument(
        "--offline",
        action="store_true",
        help="use no network: only the cache and local files (KITBAG_OFFLINE=1)",
    )
    parser.set_defaults(jobs=None, limit_rate=None)
    add_output(parser)


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.requests import parse_requests
    from kitbag_packer.cli.options import chosen_cache_dir, chosen_catalogs
    from kitbag_packer.resolution import available

    requests = parse_requests(options.requests)
    cache_dir = chosen_cache_dir(options)
    catalogs = chosen_catalogs(options, cache_dir, reporter)
    offers = available(
        requests,
        options.targets,
        catalogs,
        all_versions=options.all_versions,
        flavor=options.flavor,
    )
    archives = cache_dir / "archives"
    if options.json:
        _write_json(offers, catalogs, archives)
        return 0
    _write_table(offers, archives)
    reporter.info(_remark(offers, catalogs))
    return 0


def _is_cached(offer: Offer, archives: Path) -> bool:
    return bool(offer.sha256) and (archives / offer.sha256).is_file()


def _write_json(offers: Sequence[Offer], catalogs: Sequence[Catalog], archives: Path) -> None:
    from kitbag_installer.cli.terminal import write_json

    write_json(
        {
            "builds": [_fields(offer, archives) for offer in offers],
            "catalogs": [
                {"name": each.name, "date": each.date, "sha256": each.digest} for each in catalogs
            ],
        }
    )


def _fields(offer: Offer, archives: Path) -> dict[str, Any]:
    key = offer.key
    return {
        "key": str(key),
        "implementation": key.implementation,
        "version": str(key.version),
        "variant": key.variant,
        "target": str(key.target),
        "filename": offer.filename,
        "url": offer.canonical,
        "size": offer.size,
        "sha256": offer.sha256,
        "flavor": offer.flavor,
        "release": offer.release,
        "options": list(offer.options),
        "static": offer.static,
        "catalog": offer.catalog,
        "cached": _is_cached(offer, archives),
    }


def _write_table(offers: Sequence[Offer], archives: Path) -> None:
    import sys

    from kitbag_installer.cli.terminal import human_size, paint, write_line

    several = len({offer.catalog for offer in offers}) > 1
    rows = [
        (
            str(offer.key),
            "+".join((*sorted(offer.options, reverse=True), offer.flavor)).strip("+") or "-",
            offer.release or "-",
            "-" if offer.size is None else human_size(offer.size),
            "cached" if _is_cached(offer, archives) else "-",
            offer.catalog.rstrip("/").rpartition("/")[2] if several else "-",
        )
        for offer in offers
    ]
    titles = ("build", "flavor", "release", "size", "cache", "catalog")
    # A column in which nothing is known would only take room.
    shown = [
        number
        for number in range(len(titles))
        if number < 3 or any(row[number] != "-" for row in rows)
    ]
    widths = {number: max(len(row[number]) for row in (titles, *rows)) for number in shown}
    if sys.stdout.isatty():
        write_line(paint(_line(titles, widths), "bold", sys.stdout))
    for row in rows:
        write_line(_line(row, widths))


def _line(row: Sequence[str], widths: dict[int, int]) -> str:
    cells = [
        f"{row[number]:>{width}}" if number == 3 else f"{row[number]:<{width}}"
        for number, width in widths.items()
    ]
    return "  ".join(cells).rstrip()


def _remark(offers: Sequence[Offer], catalogs: Sequence[Catalog]) -> str:
    known = [f"{each.name} of {each.date}" if each.date else each.name for each in catalogs]
    count = f"{len(offers)} build{'s' if len(offers) > 1 else ''}"
    update = "; kitbag catalog update fetches newer lists"
    return f"{count}, from {', '.join(known)}{update if catalogs[-1].name == 'embedded' else ''}"
