"""The checks of one environment: where it is, what it is made of, and whether it starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import IntegrityError, SmokeTestFailed
from kitbag_installer import links
from kitbag_installer.doctor import findings
from kitbag_installer.doctor.findings import Finding, advice, fault, ok
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.receipts import read_contents, read_receipt
from kitbag_installer.environments.verification import misplaced, missing_interpreter
from kitbag_installer.platforms import this_system
from kitbag_installer.rewriting.prefix import shell_quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_installer.environments.layout import Layout
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root

_SHOWN = 3
_LONGEST_HEADER = 65536


class ExaminedEnvironment(NamedTuple):
    """What was found out about one environment, in the order of the checks."""

    name: str
    path: str
    findings: tuple[Finding, ...]


def examine_environment(root: Root, name: str, host: Host) -> ExaminedEnvironment:
    """Examine the environment ``name``; raises :class:`OSError`."""
    path = environment_path(root, name)
    found = findings.in_order(_Examination(root, name, path, host).run())
    return ExaminedEnvironment(name, path, found)


class _Examination:
    def __init__(self, root: Root, name: str, path: str, host: Host) -> None:
        self._root = root
        self._name = name
        self._path = path
        self._host = host
        place = f"--root {shell_quoted(root.path)}"
        self._mend = f"kitbag repair BUNDLE {name} {place}"
        self._relocate = f"kitbag relocate {place}"
        self._install = f"kitbag install BUNDLE {name} {place}"
        self._listed: set[str] = set()

    def run(self) -> Iterator[Finding]:
        check = "environment-receipt"
        try:
            receipt = read_receipt(self._path)
            self._listed = {each.path for each in read_contents(self._path, receipt)}
        except IntegrityError as error:
            yield fault(check, str(error).partition("; ")[0], self._mend)
            return
        yield ok(check, f"installed by kitbag {receipt.kitbag}")
        away = receipt.foreign and receipt.home != self._path
        moved = misplaced(self._path, receipt)
        if moved:
            message = moved.partition("; ")[0]
            yield fault("environment-home", message, self._relocate)
        elif away:
            yield ok("environment-home", f"for use as {receipt.home}")
        else:
            yield ok("environment-home", "is where it was installed")
        layout = layout_of(receipt.python)
        yield from self._records(layout)
        if away:
            return
        # After a move all of this is wrong for one reason, which has been told.
        if not moved:
            yield from self._interpreter(receipt, layout)
        # So it is without an interpreter.
        if not moved and not missing_interpreter(receipt):
            yield from self._links(layout)
            yield from self._scripts(layout)
        yield self._names(receipt)

    def _interpreter(self, receipt: EnvironmentReceipt, layout: Layout) -> Iterator[Finding]:
        missing = missing_interpreter(receipt)
        if missing:
            message = missing.partition("; ")[0]
            yield fault("environment-build", message, self._install)
            return
        build = os.path.basename(os.path.realpath(receipt.base))
        followed = f", now {build}" if build != str(receipt.python) else ""
        yield ok("environment-build", f"made with {receipt.python}{followed}")
        check = "environment-interpreter"
        unfit = self._host.unfit(receipt.python)
        if unfit:
            yield advice(check, f"was not started: {unfit}", "nothing, if others use this root")
            return
        from kitbag_installer.environments.smoke import Started

        try:
            with Started(self._name, os.path.join(self._path, layout.python)) as started:
                started.check(self._path, receipt.base)
        except SmokeTestFailed as error:
            yield fault(check, str(error).partition(": ")[2], self._mend)
        else:
            yield ok(check, "starts, and knows where it is")

    def _links(self, layout: Layout) -> Iterator[Finding]:
        check, found = "environment-links", False
        for folder in ("", layout.programs, layout.site):
            full = os.path.join(self._path, folder)
            for name in sorted(os.listdir(full)) if os.path.isdir(full) else []:
                path = os.path.join(full, name)
                if os.path.islink(path) and not os.path.exists(path):
                    found = True
                    message = f"{path} leads to {os.readlink(path)}, which is not there"
                    yield fault(check, message, self._mend_or_remove(path, path))
        if not found:
            yield ok(check, "none")

    def _records(self, layout: Layout) -> Iterator[Finding]:
        check, found, count = "environment-records", False, 0
        site = os.path.join(self._path, layout.site)
        for name in sorted(os.listdir(site)) if os.path.isdir(site) else []:
            record = os.path.join(site, name, "RECORD")
            if not name.endswith(".dist-info") or not os.path.isfile(record):
                continue
            count += 1
            missing = _missing_of(record, site)
            if missing:
                found = True
                more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
                message = f"{name} lacks {', '.join(missing[:_SHOWN])}{more}"
                yield fault(check, message, f"{self._mend}; or install that package again")
        if not found:
            yield ok(check, f"all that {count} packages list is there")

    def _scripts(self, layout: Layout) -> Iterator[Finding]:
        check, found = "environment-scripts", False
        folder = os.path.join(self._path, layout.programs)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            program = "" if os.path.islink(path) else _interpreter_of(path)
            if program and not os.path.exists(program):
                found = True
                message = f"{path} starts {program}, which is not there"
                yield fault(check, message, f"{self._mend}; or install its package again")
        if not found:
            yield ok(check, "lead to interpreters that are there")

    def _names(self, receipt: EnvironmentReceipt) -> Finding:
        check = "environment-names"
        inside = self._path + os.sep
        known = links.bin_links(self._root)
        suffix = this_system.COMMAND_SUFFIX
        named = {os.path.basename(path): path for path, to in known if to.startswith(inside)}
        for path, to in known:
            if to.startswith(inside) and not os.path.exists(to):
                message = f"{path} leads to {to}, which is not there"
                return fault(check, message, self._mend_or_remove(to, path))
        missing = [each for each in receipt.expose if each + suffix not in named]
        if named and missing:
            message = f"{', '.join(missing)}: no name in a bin folder leads there"
            folder = os.path.dirname(min(named.values()))
            taken = any(os.path.lexists(os.path.join(folder, each + suffix)) for each in missing)
            force = " --force" if taken else ""
            cure = f"{self._install} --bin-dir {shell_quoted(folder)}{force}"
            return advice(check, message, cure)
        return ok(check, "lead to its programs" if named else "no names were made")

    def _mend_or_remove(self, path: str, link: str) -> str:
        """The cure where ``path`` is missing, or leads to nothing: repair mends what it knows."""
        known = os.path.relpath(path, self._path).replace(os.sep, "/") in self._listed
        return self._mend if known else f"rm {shell_quoted(link)}"


def _missing_of(record: str, site: str) -> list[str]:
    """The files that ``RECORD`` has and that are not there; compiled ones come and go."""
    import csv

    with open(record, encoding="utf-8", errors="surrogateescape", newline="") as file:
        try:
            paths = [row[0] for row in csv.reader(file) if row]
        except csv.Error:
            return ["a RECORD that can be read"]
    return [
        path
        for path in paths
        if not path.endswith(".pyc") and not os.path.lexists(os.path.join(site, path))
    ]


def _interpreter_of(path: str) -> str:
    """The program that a script starts with by an absolute path; empty for what is no script."""
    import shlex

    try:
        with open(path, "rb") as file:
            if file.read(2) != b"#!":
                return ""
            head = os.fsdecode(file.read(_LONGEST_HEADER)).split("\n", 2)
    except OSError:
        return ""
    program = head[0].strip().partition(" ")[0]
    if program == "/bin/sh" and len(head) > 1 and head[1].startswith("'''exec' "):
        try:
            program = shlex.split(head[1][len("'''exec' ") :])[0]
        except (ValueError, IndexError):
            return ""
    return program if program.startswith("/") else ""
