"""What every catalog says, whatever its format: which archive is which build, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_bundles.keys import BuildKey, Target, Version
    from kitbag_bundles.requests import Request


@dataclass(frozen=True, slots=True)
class Offer:
    """One archive of one build, as a catalog describes it."""

    key: BuildKey
    filename: str
    """Upstream's name of the archive, decoded (``+``, not ``%2B``); it travels under this one."""
    url: str
    """Where to fetch it, http(s) or file. May carry credentials, so it is never shown or kept."""
    canonical: str
    """The public address that manifest and lock record; empty where there is none to name."""
    sha256: str = ""
    """In lower-case hex; empty where the catalog has none."""
    size: int | None = None
    """Bytes; ``None`` where the catalog does not say."""
    flavor: str = ""
    """``install_only_stripped``, ``install_only``, ``full``; other publishers have others."""
    release: str = ""
    """The release tag, ``20260101`` or PyPy's ``7.3.19``."""
    options: tuple[str, ...] = ()
    """Build options beside the variant, sorted: ``lto``, ``pgo``, ``static``, …"""
    catalog: str = ""
    """The name of the catalog that knows it."""

    @property
    def static(self) -> bool:
        """Whether it is a static Linux build, which can't load extension modules.

        Until 20250310 every musl build of python-build-standalone was, without saying so.
        """
        target = self.key.target
        if target.os != "linux" or self.key.implementation != "cpython":
            return False
        old_musl = target.libc == "musl" and self.release[:8] < "20250311"
        return "static" in self.options or old_musl


@dataclass(frozen=True, slots=True)
class Interest:
    """What a caller wants of a catalog, so that it need not build what nobody asked for.

    A catalog may yield more than this asks for, never less.
    """

    requests: tuple[Request, ...] = ()
    """Any of which may match; none means every build."""
    targets: frozenset[Target] | None = None
    """``None`` means every target."""

    def in_version(self, implementation: str, version: Version) -> bool:
        """Whether a build of this version may be wanted, whatever its target and variant."""
        return not self.requests or any(
            request.admits(implementation, version) for request in self.requests
        )

    def in_key(self, key: BuildKey) -> bool:
        """Whether this build is wanted."""
        if self.targets is not None and key.target not in self.targets:
            return False
        return not self.requests or any(request.matches(key) for request in self.requests)


class Catalog(Protocol):
    """A list of archives."""

    @property
    def name(self) -> str:
        """What messages call it: ``embedded``, a path, an address without credentials."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the data it was read from; a lock records it."""
        ...

    @property
    def date(self) -> str:
        """When the data was published or fetched, ``2026-10-25``; empty if nobody knows."""
        ...

    def offers(self, interest: Interest) -> Iterable[Offer]:
        """The archives of interest, in no particular order; raises :class:`CatalogError`."""
        ...
