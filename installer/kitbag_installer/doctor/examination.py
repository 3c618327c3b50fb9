"""Examines a root and its builds: several builds side by side, all findings in a fixed order."""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import Interrupted, file_system_error
from kitbag_bundles.implementations import implementation_of
from kitbag_installer.doctor import findings, surroundings
from kitbag_installer.doctor.environments import ExaminedEnvironment, examine_environment
from kitbag_installer.doctor.features import Subject
from kitbag_installer.doctor.findings import FAULT, Finding, advice, fault, ok
from kitbag_installer.doctor.interpreters import Bench, check_interpreter
from kitbag_installer.doctor.processes import Children, plain_environment
from kitbag_installer.doctor.trees import check_tree, read_tree
from kitbag_installer.elsewhere import whose
from kitbag_installer.selection import matching_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.doctor.trees import Tree
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root

LIMIT = 60.0
"""Seconds that one check may take."""


@dataclass(frozen=True)
class DoctorOptions:
    """How the doctor works; ``limit`` is in seconds, for each single check."""

    jobs: int = 1
    limit: float = LIMIT


@dataclass(frozen=True)
class Examined:
    """What was found out about one build, in the order of the checks."""

    key: BuildKey
    path: str
    by_kitbag: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about a root, its builds and its environments."""

    root: str
    findings: tuple[Finding, ...]
    builds: tuple[Examined, ...]
    environments: tuple[ExaminedEnvironment, ...] = ()

    def all_findings(self) -> list[Finding]:
        """Every finding, the root's first."""
        subjects: list[Examined | ExaminedEnvironment] = [*self.builds, *self.environments]
        return [*self.findings, *(each for subject in subjects for each in subject.findings)]

    @property
    def healthy(self) -> bool:
        """Whether there are no faults; there may be advice."""
        return not any(finding.severity == FAULT for finding in self.all_findings())


def examine(
    root: Root,
    requests: Sequence[Request],
    host: Host,
    environ: Mapping[str, str],
    options: DoctorOptions,
    reporter: Reporter,
    names: Sequence[str] = (),
    *,
    builds: bool = True,
) -> Diagnosis:
    """Examine ``root`` and the builds in it that ``requests`` name, or all; not without ``builds``.

    ``names`` are those of environments to examine.
    Nothing is changed: what the checks write goes to the system's temporary directory, and is
    removed. Raises :class:`NoMatch`, :class:`FileSystemError`.
    """
    installed = tuple(root.builds())
    keys = matching_keys(installed, requests) if builds else ()
    if not keys and not names and not os.path.isdir(root.own):
        return Diagnosis(root.path, (), ())
    if keys:
        many = f"{len(keys)} builds" if len(keys) > 1 else str(keys[0])
        reporter.info(f"examining {many}; this may take a minute")
    try:
        of_root = surroundings.check_root(root, host, environ, installed)
        with tempfile.TemporaryDirectory(prefix="kitbag-doctor-") as scratch:
            ward = _Ward(root, host, environ, options, scratch)
            examined = tuple(ward.examine(keys)) if keys else ()
        environments = tuple(examine_environment(root, name, host) for name in names)
    except OSError as error:
        raise file_system_error(error, root.path) from None
    return Diagnosis(root.path, findings.in_order(of_root), examined, environments)


class _Ward:
    """Several builds that are examined at the same time, in threads that wait for programs."""

    def __init__(
        self,
        root: Root,
        host: Host,
        environ: Mapping[str, str],
        options: DoctorOptions,
        scratch: str,
    ) -> None:
        self._root = root
        self._host = host
        self._environ = environ
        self._options = options
        self._scratch = os.path.realpath(scratch)
        self._children = Children()
        self._found: dict[BuildKey, Examined | BaseException] = {}

    def examine(self, keys: Sequence[BuildKey]) -> list[Examined]:
        waiting: queue.SimpleQueue[BuildKey] = queue.SimpleQueue()
        for key in keys:
            waiting.put(key)
        count = min(self._options.jobs, len(keys))
        threads = [
            # Such as do not keep this process alive when a person has stopped it.
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._children.stop()
        done = []
        for key in keys:
            found = self._found[key]
            if isinstance(found, BaseException):
                raise found
            done.append(found)
        return done

    def _work(self, waiting: queue.SimpleQueue[BuildKey]) -> None:
        while True:
            try:
                key = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._found[key] = self._one(key)
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
                self._found[key] = error
                if isinstance(error, Interrupted):
                    return

    def _one(self, key: BuildKey) -> Examined:
        tree = read_tree(self._root, key)
        found = check_tree(tree)
        elsewhere = whose(self._root, key, self._host)
        if elsewhere:
            said = ok if tree.receipt and tree.receipt.foreign else _not_for_here
            found.append(said("target", f"{elsewhere}; its interpreter was not started"))
            program = implementation_of(key).executable(key)
            if not os.path.lexists(os.path.join(tree.path, program)):
                found.append(fault("interpreter", f"{program} is missing", tree.mend))
        else:
            found.append(ok("target", "fits this machine"))
            found += self._inside(tree)
        return Examined(key, tree.path, tree.receipt is not None, findings.in_order(found))

    def _inside(self, tree: Tree) -> list[Finding]:
        scratch = os.path.join(self._scratch, str(tree.key))
        os.mkdir(scratch)
        bench = Bench(
            self._children,
            scratch,
            plain_environment(self._environ, scratch),
            self._options.limit,
        )
        subject = Subject(
            key=tree.key,
            tree=tree.path,
            shipped=tree.shipped,
            sources=tree.sources,
            libraries=tree.libraries,
            parts=tree.parts,
            made_here=tree.receipt is not None and tree.receipt.flavor == "rerooted",
            mend=tree.mend,
            renew=tree.renew,
        )
        names = surroundings.names_leading_to(self._root, tree.key)
        return check_interpreter(subject, names, bench)


def _not_for_here(check: str, message: str) -> Finding:
    return advice(
        check, message, "nothing, if other machines use this root; otherwise uninstall it"
    )
