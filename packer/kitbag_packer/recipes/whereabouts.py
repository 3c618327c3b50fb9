"""Where packages are, in words that mean the same on every machine.

A lock has public addresses, and paths below what it belongs to. A place of one machine alone is
never written down; what has no other is kept in the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from kitbag_bundles.errors import UsageError
from kitbag_packer.catalogs.naming import is_remote
from kitbag_packer.downloads.addresses import is_local, local_path, shown
from kitbag_packer.environments.model import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.environments.model import Spec


@dataclass(frozen=True)
class Whereabouts:
    """The folders that an environment of a recipe may name."""

    source: Path
    """The project, or the folder of the list of packages: what paths are relative to."""
    others: tuple[Path, ...]
    """Where else paths may lead: below the recipe, and below a workspace."""

    @classmethod
    def of(cls, spec: Spec, recipe: Path) -> Whereabouts:
        """Those of an environment; ``recipe`` is the folder of the recipe."""
        from kitbag_packer.environments.projects import Project

        others = [Path(os.path.abspath(recipe))]
        is_folder = spec.kind == PROJECT and spec.path.suffix not in (".toml", ".lock")
        source = spec.path if is_folder else spec.path.parent
        lock = Project(source).lock() if spec.kind == PROJECT else None
        if lock is not None:
            others.append(lock.parent)
        return cls(source, tuple(others))

    def public(self, urls: Sequence[str]) -> tuple[str, str]:
        """The address of a file and its path, as far as there are any that others have too."""
        far = [shown(url) for url in urls if is_remote(url)]
        near = [self.relative(local_path(url)) for url in urls if is_local(url)]
        return next(iter(far), ""), next(filter(None, near), "")

    def relative(self, path: str) -> str:
        """``path`` relative to the source, with slashes; empty for what is elsewhere."""
        full = os.path.abspath(path)
        if not any(_is_below(full, str(base)) for base in (self.source, *self.others)):
            return ""
        return Path(os.path.relpath(full, self.source)).as_posix()

    def folder(self, path: str, what: str) -> str:
        """As :meth:`relative`, for a folder to build from; raises :class:`UsageError`."""
        found = self.relative(path)
        if not found:
            raise UsageError(
                f"{what} is built from {path}, which is neither below the recipe nor below what "
                "names it, so no lock can say where it is; move it there, or lock a wheel of it"
            )
        return found

    def repository(self, text: str, what: str) -> str:
        """The address of a repository, without a password; raises :class:`UsageError`."""
        parts = urlsplit(text)
        if parts.scheme in ("http", "https"):
            return shown(text)
        if parts.scheme in ("ssh", "git", "git+ssh"):
            user, at, host = parts.netloc.rpartition("@")
            return urlunsplit(
                (parts.scheme, f"{user.partition(':')[0]}{at}{host}", parts.path, "", "")
            )
        path = self.relative(local_path(text) if is_local(text) else text)
        if not path:
            raise UsageError(
                f"{what} comes from a repository that no other machine has; lock one that has a "
                "public address, or that is below the recipe"
            )
        return path

    def locate(self, path: str) -> Path:
        """The place on this machine of what :meth:`relative` gave."""
        return Path(os.path.abspath(self.source / PurePosixPath(path)))

    def locate_repository(self, text: str) -> str:
        """The address, or the path on this machine, of what :meth:`repository` gave."""
        return text if "://" in text else str(self.locate(text))


def _is_below(path: str, base: str) -> bool:
    try:
        return os.path.commonpath((path, base)) == base
    except ValueError:
        return False
