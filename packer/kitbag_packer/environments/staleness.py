"""Does ``uv.lock`` still go with its project? uv says so; where it can't, the names tell.

Nothing is written into the project, and nothing of it is built: a project whose dependencies only
its build tells can't be checked.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_packer.environments.pylocks import read_table
from kitbag_packer.errors import StaleLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.environments.uvtool import Uv

_STALE = "needs to be updated"
_LOCAL = ("editable", "virtual", "directory")
_DEPENDENCIES = {"dependencies", "optional-dependencies"}


def check_lock(lock: Path, project: Path, uv: Uv, reporter: Reporter) -> None:
    """Raise :class:`StaleLock` if ``lock`` is not that of ``project`` as it is now."""
    stale = StaleLock(
        f"{lock} does not go with {project / 'pyproject.toml'} any more; run 'uv lock' there and "
        "pack again"
    )
    local = [lock.parent / each for each in _local_projects(lock)]
    if any(is_dynamic(each) for each in local):
        reporter.info(
            f"{lock} is taken as it is: whether it goes with its project only a build could tell"
        )
        return
    with tempfile.TemporaryDirectory(prefix="kitbag-uv-") as scratch:
        place = project
        if any(told_by_builds(each) for each in local):
            place = _skeleton(lock, project, Path(scratch) / "tree")
        # Most locks need neither a cache nor the network.
        alone = {"UV_OFFLINE": "1", "UV_CACHE_DIR": os.path.join(scratch, "cache")}
        answer = uv.run(["lock", "--check"], place, alone)
        if answer.status and _STALE not in answer.err:
            answer = uv.run(["lock", "--check"], place)
    if answer.status == 0:
        return
    if _STALE in answer.err or any(_names_differ(lock, each) for each in local):
        raise stale
    reporter.warn(
        f"{lock} is taken as it is: uv could not tell whether it goes with its project "
        f"({uv.told(answer.err)})"
    )


def _skeleton(lock: Path, project: Path, top: Path) -> Path:
    """Where ``project`` is in a copy of nothing but descriptions, made below ``top``.

    There uv may build as it likes, which it does for a version that only a build tells.
    """
    folders, files = {lock.parent, project}, [lock]
    folders |= {Path(os.path.normpath(lock.parent / each)) for each in _local_projects(lock)}
    for package in _packages(lock):
        source = package.get("source")
        where = source.get("path") if isinstance(source, dict) else None
        if isinstance(where, str):
            files.append(Path(os.path.normpath(lock.parent / where)))
    files += [each / name for each in folders for name in ("pyproject.toml", "uv.toml")]
    settings = (each / "uv.toml" for each in lock.parent.parents)
    files += [each for each in settings if each.is_file()][:1]
    base = os.path.commonpath([each.parent for each in files])
    for each in files:
        if each.is_file():
            copy = top / os.path.relpath(each, base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, copy)
    return top / os.path.relpath(project, base)


def _local_projects(lock: Path) -> Iterator[str]:
    """Directories of the projects in a lock, relative to its own."""
    for package in _packages(lock):
        source = package.get("source")
        if isinstance(source, dict):
            yield from (source[kind] for kind in _LOCAL if isinstance(source.get(kind), str))


def is_dynamic(project: Path) -> bool:
    """Whether the dependencies of a project are known only to its build."""
    return bool(_DEPENDENCIES & told_by_builds(project))


def told_by_builds(project: Path) -> set[str]:
    """What only the build of a project tells."""
    try:
        table = read_table(project / "pyproject.toml").get("project")
    except UsageError:
        return _DEPENDENCIES
    if not isinstance(table, dict):
        return set() if _is_only_workspace(project) else _DEPENDENCIES
    dynamic = table.get("dynamic", [])
    return {str(each) for each in dynamic} if isinstance(dynamic, list) else set()


def _is_only_workspace(project: Path) -> bool:
    tool = read_table(project / "pyproject.toml").get("tool")
    return isinstance(tool, dict) and "workspace" in tool.get("uv", {})


def _names_differ(lock: Path, project: Path) -> bool:
    """Whether the project asks for other packages than it did for the lock, by their names."""
    table = read_table(project / "pyproject.toml").get("project", {})
    name = _normal(str(table.get("name", "")))
    locked = next((each for each in _packages(lock) if each.get("name") == name), None)
    metadata = locked.get("metadata", {}) if locked else {}
    if "requires-dist" not in metadata:
        return bool(locked) and bool(table.get("dependencies"))
    many = table.get("optional-dependencies", {}).values()
    asked = [*table.get("dependencies", []), *(each for some in many for each in some)]
    return set(_names(asked)) != {str(each.get("name")) for each in metadata["requires-dist"]}


def _names(requirements: list[str]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for each in requirements:
        try:
            yield _normal(Requirement(each).name)
        except InvalidRequirement:
            yield each


def _normal(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _packages(lock: Path) -> list[dict[str, Any]]:
    packages = read_table(lock).get("package", [])
    return [each for each in packages if isinstance(each, dict)] if packages else []
