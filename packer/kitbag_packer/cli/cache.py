"""Look after what was downloaded: archives, unfinished downloads, what was found in archives.

"dir" tells where it is, "list" what is in it, "prune" removes what is not needed any more, "clean"
removes everything. What another process is using stays, and so do files that kitbag did not make.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output
from kitbag_packer.cli.options import add_cache

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_packer.cache.holdings import Archive, Holdings, Unfinished
    from kitbag_packer.cache.pruning import Pruned
    from kitbag_packer.reporting import PackerReporter

EPILOG = """\
examples:
  kitbag cache dir
  kitbag cache list --check
  kitbag cache prune --lock kitbag.lock --older-than 30d --dry-run
  kitbag cache clean
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=("dir", "list", "prune", "clean"),
        help="dir: tell where the cache is; list: what is in it; prune: remove what is not needed "
        "any more; clean: remove everything",
    )
    add_cache(parser)
    parser.add_argument(
        "--check", action="store_true", help="list: read every byte and throw away what is damaged"
    )
    parser.add_argument(
        "--lock",
        dest="locks",
        action="append",
        default=[],
        metavar="FILE",
        help="prune: keep what this kitbag.lock names, remove the other archives; "
        "may be given several times",
    )
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        help="prune: remove only archives not used for this long, such as 12h, 30d or 2w",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="prune, clean: only tell what would be removed"
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.cli.options import chosen_cache, chosen_cache_dir

    _check(options)
    if options.action == "dir":
        _show_dir(chosen_cache_dir(options), as_json=options.json)
        return 0
    with chosen_cache(options, reporter) as cache:
        if options.action == "list":
            from kitbag_packer.cache.holdings import holdings

            damaged = []
            if options.check:
                damaged = _damaged(cache, reporter)
            found = holdings(cache.folder)
            if options.json:
                _list_json(cache.folder, found, damaged)
            else:
                _list_text(cache.folder, found)
            return 3 if damaged else 0
        pruned = _remove(options, cache)
    if options.json:
        _pruned_json(pruned, dry_run=options.dry_run)
    else:
        _pruned_text(options, pruned)
    return 0


def _check(options: argparse.Namespace) -> None:
    from kitbag_bundles.errors import UsageError

    for name, given, actions in (
        ("--check", options.check, ("list",)),
        ("--lock", bool(options.locks), ("prune",)),
        ("--older-than", options.older_than is not None, ("prune",)),
        ("--dry-run", options.dry_run, ("prune", "clean")),
    ):
        if given and options.action not in actions:
            raise UsageError(f"{name} goes with 'kitbag cache {actions[0]}' only; leave it out")


def _remove(options: argparse.Namespace, cache: Any) -> Pruned:
    from kitbag_packer.cache.pruning import clean, parse_age, prune

    if options.action == "clean":
        return clean(cache, dry_run=options.dry_run)
    return prune(
        cache,
        keep_locks=[Path(lock) for lock in options.locks],
        older_than=None if options.older_than is None else parse_age(options.older_than),
        dry_run=options.dry_run,
    )


def _damaged(cache: Any, reporter: PackerReporter) -> list[str]:
    from kitbag_packer.cache.holdings import holdings

    archives = holdings(cache.folder).archives
    damaged = []
    with reporter.progress("checking the cache", sum(each.size for each in archives)) as progress:
        for archive in archives:
            if cache.check(archive.sha256) is None:
                damaged.append(archive.sha256)
            progress.advance(archive.size)
    return damaged


def _show_dir(folder: Path, *, as_json: bool) -> None:
    from kitbag_installer.cli.terminal import write_json, write_line

    if as_json:
        write_json({"cache": str(folder), "exists": folder.is_dir()})
    else:
        write_line(str(folder))


