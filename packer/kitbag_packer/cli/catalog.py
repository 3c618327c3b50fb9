"""Fetch or show the lists of builds.

"update" fetches the lists of what can be packed and keeps them in the cache, with date and digest;
from then on they are used, also offline. "show" tells which lists are used, the first one that
knows a build first. Without any update it is the list that comes with kitbag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output
from kitbag_packer.cli.options import add_cache

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.catalogs.updating import Updated
    from kitbag_packer.reporting import PackerReporter

EPILOG = """\
examples:
  kitbag catalog update
  kitbag catalog update --catalog https://intranet.example/python/download-metadata.json
  kitbag catalog show
  kitbag catalog show --catalog download-metadata.json --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=("update", "show"),
        help="'update' to fetch lists and keep them, 'show' to tell which are used",
    )
    parser.add_argument(
        "--catalog",
        dest="catalogs",
        action="append",
        default=[],
        metavar="CATALOG",
        help="update: fetch the list at this address in place of the usual ones; show: tell about "
        "this file, directory or address; may be given several times",
    )
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
    return _update(options, reporter) if options.action == "update" else _show(options, reporter)


def _update(options: argparse.Namespace, reporter: PackerReporter) -> int:
    from kitbag_packer.catalogs.updating import update
    from kitbag_packer.cli.options import chosen_cache_dir, chosen_settings

    done = update(
        options.catalogs,
        cache_dir=chosen_cache_dir(options),
        settings=chosen_settings(options),
        reporter=reporter,
    )
    failed = [each for each in done if each.error is not None]
    if failed and failed[0].error is not None and not any(each.stored for each in done):
        for each in failed[1:]:
            reporter.warn(str(each.error))
        raise failed[0].error
    _render_update(done, reporter, as_json=options.json)
    return failed[0].error.exit_status if failed and failed[0].error else 0


def _render_update(done: Sequence[Updated], reporter: PackerReporter, *, as_json: bool) -> None:
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_packer.catalogs.opening import open_stored

    entries = []
    for each in done:
        entry: dict[str, Any] = {"name": each.name}
        if each.stored is not None:
            entry = _facts(open_stored(each.stored))
            entry["changed"] = each.news
        if each.error is not None:
            entry["error"] = {"code": each.error.code, "message": str(each.error)}
            used = f"; the copy of {each.stored.fetched} stays in use" if each.stored else ""
            reporter.warn(f"{each.error}{used}")
        entries.append(entry)
    if as_json:
        table: dict[str, Any] = {"catalogs": entries}
        errors = [entry["error"] for entry in entries if "error" in entry]
        if errors:
            table["error"] = errors[0]
        write_json(table)
        return
    for entry in entries:
        if "error" not in entry:
            write_line(f"{'Stored' if entry['changed'] else 'Unchanged:'} {entry['name']}")
            _write_facts(entry)


def _show(options: argparse.Namespace, reporter: PackerReporter) -> int:
    from kitbag_installer.cli.terminal import write_json, write_line
    from kitbag_packer.cli.options import chosen_cache_dir, chosen_catalogs

    catalogs = chosen_catalogs(options, chosen_cache_dir(options), reporter)
    entries = [_facts(catalog) for catalog in catalogs]
    if options.json:
        write_json({"catalogs": entries})
        return 0
    for entry in entries:
        write_line(f"{entry['name']}")
        _write_facts(entry)
    return 0


def _facts(catalog: Catalog) -> dict[str, Any]:
    from kitbag_packer.catalogs.updating import extent

    known = extent(catalog)
    return {
        "name": catalog.name,
        "date": catalog.date,
        "sha256": catalog.digest,
        "archives": known.archives,
        "builds": known.builds,
        "versions": known.versions,
    }


def _write_facts(entry: dict[str, Any]) -> None:
    from kitbag_installer.cli.terminal import write_line

    if entry["date"]:
        write_line(f"  date      {entry['date']}")
    versions, archives = _count(entry["versions"], "version"), _count(entry["archives"], "archive")
    write_line(f"  builds    {entry['builds']:,} of {versions}, in {archives}")
    write_line(f"  sha256    {entry['sha256']}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
