"""What catalogs have in common: names of archives, their addresses, digests, known targets."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import Version
from kitbag_installer.mirrors import MADE
from kitbag_packer.upstream import UpstreamName, parse_filename

GITHUB = "https://github.com/astral-sh/python-build-standalone/releases/download/"
"""Where python-build-standalone publishes: ``<GITHUB><release>/<quoted name>``."""

UNVERSIONED = ("pypy", "graalpy", "pyodide")
"""Implementations whose archives do not tell their full version by name."""

_OLD_GITHUB = "https://github.com/indygreg/python-build-standalone/releases/download/"
_SCHEME = re.compile(r"(?:https?|file)://", re.IGNORECASE)
_MEANT = re.compile(
    r"(?:[\w.-]+=)?(?:[A-Za-z][A-Za-z0-9+.-]+://|https?:)", re.ASCII | re.IGNORECASE
)
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")
_PUBLISHED = re.compile(
    r"cpython-(\d{1,3}\.\d{1,3}\.\d{1,4}(?:(?:a|b|rc)\d{1,4})?)\+(\d{8})-(.+)", re.ASCII
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_address(text: str) -> bool:
    """Whether ``text`` is an address that kitbag can fetch from, not a path."""
    return bool(_SCHEME.match(text))


def looks_like_address(text: str) -> bool:
    """Whether ``text`` was meant as an address, whether or not it is one; no path looks so."""
    return bool(_MEANT.match(text))


def is_remote(text: str) -> bool:
    """Whether ``text`` is an address that needs the network."""
    return bool(_HTTP.match(text))


def is_unchecked_local(url: str, sha256: str) -> bool:
    """Whether it is a file of this machine that nothing would be held against.

    Its owner may take that; a list from the network may not take it for them.
    """
    return not sha256 and not is_remote(url)


def filename_of(url: str) -> str:
    """The decoded name of the file at ``url``; empty if it has none that could be a file's."""
    path = url.partition("#")[0].partition("?")[0]
    if path.count("/") < 3:
        return ""
    name = path[path.rfind("/") + 1 :].replace("%2B", "+")
    if "%" in name:
        name = unquote(name)
    return "" if name in ("", ".", "..") or _UNSAFE.search(name) else name


def canonical_address(url: str, filename: str) -> str:
    """The public address of the archive at ``url``, without credentials; empty for a local one.

    What is published on GitHub keeps its address. A copy elsewhere of what has the name of a
    release of python-build-standalone gets the address of the release. Raises
    :class:`ValueError` for an address that is none.
    """
    if url.startswith(GITHUB) and not _odd(url):
        # An export lists what no publisher has as if it had.
        return "" if url.startswith(f"{GITHUB}{MADE}/") else url
    if not is_remote(url):
        return ""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host")
    plain = urlunsplit((parts.scheme.lower(), host, parts.path.replace("+", "%2B"), "", ""))
    if plain.startswith(_OLD_GITHUB):
        return GITHUB + plain.removeprefix(_OLD_GITHUB)
    published = _PUBLISHED.fullmatch(filename)
    if published and host != "github.com":
        return release_address(published[2], filename)
    return plain


def release_address(release: str, filename: str) -> str:
    """Where python-build-standalone publishes an archive."""
    return f"{GITHUB}{release}/{quote(filename, safe='')}"


def _odd(url: str) -> bool:
    return "+" in url or "?" in url or "#" in url


def digest_of(value: object) -> str:
    """A SHA-256 in lower-case hex, or empty for anything else."""
    if not isinstance(value, str):
        return ""
    text = value.lower()
    return text if _DIGEST.fullmatch(text) else ""


def size_of(value: object) -> int | None:
    """A size in bytes, or ``None`` for anything else."""
    return value if type(value) is int and value >= 0 else None


class Published(NamedTuple):
    """A name of the form ``cpython-<version>+<release>-<rest>``."""

    version: Version
    release: str
    shape: UpstreamName | None
    """What the rest says, with another version and release; ``None`` if nothing."""


class NameReader:
    """Reads many names of archives; what many of them have in common is read once."""

    def __init__(self) -> None:
        self._shapes: dict[str, UpstreamName | None] = {}
        self._versions: dict[str, Version | None] = {}

    def published(self, filename: str) -> Published | None:
        """The parts of a name of python-build-standalone; ``None`` for any other form."""
        found = _PUBLISHED.fullmatch(filename)
        if not found:
            return None
        number, release, rest = found.groups()
        version = self.version(number)
        if version is None:
            return None
        try:
            shape = self._shapes[rest]
        except KeyError:
            shape = self._shapes[rest] = parse_filename(f"cpython-3.0.0+20000101-{rest}")
        return Published(version, release, shape)

    def read(self, filename: str) -> UpstreamName | None:
        """Like :func:`kitbag_packer.upstream.parse_filename`, only quicker for many."""
        found = self.published(filename)
        if found is None:
            return parse_filename(filename)
        version, release, shape = found
        if shape is None:
            return None
        return UpstreamName(
            shape.implementation,
            version,
            version.minor_text,
            shape.variant,
            shape.target,
            release,
            shape.flavor,
            shape.options,
            shape.suffix,
        )

    def version(self, text: str) -> Version | None:
        """The full version that ``text`` is, or ``None``."""
        try:
            return self._versions[text]
        except KeyError:
            pass
        try:
            version = Version.parse(text)
        except UsageError:
            version = None
        self._versions[text] = version
        return version
