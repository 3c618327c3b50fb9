"""Options that several verbs of the connected side share, and what the environment says instead."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from argparse import _ActionsContainer
    from pathlib import Path

    from kitbag_packer.cache import Cache
    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.reporting import PackerReporter

_LONGEST_NUMBER = 20
"""Characters; longer ones are no numbers that anybody means, and overflow."""
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)(?:b(?:/s)?)?", re.ASCII | re.IGNORECASE)


def add_targets(parser: _ActionsContainer, default: str) -> None:
    """``--target``."""
    parser.add_argument(
        "--target",
        dest="targets",
        action="append",
        default=[],
        metavar="TARGET",
        help="what the builds run on, such as linux-x86_64-gnu, macos-aarch64 or "
        f"linux-x86_64_v3-gnu; 'host' is this machine, 'all' is everything (default: {default}); "
        "may be given several times",
    )


def add_flavor(parser: _ActionsContainer) -> None:
    """``--flavor``."""
    parser.add_argument(
        "--flavor",
        default="",
        metavar="FLAVOR",
        help="the kind of archive: install_only_stripped, install_only, full, community, … "
        "(default: the best there is, in this order)",
    )


def add_catalogs(parser: _ActionsContainer) -> None:
    """``--catalog``."""
    parser.add_argument(
        "--catalog",
        dest="catalogs",
        action="append",
        default=[],
        metavar="CATALOG",
        help="where to look builds up, instead of the usual lists (KITBAG_CATALOG): a file or URL "
        "in uv's format, an NDJSON index, a SHA256SUMS, a directory of archives, 'stored' or "
        "'embedded'; may be given several times, the first that knows a build wins",
    )


def add_cache(parser: _ActionsContainer) -> None:
    """``--cache-dir``."""
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="where downloads are kept (KITBAG_CACHE_DIR; otherwise $XDG_CACHE_HOME/kitbag, "
        "that is ~/.cache/kitbag)",
    )


def add_downloads(parser: _ActionsContainer) -> None:
    """``--offline``, ``--mirror``, ``--jobs``, ``--limit-rate``."""
    add_cache(parser)
    parser.add_argument(
        "--offline",
        action="store_true",
        help="use no network: only the cache and local files (KITBAG_OFFLINE=1)",
    )
    parser.add_argument(
        "--mirror",
        dest="mirrors",
        action="append",
        default=[],
        metavar="[NAME=]URL",
        help="fetch from here what is published on GitHub (CPython) or by PyPy, GraalPy, Pyodide "
        "(pypy=URL, graalpy=URL, pyodide=URL) (KITBAG_MIRROR); several are tried in turn",
    )
    parser.add_argument(
        "--jobs", metavar="N", help="how many downloads go on at a time (KITBAG_JOBS; default: 8)"
    )
    parser.add_argument(
        "--limit-rate",
        metavar="RATE",
        help="bytes per second for all downloads together, such as 500k or 2M",
    )


def chosen_cache(options: argparse.Namespace, reporter: PackerReporter) -> Cache:
    """The cache that the option, the environment or the platform name."""
    from kitbag_packer.cache import Cache

    return Cache(chosen_cache_dir(options), reporter)


def chosen_cache_dir(options: argparse.Namespace) -> Path:
    """The directory of the cache."""
    from pathlib import Path

    from kitbag_packer.cache.places import default_cache_dir

    if options.cache_dir is not None:
        if not options.cache_dir:
            raise UsageError("--cache-dir is empty; name a directory")
        return Path(os.path.abspath(os.path.expanduser(options.cache_dir)))
    return default_cache_dir(os.environ)


def chosen_settings(options: argparse.Namespace) -> DownloadSettings:
    """How to download, from the options and the environment."""
    from kitbag_packer.downloads.settings import settings_from

    return settings_from(
        os.environ,
        jobs=_jobs(options.jobs),
        limit_rate=parse_rate(options.limit_rate) if options.limit_rate is not None else None,
        offline=options.offline or os.environ.get("KITBAG_OFFLINE", "") not in ("", "0"),
    )


def chosen_jobs(options: argparse.Namespace) -> int:
    """How many things to do at a time; 0 where nobody said."""
    return _jobs(options.jobs) or 0


def chosen_mirrors(options: argparse.Namespace) -> tuple[str, ...]:
    """The mirrors, best first."""
    given: list[str] = options.mirrors
    return tuple(given or os.environ.get("KITBAG_MIRROR", "").split())


def chosen_catalogs(
    options: argparse.Namespace, cache_dir: Path, reporter: PackerReporter
) -> tuple[Catalog, ...]:
    """The catalogs, the first one to ask first."""
    from kitbag_packer.catalogs.opening import open_catalogs

    given = options.catalogs or os.environ.get("KITBAG_CATALOG", "").split()
    return open_catalogs(
        given, cache_dir=cache_dir, settings=chosen_settings(options), reporter=reporter
    )


def parse_rate(text: str) -> int:
    """Bytes per second of ``500k``, ``1.5M``, ``64KiB``; raises :class:`UsageError`."""
    found = _RATE.fullmatch(text.strip())
    if found and len(text) <= _LONGEST_NUMBER:
        number, unit, binary = found.groups()
        power = " kmg".index(unit.lower() or " ")
        rate = int(float(number) * (1024 if binary else 1000) ** power)
        if rate >= 1:
            return rate
    text = text[:_LONGEST_NUMBER]
    raise UsageError(f"--limit-rate {text!r} is no rate; write bytes per second, 500k or 2M")


def _jobs(given: str | None) -> int | None:
    text = given if given is not None else os.environ.get("KITBAG_JOBS", "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > _LONGEST_NUMBER or int(text) < 1:
        raise UsageError(f"{text[:_LONGEST_NUMBER]!r} is no number of jobs; write 1 or more")
    return int(text)
