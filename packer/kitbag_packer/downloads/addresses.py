"""Where an archive can be fetched: publishers' addresses, mirrors of them, and how they are shown.

A mirror means what it means to uv: it takes the place of a fixed beginning of the address, and then
it is used exclusively. Several mirrors of one publisher are tried in turn. Pure, but for a look
whether a file is there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.catalogs.model import Offer

_STANDALONE = "python-build-standalone/releases/download/"
_PREFIXES = {
    "cpython": (
        f"https://github.com/astral-sh/{_STANDALONE}",
        f"https://github.com/indygreg/{_STANDALONE}",
        f"https://releases.astral.sh/github/{_STANDALONE}",
    ),
    "pypy": ("https://downloads.python.org/pypy/",),
    "graalpy": (
        "https://github.com/oracle/graalpython/releases/download/",
        "https://github.com/graalvm/graalvm-ce-builds/releases/download/",
    ),
    "pyodide": ("https://github.com/pyodide/pyodide/releases/download/",),
}
_ASTRAL = f"https://releases.astral.sh/github/{_STANDALONE}"
_NAMED = re.compile(r"(cpython|pypy|graalpy|pyodide)=(.*)", re.DOTALL)
_UNKNOWN_NAME = re.compile(r"([A-Za-z][A-Za-z0-9-]*)=[A-Za-z]+:/")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def addresses(offer: Offer, mirrors: Sequence[str]) -> tuple[str, ...]:
    """Where to fetch ``offer``, the best address first.

    ``mirrors`` are the texts of ``--mirror``: ``URL`` for CPython, ``pypy=URL`` and the like for
    the others; http(s), ``file:`` or a path. Below a local mirror the file has a literal ``+``,
    and may also lie flat in its folder. Raises :class:`UsageError` for a mirror that is none.
    """
    wanted = [_split_mirror(text) for text in mirrors]
    publisher, prefix = _publisher(offer.url)
    if not publisher:
        return (offer.url,)
    rest = offer.url.removeprefix(prefix)
    found = [
        address
        for name, base in wanted
        if name == publisher
        for address in _below(base, rest, offer.filename)
    ]
    if not found:
        found = [offer.url]
        if publisher == "cpython":
            found.insert(0, _ASTRAL + rest)
    return tuple(dict.fromkeys(found))


def shown(url: str) -> str:
    """``url`` for people and files: without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that can't be read"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def host_of(url: str) -> str:
    """What to call the other side: its host, with the port if it is an unusual one."""
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2] or _file_path(parts.path)
    except ValueError:
        return "an address that can't be read"


def local_path(url: str) -> str:
    """The path of a ``file:`` address; raises :class:`UsageError` if it names another machine."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"{shown(url)} names a file on another machine; mount it, and give a path")
    return _file_path(parts.path)


def is_local(url: str) -> bool:
    """Whether it needs no network."""
    return url[:5].lower() == "file:"


def _file_path(text: str) -> str:
    """The path that the path of a ``file:`` address stands for."""
    if os.name != "nt":
        return unquote(text)
    # Not at the top: it brings a whole HTTP client along.
    from urllib.request import url2pathname

    return url2pathname(text)


def _publisher(url: str) -> tuple[str, str]:
    for name, prefixes in _PREFIXES.items():
        for prefix in prefixes:
            if url.startswith(prefix):
                return name, prefix
    return "", ""


def _split_mirror(text: str) -> tuple[str, str]:
    """The publisher and the base address, which ends in a slash."""
    named = _NAMED.fullmatch(text)
    name, base = (named[1], named[2]) if named else ("cpython", text)
    if not base.strip():
        raise UsageError("a mirror is empty; give an address or a directory")
    unknown = _UNKNOWN_NAME.match(base) if not named else None
    if unknown:
        raise UsageError(
            f"{unknown[1]!r} publishes no Pythons that kitbag knows; a mirror is URL for CPython, "
            "or pypy=URL, graalpy=URL, pyodide=URL"
        )
    if not _SCHEME.match(base) or re.match(r"[A-Za-z]:[\\/]", base):
        path = Path(os.path.abspath(os.path.expanduser(base)))
        return name, path.as_uri().rstrip("/") + "/"
    try:
        scheme = urlsplit(base).scheme.lower()
    except ValueError:
        raise UsageError(
            "a mirror has an address that can't be read; it looks like http://host/folder/"
        ) from None
    if scheme not in ("http", "https", "file"):
        raise UsageError(
            f"the mirror {shown(base)} is neither http(s) nor file:; give another address"
        )
    return name, base.rstrip("/") + "/"


def _below(base: str, rest: str, filename: str) -> list[str]:
    if not is_local(base):
        return [base + rest]
    # A file's name is decoded, so %2B of the address stands for the + in it.
    nested = base + quote(unquote(rest))
    flat = base + quote(filename)
    if os.path.exists(local_path(nested)) or not os.path.exists(local_path(flat)):
        return [nested]
    return [flat]
