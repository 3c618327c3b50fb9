"""What an environment of a recipe is chosen by, and whether a lock was made from the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError, file_system_error
from kitbag_packer.environments.model import PROJECT, REQUIREMENTS
from kitbag_packer.recipes.packages import Chosen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.recipes.environments import EnvironmentOptions
    from kitbag_packer.recipes.packages import EnvironmentPin

_INCLUDE = re.compile(r"^\s*(?:-[rc]\s*|--(?:requirement|constraint)(?:\s+|=))(\S+)", re.MULTILINE)
_DEPENDENCIES = (
    *("name", "version", "dynamic", "requires-python"),
    *("dependencies", "optional-dependencies"),
)
_PROJECT = ("pyproject.toml", "setup.cfg", "setup.py")


def chosen_by(options: EnvironmentOptions, folder: Path) -> Chosen:
    """What an environment is chosen by; ``folder`` is the recipe's.

    Raises :class:`UsageError` where nothing names its packages.
    """
    digest = source_digest(options, folder)
    if not digest:
        path = options.spec(folder).path
        what = "has no pyproject.toml and no lock" if path.is_dir() else "is not there"
        raise UsageError(
            f"[[environment]] {options.name} {options.kind}: {path} {what}; correct its path"
        )
    return Chosen(
        options.kind, options.source, digest, options.extras, options.groups, options.glibc
    )


def source_digest(options: EnvironmentOptions, folder: Path) -> str:
    """SHA-256 of the text that names the packages, whatever its line ends; empty for none.

    Of a project that is its lock, with what a uv.lock is made from, and what describes it where
    there is no lock; of requirements, all files that include each other.
    """
    from kitbag_packer.environments.projects import Project

    path = options.spec(folder).path
    if options.kind == REQUIREMENTS:
        return _joined(_included(path, []))
    if options.kind != PROJECT:
        return _digest(path)
    project = Project.near(path)
    lock = project.lock()
    if lock is None:
        return _joined([project.folder / name for name in _PROJECT])
    digest = _digest(lock)
    if lock.name == "uv.lock" and digest:
        # It may be older than what it was made from, which only uv can tell when all is looked up.
        digest = hashlib.sha256(f"{digest}{_asked_for(project.pyproject)}".encode()).hexdigest()
    return digest


def changed(pin: EnvironmentPin, options: EnvironmentOptions, folder: Path) -> Iterator[str]:
    """Why the packages of ``pin`` are not those of ``options`` any more, as clauses."""
    was = pin.chosen
    if (was.kind, was.path) != (options.kind, options.source):
        yield f"from {was.kind} {was.path}, not {options.kind} {options.source}"
        return
    digest = source_digest(options, folder)
    # Whoever has the lock and not what it was made from can still pack what it pins.
    if digest not in ("", was.sha256):
        yield f"from {options.source}, which names other packages since"
    for name in ("extras", "groups", "glibc"):
        before, now = getattr(was, name), getattr(options, name)
        if _plain(before) != _plain(now):
            yield f"with {name} {_words(before)}, not {_words(now)}"


def _plain(value: object) -> object:
    return sorted(set(value)) if isinstance(value, tuple) else value


def _words(value: object) -> str:
    if value is None:
        return "by default"
    return (", ".join(value) if isinstance(value, tuple) else str(value)) or "(none)"


def _digest(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        raise file_system_error(error, os.fspath(path)) from None
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def _asked_for(pyproject: Path) -> str:
    """What a project says of its dependencies, and nothing of the rest, as one text."""
    try:
        document = tomllib.loads(pyproject.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return _digest(pyproject)
    project, tool = document.get("project"), document.get("tool")
    described = project if isinstance(project, dict) else {}
    settings = tool.get("uv") if isinstance(tool, dict) else None
    said = [described.get(key) for key in _DEPENDENCIES]
    return json.dumps([*said, document.get("dependency-groups"), settings], default=str)


def _joined(paths: list[Path]) -> str:
    """One digest for those of ``paths`` that are there; empty for none."""
    found = [digest for path in paths if (digest := _digest(path))]
    if len(found) < 2:
        return "".join(found)
    return hashlib.sha256("".join(found).encode()).hexdigest()


def _included(path: Path, seen: list[Path]) -> list[Path]:
    """``path`` and the files of requirements and constraints that it names, each once."""
    if path in seen:
        return seen
    seen.append(path)
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return seen
    for name in _INCLUDE.findall(text):
        _included(Path(os.path.abspath(path.parent / name)), seen)
    return seen
