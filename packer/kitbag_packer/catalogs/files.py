"""A catalog of archives that are known by their names: of a folder, or of a SHA256SUMS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.keys import BuildKey
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.catalogs.naming import NameReader, canonical_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kitbag_bundles.keys import Version
    from kitbag_bundles.requests import Request
    from kitbag_packer.catalogs.model import Interest
    from kitbag_packer.upstream import UpstreamName


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file, whatever it is."""

    filename: str
    """Decoded."""
    url: str
    sha256: str = ""
    size: int | None = None
    path: Path | None = None
    """Where it lies, if it is here."""


@dataclass(frozen=True, slots=True)
class Unversioned:
    """An archive whose name does not tell its full version: PyPy's, GraalPy's, Pyodide's."""

    file: ListedFile
    said: UpstreamName
    catalog: str

    def offer(self, version: Version) -> Offer | None:
        """The offer once the version is known; ``None`` if the name has no room for it."""
        return _offer(self.file, self.said, version, self.catalog)


class FilesCatalog:
    """Archives by name; other files are ignored."""

    def __init__(
        self,
        files: Sequence[ListedFile],
        *,
        name: str,
        digest: str,
        date: str = "",
        identify: Callable[[Unversioned], Version | None],
    ) -> None:
        """``identify`` is asked for a version that neither a name nor another catalog tells."""
        self.name = name
        self.digest = digest
        self.date = date
        self.identify = identify
        names = NameReader()
        self._archives = [
            (file, said) for file in files if (said := names.read(file.filename)) is not None
        ]

    def __len__(self) -> int:
        return len(self._archives)

    def offers(self, interest: Interest) -> Iterator[Offer]:
        """The archives of interest whose names tell everything."""
        for file, said in self._archives:
            if (
                said.version is not None
                and _on_target(said, interest)
                and interest.in_version(said.implementation, said.version)
            ):
                offer = _offer(file, said, said.version, self.name)
                if offer is not None:
                    yield offer

    def unversioned(self, interest: Interest) -> Iterator[Unversioned]:
        """The archives that may be of interest, as far as their names tell."""
        for file, said in self._archives:
            if (
                said.version is None
                and _on_target(said, interest)
                and (
                    not interest.requests
                    or any(_may_mean(request, said) for request in interest.requests)
                )
            ):
                yield Unversioned(file, said, self.name)


def _on_target(said: UpstreamName, interest: Interest) -> bool:
    return interest.targets is None or said.target in interest.targets


def _may_mean(request: Request, said: UpstreamName) -> bool:
    target = said.target
    minor = tuple(map(int, said.minor.split("."))) if said.minor else request.release[:2]
    return (
        request.implementation in ("", said.implementation)
        and request.variant in (None, said.variant)
        and request.release[:2] == minor[: len(request.release)]
        and request.os in ("", target.os)
        and request.arch in ("", target.arch)
        and request.libc in ("", target.libc)
    )


def _offer(file: ListedFile, said: UpstreamName, version: Version, catalog: str) -> Offer | None:
    if not said.admits(version):
        return None
    try:
        canonical = canonical_address(file.url, file.filename)
    except ValueError:
        return None
    return Offer(
        key=BuildKey(said.implementation, version, said.variant, said.target),
        filename=file.filename,
        url=file.url,
        canonical=canonical,
        sha256=file.sha256,
        size=file.size,
        flavor=said.flavor,
        release=said.release,
        options=said.options,
        catalog=catalog,
    )
