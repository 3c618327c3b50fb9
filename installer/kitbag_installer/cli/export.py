"""Write a bundle's builds and packages into a directory that uv and pip can use.

Archives lie there as uv looks for them, with lists for --python-downloads-json-url; packages as
wheels, with requirements and a pylock.toml for each environment, and an index in simple/. Digests
and a README that tells the commands are there too. It works from a path and from any server for
plain files. An earlier export is added to. Every file is checked on the way; nothing is run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output, add_requests

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.exported import ExportResult

EPILOG = """\
examples:
  kitbag export tools.kitbag --to /srv/python
  kitbag export tools.kitbag 3.13 pypy --to /srv/python
  kitbag export app.kitbag app --to /srv/packages
  kitbag export tools.kitbag --to /srv/python --base-url https://mirror.example/python
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a bundle, or a directory it was unzipped to"
    )
    add_requests(parser, "everything, for whatever target", environments=True)
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
    from kitbag_installer.environments.naming import check_names, split_words
    from kitbag_installer.exporting import choose_builds, export_bundle

    names, requests = split_words(options.requests)
    if not options.to:
        raise UsageError("--to is empty; name a directory")
    base_url = _base_url(options.base_url)
    with Bundle.open(options.bundle) as bundle:
        manifest = bundle.manifest
        check_names(names, {each.name for each in manifest.environments}, bundle.path)
        # As with an install: words for builds are no words for packages, and the other way round.
        everything = not names and not requests
        done = export_bundle(
            bundle,
            choose_builds(manifest.builds, requests) if requests or everything else (),
            [each for each in manifest.environments if everything or each.name in names],
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

    from kitbag_installer.cli.terminal import write_json

    where = Path(done.directory).as_uri().rstrip("/")
    if as_json:
        write_json(_as_table(done, where))
        return
    _write_lines(done)
    for advice in _advice(done, where):
        reporter.info(advice)


def _mirrors(done: ExportResult, where: str) -> dict[str, str]:
    """The address of each implementation's mirror."""
    from kitbag_installer.mirrors import PUBLISHERS

    return {name: f"{where}/{PUBLISHERS[name].folder}".rstrip("/") for name in done.implementations}


def _as_table(done: ExportResult, where: str) -> dict[str, Any]:
    from kitbag_bundles.sums import MEMBER
    from kitbag_installer.environments.simpleindex import FOLDER
    from kitbag_installer.mirrors import DIRECT_LIST, LIST

    return {
        "directory": done.directory,
        "list": f"{where}/{LIST}" if done.has_lists else "",
        "direct-list": f"{where}/{DIRECT_LIST}" if done.has_lists else "",
        "index": f"{where}/{FOLDER}" if done.has_index else "",
        "sums": MEMBER,
        "mirrors": _mirrors(done, where),
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
        "environments": [
            {
                "name": each.environment.name,
                "target": each.environment.target,
                "python": str(each.environment.python or "") or None,
                "python-version": each.environment.python_version,
                "action": each.action,
                "requirements": each.requirements,
                "lock": each.lock,
                "wheels": list(each.environment.wheels),
            }
            for each in done.environments
        ],
        "wheels": [
            {
                "filename": each.wheel.filename,
                "action": each.action,
                "path": each.place,
                "size": each.wheel.size,
                "sha256": each.wheel.sha256,
            }
            for each in done.wheels
        ],
    }


def _write_lines(done: ExportResult) -> None:
    from kitbag_installer.cli.lines import counted
    from kitbag_installer.cli.terminal import human_size, write_line

    size = sum(each.build.payload.size for each in done.builds)
    size += sum(each.wheel.size for each in done.wheels)
    counts = (
        counted(len(done.builds), "build"),
        counted(len(done.environments), "environment"),
        counted(len(done.wheels), "wheel"),
    )
    what = ", ".join(each for each in counts if each) or "0 builds"
    write_line(f"Exported {what} ({human_size(size)}) to {done.directory}")
    signs = {"written": "+", "replaced": "~", "present": "="}
    for each in done.builds:
        write_line(f" {signs[each.action]} {each.build.key} ({each.place})")
    for one in done.environments:
        made_for = one.environment.python or (
            f"{one.environment.python_version} on {one.environment.target}"
        )
        write_line(f" {signs[one.action]} {one.environment.name} for {made_for} ({one.lock})")


def _advice(done: ExportResult, where: str) -> list[str]:
    """How uv and pip find what was exported now, a line for each."""
    import shlex

    from kitbag_installer.exportitems import path_in
    from kitbag_installer.mirrors import LIST, PUBLISHERS

    lines = []
    if done.builds or not done.environments:
        mirrors = _mirrors(done, where).items()
        options = " ".join(f"{PUBLISHERS[name].option} {url}" for name, url in mirrors)
        lines.append(
            f"uv takes them from there with: --python-downloads-json-url {where}/{LIST} {options}"
        )
    if done.environments:
        wheels = shlex.quote(path_in(done.directory, "wheels"))
        files = [each.requirements for each in done.environments]
        if len(files) == 1:
            last = shlex.quote(path_in(done.directory, files[0]))
        else:
            last = "one of its requirements-*.txt"
        lines.append(
            "pip installs from there with: pip install --no-index --find-links "
            f"{wheels} --require-hashes -r {last}"
        )
    return lines
