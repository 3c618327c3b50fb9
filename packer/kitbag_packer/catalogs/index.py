"""The index that python-build-standalone publishes: every flavor, every target, as NDJSON.

One line for each version of each release::

    {"version": "3.13.5+20250612", "date": "…", "artifacts": [
        {"platform": "x86_64-unknown-linux-gnu", "variant": "pgo+lto+full",
         "url": "https://…", "archive_format": "tar.zst", "sha256": "…"}, …]}

The name at the end of ``url`` says what an archive is. Only where it says nothing, ``platform`` and
``variant`` do, whose quirk is that some platforms of macOS end in ``-debug`` or ``-freethreaded``.
Lines of versions that nobody asks for are not even parsed: the index has some fifty thousand
archives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kitbag_bundles.keys import BuildKey, Target, Version
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.catalogs.naming import (
    NameReader,
    canonical_address,
    digest_of,
    filename_of,
    is_address,
    is_unchecked_local,
    size_of,
)
from kitbag_packer.errors import CatalogError
from kitbag_packer.upstream import parse_triple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.catalogs.model import Interest

_START = re.compile(rb'[ \t\r]*\{\s*"version"\s*:\s*"([0-9a-z.]{1,20})\+')
_PLATFORM_SUFFIXES = ("-debug", "-freethreaded")
_FLAVORS = frozenset(("full", "install_only", "install_only_stripped"))
_OPTIONS = frozenset(("bolt", "lto", "noopt", "pgo", "shared", "static"))
_VARIANTS = ("freethreaded", "debug")


class IndexCatalog:
    """One index."""

    def __init__(
        self, data: bytes, *, name: str, digest: str, date: str = "", remote: bool = False
    ) -> None:
        """``remote``: it came from the network, so what it says of this machine is checked."""
        self._remote = remote
        self.name = name
        self.digest = digest
        self.date = date
        self._data = data
        self._names = NameReader()

    def offers(self, interest: Interest) -> Iterator[Offer]:
        """The archives of interest; raises :class:`CatalogError` with the line of what is broken.

        An archive that can't be a build's is left out.
        """
        wanted: dict[Version, bool] = {}
        maker = _OfferMaker(self._names, self.name, interest, remote=self._remote)
        for number, (begin, end) in enumerate(_lines(self._data), 1):
            start = _START.match(self._data, begin, end)
            if start:
                early = self._names.version(start[1].decode("ascii"))
                if early is None or not _is_wanted(early, wanted, interest):
                    continue
            line = self._data[begin:end]
            if not line.strip():
                continue
            record = parse_line(line, number, self.name)
            text, _, release = record["version"].partition("+")
            version = self._names.version(text)
            if version is not None and _is_wanted(version, wanted, interest):
                for artifact in record["artifacts"]:
                    offer = maker.make(artifact, version, release)
                    if offer is not None:
                        yield offer


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the lines are, without copying megabytes of them."""
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin)
        if end < 0:
            end = len(data)
        yield begin, end
        begin = end + 1


def check_end(data: bytes, name: str) -> None:
    """Raise :class:`CatalogError` if the last line is cut off, as after a broken download."""
    end = len(data)
    while end and data[end - 1] in b" \t\r\n":
        end -= 1
    begin = data.rfind(b"\n", 0, end) + 1
    parse_line(data[begin:end], data.count(b"\n", 0, begin) + 1, name)


def parse_line(line: bytes, number: int, name: str) -> dict[str, Any]:
    """One line; raises :class:`CatalogError` for one that is cut off or of another kind."""
    import json

    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = getattr(error, "msg", "not valid")
        raise CatalogError(
            f"{name}: line {number} is cut off or damaged ({what}); fetch the list again"
        ) from None
    if not is_record(record):
        raise CatalogError(
            f"{name}: line {number} has no version with artifacts; it is another list"
        )
    found: dict[str, Any] = record
    return found


def is_record(value: object) -> bool:
    """Whether ``value`` is a line of such an index."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("version"), str)
        and isinstance(value.get("artifacts"), list)
    )


def _is_wanted(version: Version, known: dict[Version, bool], interest: Interest) -> bool:
    if version not in known:
        known[version] = interest.in_version("cpython", version)
    return known[version]


class _OfferMaker:
    """Makes offers of artifacts; what many have in common is worked out once."""

    def __init__(
        self, names: NameReader, catalog: str, interest: Interest, *, remote: bool
    ) -> None:
        self._remote = remote
        self._names = names
        self._catalog = catalog
        self._targets = interest.targets
        self._keys: dict[tuple[Version, str, Target], BuildKey] = {}
        self._elsewhere: dict[str, bool] = {}

    def make(self, artifact: object, version: Version, release: str) -> Offer | None:
        """The offer of one artifact of a line, or ``None``."""
        if not isinstance(artifact, dict) or self._is_elsewhere(artifact.get("platform")):
            return None
        url = artifact.get("url")
        if not isinstance(url, str) or not is_address(url):
            return None
        filename, sha256 = filename_of(url), digest_of(artifact.get("sha256"))
        if not filename or (self._remote and is_unchecked_local(url, sha256)):
            return None
        said = self._said(artifact, filename, version, release)
        if said is None:
            return None
        target, variant, flavor, options = said
        if self._targets is not None and target not in self._targets:
            return None
        try:
            canonical = canonical_address(url, filename)
        except ValueError:
            return None
        place = (version, variant, target)
        key = self._keys.get(place)
        if key is None:
            key = self._keys[place] = BuildKey("cpython", *place)
        return Offer(
            key,
            filename,
            url,
            canonical,
            sha256,
            size_of(artifact.get("size")),
            flavor,
            release,
            options,
            self._catalog,
        )

    def _is_elsewhere(self, platform: object) -> bool:
        """Whether a platform is plainly none of those of interest; most archives end here."""
        if self._targets is None or not isinstance(platform, str):
            return False
        if platform not in self._elsewhere:
            target = _parse_platform(platform)[0]
            self._elsewhere[platform] = target is not None and target not in self._targets
        return self._elsewhere[platform]

    def _said(
        self, artifact: dict[str, Any], filename: str, version: Version, release: str
    ) -> tuple[Target, str, str, tuple[str, ...]] | None:
        published = self._names.published(filename)
        if published is not None:
            shape = published.shape
            agrees = published.version == version and published.release == release
        else:
            shape = self._names.read(filename)
            agrees = shape is None or shape.version == version
        if not agrees:
            return None
        if shape is None:
            return _by_fields(artifact)
        return shape.target, shape.variant, shape.flavor, shape.options


def _by_fields(artifact: dict[str, Any]) -> tuple[Target, str, str, tuple[str, ...]] | None:
    platform, joined = artifact.get("platform"), artifact.get("variant")
    if not isinstance(platform, str) or not isinstance(joined, str):
        return None
    target, words = _parse_platform(platform)
    words.update(re.split(r"[+-]", joined))
    flavors = words & _FLAVORS
    options = words & _OPTIONS
    if target is None or len(flavors) > 1 or words - flavors - options - set(_VARIANTS):
        return None
    variant = "+".join(word for word in _VARIANTS if word in words)
    return target, variant, min(flavors, default="full"), tuple(sorted(options))


def _parse_platform(platform: str) -> tuple[Target | None, set[str]]:
    """The target, and what some platforms of macOS say of the variant."""
    words = set()
    for suffix in _PLATFORM_SUFFIXES:
        if platform.endswith(suffix):
            platform = platform.removesuffix(suffix)
            words.add(suffix[1:])
    return parse_triple(platform), words
