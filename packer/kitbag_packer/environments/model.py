"""What an environment is made of: what a person asked for, what was picked, what it became."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_bundles.environments import Wheel
    from kitbag_bundles.keys import BuildKey, Target

PROJECT = "project"
LOCK = "lock"
REQUIREMENTS = "requirements"
KINDS = (PROJECT, LOCK, REQUIREMENTS)

WHEEL = "wheel"
SDIST = "sdist"
DIRECTORY = "directory"
VCS = "vcs"


@dataclass(frozen=True)
class Spec:
    """One environment as a person asked for it; it becomes one for each build that it is for."""

    name: str
    kind: str
    """Where its packages are named: ``project``, ``lock`` or ``requirements``."""
    path: Path
    """The project's directory, the ``pylock.toml`` or the ``requirements.txt``."""
    python: str = ""
    """The request for the builds that it is for; empty for every build that was asked for."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    """Dependency groups; ``None`` for the default ones of a lock, and none of a project."""
    expose: tuple[str, ...] = ()
    """Console scripts that get a name in the bin directory."""
    run: str = ""
    """The program that ``kitbag run`` starts; empty to find out."""
    glibc: str = ""
    """The least glibc of Linux targets that wheels are chosen for; empty for kitbag's choice."""


@dataclass(frozen=True)
class For:
    """What an environment is made for: a build, or in a wheelhouse a version on a target."""

    implementation: str
    version: str
    """``3.13.5``; in a wheelhouse ``3.13`` will do."""
    variant: str
    """As in a key: empty, ``freethreaded``, ``debug``, …"""
    target: Target
    key: BuildKey | None = None
    release: str = ""
    """The distribution's own, PyPy's ``7.3.19``, which some tags name; empty where unknown."""


@dataclass(frozen=True)
class Pick:
    """What one package of a lock comes to on one target."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    """Empty where only building tells."""
    kind: str
    """``wheel``, ``sdist`` (both are files), ``directory`` or ``vcs``."""
    filename: str = ""
    """Of a file."""
    urls: tuple[str, ...] = ()
    """Where a file is; a local one is a ``file:`` address."""
    sha256: str = ""
    """Of a file, in hex."""
    size: int | None = None
    """Bytes of a file, where known."""
    direct: bool = False
    """Of a file: whether its address was asked for, and not the package in an index."""
    path: str = ""
    """Of a directory: absolute."""
    vcs: str = ""
    """The kind of repository, ``git``."""
    repository: str = ""
    """Its address or path."""
    commit: str = ""
    revision: str = ""
    """The branch or tag that was asked for, where somebody did."""
    subdirectory: str = ""
    """Where the project is in a repository, a directory or an sdist."""
    reason: str = ""
    """For all but a wheel, in a clause: why there is no wheel to take."""

    @property
    def is_file(self) -> bool:
        """Whether it is something to fetch."""
        return self.kind in (WHEEL, SDIST)


@dataclass(frozen=True)
class Planned:
    """One environment for one build, with everything in it picked."""

    spec: Spec
    made_for: For
    picks: tuple[Pick, ...]
    """In the order of their names."""


@dataclass(frozen=True)
class WheelFile:
    """A wheel at hand, looked through."""

    wheel: Wheel
    path: Path
    crc32: int
    paths: tuple[tuple[str, str], ...]
    """Each file that it installs with its SHA-256 in hex: the path in the archive, where
    ``<name>-<version>.data/purelib/`` and ``…/platlib/`` are taken away."""
    scripts: tuple[str, ...]
    """Console and GUI scripts that its entry points name, sorted."""
    requires_python: str = ""
    references: tuple[tuple[str, str], ...] = ()
    """What each of ``scripts`` runs: its name, and ``module:object``."""


@dataclass(frozen=True)
class Ready:
    """One environment whose every wheel is at hand."""

    planned: Planned
    wheels: tuple[WheelFile, ...]
    """In bytewise order of their file names."""
