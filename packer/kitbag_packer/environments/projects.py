"""A person's project: which lock it has, whether it is a package itself; never written to."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError, file_system_error
from kitbag_packer.environments.naming import known
from kitbag_packer.environments.pylocks import read_table
from kitbag_packer.environments.staleness import is_dynamic, told_by_builds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PYPROJECT = "pyproject.toml"
_NO_SOURCE = (
    *(".venv", "venv", ".tox", ".nox", "__pycache__", "node_modules"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"),
)


@dataclass(frozen=True)
class Project:
    """A directory with a ``pyproject.toml``, or with a lock alone."""

    folder: Path
    """Absolute."""

    @classmethod
    def at(cls, path: Path) -> Project:
        """The project at ``path``, which may name a file of it; raises :class:`UsageError`."""
        project = cls.near(path)
        path = project.folder
        if not path.is_dir():
            raise UsageError(f"{path} is no directory; give the one that has the project")
        if not project.pyproject.is_file() and project.lock() is None:
            raise UsageError(
                f"{path} has no pyproject.toml and no lock; give another directory, or name a file "
                "with --lock or --requirements"
            )
        return project

    @classmethod
    def near(cls, path: Path) -> Project:
        """The same, whatever is there."""
        is_file = path.name in (_PYPROJECT, "uv.lock", "pylock.toml") and path.is_file()
        return cls(path.parent if is_file else path)

    @property
    def pyproject(self) -> Path:
        """Its ``pyproject.toml``."""
        return self.folder / _PYPROJECT

    def lock(self) -> Path | None:
        """Its lock: ``uv.lock``, also that of its workspace, or ``pylock.toml``."""
        for name in ("uv.lock", "pylock.toml"):
            if (self.folder / name).is_file():
                return self.folder / name
        for parent in self.folder.parents:
            if (parent / "uv.lock").is_file() and self._is_member_of(parent):
                return parent / "uv.lock"
        return None

    @property
    def is_dynamic(self) -> bool:
        """Whether its dependencies are known only to its build."""
        return is_dynamic(self.folder)

    def default_groups(self) -> tuple[str, ...]:
        """Dependency groups that uv installs for those who develop it, unless they name others."""
        # https://docs.astral.sh/uv/concepts/projects/dependencies/#default-groups
        if not self.pyproject.is_file():
            return ()
        table = read_table(self.pyproject)
        groups = table.get("dependency-groups")
        there = [str(name) for name in groups] if isinstance(groups, dict) else []
        wanted = _uv_table(table).get("default-groups", ["dev"])
        if wanted == "all":
            return tuple(there)
        named = {_normal(str(each)) for each in wanted} if isinstance(wanted, list) else set()
        return tuple(name for name in there if _normal(name) in named)

    def check_names(self, extras: Sequence[str], groups: Sequence[str]) -> None:
        """Raise :class:`UsageError` for extras and dependency groups that it does not have."""
        if not self.pyproject.is_file():
            return
        table = read_table(self.pyproject)
        project, there = table.get("project"), table.get("dependency-groups")
        old = ("dev",) if "dev-dependencies" in _uv_table(table) else ()
        try:
            known(groups, (*(there if isinstance(there, dict) else ()), *old), "dependency group")
            told_later = told_by_builds(self.folder)
            if isinstance(project, dict) and "optional-dependencies" not in told_later:
                known(extras, project.get("optional-dependencies") or (), "extra")
        except UsageError as error:
            raise UsageError(f"{self.pyproject}: {error}") from None

    def added_to(self, lock: dict[str, Any]) -> dict[str, Any]:
        """``lock`` with the project itself in it, if it is a package and not in it yet."""
        name = self._package_name()
        packages = lock.get("packages", [])
        if not name or not isinstance(packages, list):
            return lock
        normal = _normal(name)
        if any(isinstance(each, dict) and each.get("name") == normal for each in packages):
            return lock
        itself = {"name": normal, "directory": {"path": str(self.folder)}}
        return {**lock, "packages": [*packages, itself]}

    def taken_back(self, path: str, copy: Path) -> str:
        """``path``, relative to the project, or in it where it led into a copy of the project."""
        found = os.path.normpath(os.path.join(self.folder, path))
        inside = os.path.relpath(os.path.realpath(found), os.path.realpath(copy))
        return found if inside.startswith("..") else os.path.normpath(self.folder / inside)

    def _package_name(self) -> str:
        """Its name, if it is to be installed itself; as uv decides that."""
        # https://docs.astral.sh/uv/concepts/projects/config/#project-packaging
        if not self.pyproject.is_file():
            return ""
        table = read_table(self.pyproject)
        project, wanted = table.get("project"), _uv_table(table).get("package")
        if wanted is False or (wanted is None and "build-system" not in table):
            return ""
        return str(project.get("name", "")) if isinstance(project, dict) else ""

    def _is_member_of(self, root: Path) -> bool:
        try:
            workspace = _uv_table(read_table(root / _PYPROJECT)).get("workspace")
        except UsageError:
            return False
        if not isinstance(workspace, dict):
            return False
        return self._is_in(root, workspace.get("members")) and not self._is_in(
            root, workspace.get("exclude")
        )

    def _is_in(self, root: Path, patterns: object) -> bool:
        for pattern in patterns if isinstance(patterns, list) else []:
            with contextlib.suppress(ValueError, NotImplementedError):
                if any(os.path.samefile(each, self.folder) for each in root.glob(str(pattern))):
                    return True
        return False


def _uv_table(pyproject: dict[str, Any]) -> dict[str, Any]:
    """``[tool.uv]``; empty where there is none."""
    tool = pyproject.get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    return uv if isinstance(uv, dict) else {}


def _normal(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


@contextlib.contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """A copy of a project to build in, without what others made in it; raises FileSystemError."""
    with tempfile.TemporaryDirectory(prefix="kitbag-project-", ignore_cleanup_errors=True) as top:
        copy = Path(top) / folder.name
        try:
            shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns(*_NO_SOURCE))
        except shutil.Error as error:
            raise UsageError(
                f"{folder} can't be copied ({error.args[0][0][2]}), and kitbag builds only in a "
                "copy; check the permissions"
            ) from None
        except OSError as error:
            raise file_system_error(error, str(folder)) from None
        yield copy
