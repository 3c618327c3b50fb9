"""What an export did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_installer.mirrors import address_of

if TYPE_CHECKING:
    from kitbag_bundles.environments import Environment, Wheel
    from kitbag_bundles.manifest import Build


@dataclass(frozen=True)
class ExportedBuild:
    """One build of an export."""

    build: Build
    place: str
    """Its archive, relative to the export."""
    action: str
    """``written``, ``replaced``, or ``present`` where the right file was there already."""

    @property
    def url(self) -> str:
        """The publisher's address, which the list gives."""
        return address_of(self.build.implementation, self.place)


@dataclass(frozen=True)
class ExportedWheel:
    """One wheel of an export; ``action`` as with builds."""

    wheel: Wheel
    place: str
    action: str


@dataclass(frozen=True)
class ExportedEnvironment:
    """One environment of an export; ``action`` as with builds, of both texts together."""

    environment: Environment
    requirements: str
    """Its requirements with hashes, relative to the export."""
    lock: str
    """Its lock, relative to the export."""
    action: str


@dataclass(frozen=True)
class ExportResult:
    """What an export did."""

    directory: str
    builds: tuple[ExportedBuild, ...]
    wheels: tuple[ExportedWheel, ...]
    environments: tuple[ExportedEnvironment, ...]
    implementations: tuple[str, ...]
    """All that the tree has archives of, earlier ones included."""
    has_lists: bool
    """Whether the tree has lists for uv; it has none where there are packages alone."""
    has_index: bool
    """Whether it has an index of packages."""
