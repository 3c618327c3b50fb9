"""Write a bundle's builds into a directory that uv can use as a mirror.

The archives lie there as uv looks for them, with lists for --python-downloads-json-url, their
digests and a README that tells the commands. It works from a file:// path and from any server for
plain files. An earlier export is added to. Every archive is checked on the way; nothing is run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output, add_requests

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.exporting import ExportResult

EPILOG = """\
examples:
  kitbag export tools.kitbag --to /srv/python
  kitbag export tools.kitbag 3.13 pypy --to /srv/python
  kitbag export tools.kitbag --to /srv/python --base-url https://mirror.example/python
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a bundle, or a directory it was unzipped to"
    )
    add_requests(parser, "every build, for whatever target")
    parser.add_argument(
        "--to",
        metavar="DIR",
        required=True,
        help="the directory to write: a new one, or an earlier export, which is added to",
    )
    parser.add_argument(
        "--base-url",
        metavar="URL",
        default="",
        help="where machines will find DIR, for the list with whole addresses (otherwise the "
        "file:// address of DIR)",
    )
    parser.add_argument(
        "--uv-cache",
        metavar="DIR",
        default="",
        help="also give DIR the archives under the names that UV_PYTHON_CACHE_DIR has",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files that are not those of the bundle",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.requests import parse_requests
    from kitbag_installer.exporting import choose_builds, export_builds

    requests = parse_requests(options.requests)
    if not options.to:
        raise UsageError("--to is empty; name a directory")
    base_url = _base_url(options.base_url)
    with Bundle.open(options.bundle) as bundle:
        done = export_builds(
            bundle,
            choose_builds(bundle.manifest.builds, requests),
            _absolute(options.to),
            base_url=base_url,
            force=options.force,
            reporter=reporter,
            uv_cache=_absolute(options.uv_cache) if options.uv_cache else "",
        )
    _render(done, reporter, as_json=options.json)
    return 0


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _base_url(text: str) -> str:
    """``text``, ending in a slash; raises :class:`UsageError` for what is no plain address."""
    if not text:
        return ""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname)
        plain = plain or (parts.scheme == "file" and parts.path.startswith("/"))
    except ValueError:
        plain = False
    if not plain or "?" in text or "#" in text or not text.isascii() or not text.isprintable():
        raise UsageError("--base-url is no address like https://mirror.example/python")
    if "@" in parts.netloc:
        raise UsageError("--base-url has a user or password in it, and the list is for all to read")
    return text.replace(" ", "%20").rstrip("/") + "/"


def _render(done: ExportResult, reporter: Reporter, *, as_json: bool) -> None:
    from pathlib import Path

    from kitbag_bundles.sums import MEMBER
    from kitbag_installer.cli.terminal import human_size, write_json, write_line
    from kitbag_installer.mirrors import DIRECT_LIST, LIST, PUBLISHERS

    where = Path(done.directory).as_uri().rstrip("/")
    mirrors = {
        name: f"{where}/{PUBLISHERS[name].folder}".rstrip("/") for name in done.implementations
    }
    if as_json:
        write_json(
            {
                "directory": done.directory,
                "list": f"{where}/{LIST}",
                "direct-list": f"{where}/{DIRECT_LIST}",
                "sums": MEMBER,
                "mirrors": mirrors,
                "builds": [
                    {
                        "key": str(each.build.key),
                        "action": each.action,
                        "path": each.place,
                        "url": each.url,
                        "size": each.build.payload.size,
                        "sha256": each.build.payload.sha256,
                    }
                    for each in done.builds
                ],
            }
        )
        return
    size = human_size(sum(each.build.payload.size for each in done.builds))
    count = f"{len(done.builds)} build{'s' if len(done.builds) != 1 else ''}"
    write_line(f"Exported {count} ({size}) to {done.directory}")
    signs = {"written": "+", "replaced": "~", "present": "="}
    for each in done.builds:
        write_line(f" {signs[each.action]} {each.build.key} ({each.place})")
    options = " ".join(f"{PUBLISHERS[name].option} {url}" for name, url in mirrors.items())
    reporter.info(
        f"uv takes them from there with: --python-downloads-json-url {where}/{LIST} {options}"
    )