def _list_text(folder: Path, found: Holdings) -> None:
    from kitbag_installer.cli.terminal import human_size, write_line

    rows = [_archive_row(each) for each in found.archives]
    if rows:
        _write_table(("ARCHIVE", "SIZE", "LAST USED", "SHA-256"), rows)
    if found.unfinished:
        if rows:
            write_line("")
        partial = [_unfinished_row(each) for each in found.unfinished]
        _write_table(("UNFINISHED DOWNLOAD", "SIZE", "LAST TRIED", "DONE"), partial)
    if rows or found.unfinished:
        write_line("")
    archives = sum(each.size for each in found.archives)
    parts = [f"{_count(len(rows), 'archive')}, {human_size(archives)}"]
    if found.unfinished:
        count = _count(len(found.unfinished), "unfinished download")
        parts.append(f"{count}, {human_size(sum(each.size for each in found.unfinished))}")
    write_line(f"{folder}: {'; '.join(parts)}")
    if found.unknown:
        write_line(f"{_count(len(found.unknown), 'file')} there that kitbag did not make")


def _archive_row(archive: Archive) -> tuple[str, str, str, str]:
    from kitbag_installer.cli.terminal import human_size

    used = _ago(archive.last_used)
    return (archive.filename, human_size(archive.size), used, archive.sha256[:12])


def _unfinished_row(partial: Unfinished) -> tuple[str, str, str, str]:
    from kitbag_installer.cli.terminal import human_size

    done = f"{partial.size * 100 // partial.total} %" if partial.total else "?"
    return (partial.label, human_size(partial.size), _ago(partial.last_touched), done)


def _write_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from kitbag_installer.cli.terminal import write_line

    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        name, size, *rest = row
        cells = [name.ljust(widths[0]), size.rjust(widths[1])]
        cells += [text.ljust(width) for text, width in zip(rest, widths[2:], strict=True)]
        write_line("  ".join(cells).rstrip())


def _list_json(folder: Path, found: Holdings, damaged: list[str]) -> None:
    from kitbag_installer.cli.terminal import write_json

    write_json(
        {
            "cache": str(folder),
            "archives": [
                {
                    "filename": each.filename,
                    "sha256": each.sha256,
                    "size": each.size,
                    "url": each.url,
                    "last-used": _timestamp(each.last_used),
                    "path": str(each.path),
                }
                for each in found.archives
            ],
            "unfinished": [
                {
                    "label": each.label,
                    "identity": each.identity,
                    "size": each.size,
                    "total": each.total,
                    "last-tried": _timestamp(each.last_touched),
                }
                for each in found.unfinished
            ],
            "damaged": damaged,
            "unknown": [str(path) for path in found.unknown],
            "size": sum(each.size for each in found.archives)
            + sum(each.size for each in found.unfinished),
        }
    )


def _pruned_text(options: argparse.Namespace, pruned: Pruned) -> None:
    from kitbag_installer.cli.terminal import human_size, write_line

    for each in pruned.removed:
        if each.kind in ("archive", "download", "catalog"):
            write_line(f" - {each.name} ({each.kind}, {human_size(each.size)})")
    for name in pruned.in_use:
        write_line(f" = {name} (in use, so it stays)")
    for path in pruned.unknown:
        write_line(f" ? {path} (not made by kitbag, so it stays)")
    verb = "Would remove" if options.dry_run else "Removed"
    write_line(f"{verb} {human_size(pruned.freed) if pruned.removed else 'nothing'}")
    if options.action == "prune" and not options.locks and options.older_than is None:
        write_line("Archives stay unless --lock FILE or --older-than AGE says which ones may go")


def _pruned_json(pruned: Pruned, *, dry_run: bool) -> None:
    from kitbag_installer.cli.terminal import write_json

    write_json(
        {
            "dry-run": dry_run,
            "removed": [
                {"path": str(each.path), "name": each.name, "kind": each.kind, "size": each.size}
                for each in pruned.removed
            ],
            "freed": pruned.freed,
            "in-use": list(pruned.in_use),
            "unknown": [str(path) for path in pruned.unknown],
        }
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _timestamp(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _ago(seconds: float) -> str:
    import time

    age = max(time.time() - seconds, 0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if age >= length:
            return f"{_count(int(age // length), unit)} ago"
    return "just now"
