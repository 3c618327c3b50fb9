"""What an environment's packages are, as a lock (PEP 751): read as it is, or made by the real uv.

A ``pylock.toml`` is read; ``uv.lock`` is exported, pinned requirements are looked up, and a project
without any lock is resolved, all by uv. Nothing is written into a project. Whatever comes from uv
holds no more than was asked for: its extras and groups are chosen already.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kitbag_bundles.errors import DigestMismatch, KitbagError, UsageError
from kitbag_packer.environments.indexes import index_settings
from kitbag_packer.environments.model import LOCK, PROJECT
from kitbag_packer.environments.projects import Project, copied
from kitbag_packer.environments.pylocks import parsed, paths_in, pylock_of, read_table
from kitbag_packer.environments.requirements import read_requirements
from kitbag_packer.environments.staleness import check_lock
from kitbag_packer.environments.uvplatforms import uv_platform
from kitbag_packer.environments.uvtool import Uv

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from packaging.pylock import Pylock

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.downloads.accounts import Accounts
    from kitbag_packer.environments.model import For, Spec
    from kitbag_packer.environments.requirements import Requirements
    from kitbag_packer.environments.uvtool import Answer

_T = TypeVar("_T")
_FORMAT = ("--format", "pylock.toml", "--no-header")
_QUIET = ("--no-annotate", *_FORMAT)


def read_pylock(
    spec: Spec,
    made_for: For,
    reporter: Reporter,
    *,
    accounts: Accounts | None = None,
    offline: bool = False,
) -> Pylock:
    """The lock of one environment for one build; see :meth:`Locks.read`."""
    return Locks(reporter, accounts=accounts, offline=offline).read(spec, made_for)


class Locks:
    """Reads the locks of one command, from any thread; what targets share is asked for once."""

    def __init__(
        self,
        reporter: Reporter,
        *,
        accounts: Accounts | None = None,
        offline: bool = False,
        environ: Mapping[str, str] | None = None,
        uv: Uv | None = None,
    ) -> None:
        """Credentials that are met on the way are put into ``accounts``."""
        self._environ = dict(os.environ if environ is None else environ)
        self.uv = uv or Uv(accounts, offline=offline, environ=self._environ)
        self._accounts = self.uv.accounts
        self._reporter = reporter
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._known: dict[Hashable, Any] = {}
        self._told: set[str] = set()

    def read(self, spec: Spec, made_for: For) -> Pylock:
        """The lock of ``spec``, of which :meth:`Pylock.select` takes what is for ``made_for``.

        All paths in it are absolute, and no address in it has credentials. Raises
        :class:`UsageError` (also StaleLock), :class:`Unverified`, :class:`DigestMismatch`,
        :class:`ResolverError` and :class:`OfflineError`.
        """
        path = Path(os.path.abspath(spec.path))
        if spec.kind == LOCK:
            return self._once(("lock", path), lambda: self._read_lock(path))
        if spec.kind == PROJECT:
            return self._read_project(Project.at(path), spec, made_for)
        return self._once(
            ("requirements", path, made_for.version), lambda: self._look_up(path, made_for)
        )

    def lock_of(self, spec: Spec) -> Path:
        """The file that tells what is in an environment; raises :class:`UsageError`."""
        path = Path(os.path.abspath(spec.path))
        if spec.kind != PROJECT:
            return path
        project = Project.at(path)
        return project.lock() or project.pyproject

    def _once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._known:
                try:
                    self._known[key] = make()
                except KitbagError as error:
                    self._known[key] = error
            found: _T | KitbagError = self._known[key]
        if isinstance(found, KitbagError):
            # Another one each time: what is raised collects where it has been.
            raise type(found)(str(found))
        return found

    def _read_lock(self, path: Path) -> Pylock:
        from packaging.pylock import is_valid_pylock_path

        if not is_valid_pylock_path(path):
            advice = {"uv.lock": "name its directory with --project"}.get(
                path.name,
                "name it with --requirements"
                if path.suffix in (".txt", ".in")
                else "give it such a name, or make one with 'uv export --format pylock.toml'",
            )
            raise UsageError(
                f"{path} is not called pylock.toml or pylock.<name>.toml, as PEP 751 asks of a "
                f"lock; {advice}"
            )
        return pylock_of(read_table(path), str(path), path.parent, self._accounts, self._reporter)

    def _read_project(self, project: Project, spec: Spec, made_for: For) -> Pylock:
        lock = project.lock()
        if lock is None or lock.name == "uv.lock":
            project.check(spec)
        if lock is None:
            wanted = ("resolve", project, spec.extras, spec.groups, made_for, spec.glibc)
            return self._once(wanted, lambda: self._resolve(project, spec, made_for))
        if lock.name != "uv.lock":
            return self._once(("pylock", lock), lambda: self._read_beside(project, lock))
        key = ("export", project, spec.extras, spec.groups)
        return self._once(key, lambda: self._export(project, lock, spec))

    def _read_beside(self, project: Project, lock: Path) -> Pylock:
        """The ``pylock.toml`` of a project, and the project, which may not be in it."""
        table = project.added_to(read_table(lock))
        return pylock_of(table, str(lock), lock.parent, self._accounts, self._reporter)

    def _export(self, project: Project, lock: Path, spec: Spec) -> Pylock:
        """What ``uv.lock`` has for all targets."""
        index_settings(project.folder, self._accounts, self._environ)
        options = [each for name in spec.extras for each in ("--extra", name)]
        options += [each for name in spec.groups or () for each in ("--group", name)]
        answer = self.uv.ask(
            ["export", "--frozen", "--no-default-groups", *_FORMAT, *options],
            project.folder,
            f"{lock} can't be read",
        )
        self._once(
            ("checked", lock, project),
            lambda: check_lock(lock, project.folder, self.uv, self._reporter),
        )
        return self._made(parsed(answer.out, str(lock)), lock, project.folder, spec)

    def _resolve(self, project: Project, spec: Spec, made_for: For) -> Pylock:
        """Choose versions for a project that has no lock."""
        pyproject = project.pyproject
        described = read_table(pyproject).get("project")
        if not isinstance(described, dict):
            raise UsageError(
                f"{pyproject} has no [project] table, so nothing says what it needs; add one, or "
                "name a file with --lock or --requirements"
            )
        variables, options = index_settings(project.folder, self._accounts, self._environ)
        platform = uv_platform(made_for, spec.glibc)
        chosen = ["--python-platform", platform] if platform else ["--universal"]
        chosen += [each for name in spec.extras for each in ("--extra", name)]
        with contextlib.ExitStack() as stack:
            source = project.folder
            if project.is_dynamic:
                # What such a project depends on only its build tells, and a build writes.
                source = stack.enter_context(copied(project.folder))
            place = source / pyproject.name
            chosen += [
                each for name in spec.groups or () for each in ("--group", f"{place}:{name}")
            ]
            answer = self.uv.run(
                ["pip", "compile", place, *_QUIET, *_python(made_for), *options, *chosen],
                project.folder,
                variables,
            )
            if answer.status:
                answer = answer._replace(err=answer.err.replace(str(source), str(project.folder)))
                raise self.uv.error_of(
                    answer,
                    f"{pyproject} has no lock and can't be resolved for {made_for.target}",
                    "correct it, or run 'uv lock' beside it and pack again",
                )
            self._warn(answer, pyproject)
            table = parsed(answer.out, str(pyproject))
            for part in paths_in(table):
                part["path"] = project.taken_back(part["path"], source)
        # What uv writes there is only the version that it was asked for.
        table["requires-python"] = str(described.get("requires-python", ""))
        return self._made(project.added_to(table), pyproject, project.folder, spec)

    def _look_up(self, path: Path, made_for: For) -> Pylock:
        """Where the files of pinned requirements are, for all targets."""
        asked = read_requirements(path, self._environ)
        variables, options = index_settings(path.parent, self._accounts, self._environ)
        for address in asked.addresses:
            self._accounts.add(address)
        answer = self.uv.ask(
            ["pip", "compile", path, "--universal", "--no-deps", *_QUIET, *_python(made_for),
             *options],
            path.parent,
            f"{path} can't be looked up",
            {**variables, **asked.variables},
        )  # fmt: skip
        self._warn(answer, path)
        table = parsed(answer.out, str(path))
        for package in table.get("packages", []):
            _keep_hashed(package, asked, path)
        return pylock_of(table, str(path), path.parent, self._accounts, self._reporter)

    def _made(self, table: dict[str, Any], where: Path, base: Path, spec: Spec) -> Pylock:
        """The lock that uv made; it says that it has the extras and groups that it was made for."""
        from packaging.utils import canonicalize_name

        table["extras"] = [str(canonicalize_name(each)) for each in spec.extras]
        table["dependency-groups"] = list(spec.groups or ())
        return pylock_of(table, str(where), base, self._accounts, self._reporter)

    def _warn(self, answer: Answer, about: Path) -> None:
        """Pass on what uv warned of, each thing once."""
        for warning in self.uv.warnings(answer):
            with self._lock:
                known = warning in self._told
                self._told.add(warning)
            if not known:
                self._reporter.warn(f"{about}: uv warns: {warning}")


def _python(made_for: For) -> tuple[str, ...]:
    """The target's version; an interpreter uv asks only how a build would go."""
    return ("--python-version", made_for.version, "--python", sys.executable)


def _keep_hashed(package: dict[str, Any], asked: Requirements, path: Path) -> None:
    """Keep those files of a package whose SHA-256 the requirements have."""
    name, version = str(package.get("name")), str(package.get("version", ""))
    allowed = asked.hashes_of(name, version)

    def is_allowed(file: Any) -> bool:
        return isinstance(file, dict) and file.get("hashes", {}).get("sha256") in allowed

    wheels = [each for each in package.pop("wheels", []) if is_allowed(each)]
    singles = {kind: package.pop(kind, None) for kind in ("sdist", "archive")}
    kept = {kind: file for kind, file in singles.items() if is_allowed(file)}
    if wheels:
        kept["wheels"] = wheels
    if not kept:
        raise DigestMismatch(
            f"{asked.where(name) or path}: {name} {version} has no file with a hash that is "
            "written there; it was changed or taken away since; write the file anew with 'uv pip "
            "compile --generate-hashes' if that is meant"
        )
    package.update(kept)
