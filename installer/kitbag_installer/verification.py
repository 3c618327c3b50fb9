"""Holds installed builds against their receipts, file by file."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.platforms import this_system
from kitbag_installer.receiptlists import read_bytecode
from kitbag_installer.receipts import has_receipt, read_contents, read_originals, read_receipt
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.selection import matching_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root

MEND = "mend it with 'kitbag repair BUNDLE'"
_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Verified:
    """What was found out about one build; paths are relative to it.

    ``problem`` is set where it could not be checked at all. ``extra`` are files that the install
    did not make: a person's own, and no fault. ``foreign`` is a build that another tool installed
    and that nobody asked about: there is nothing to hold it against. ``files`` and ``bytecode``
    are how many files, and how many that kitbag compiled or brought along compiled, were read.
    """

    key: BuildKey
    path: str
    files: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]
    problem: str = ""
    foreign: bool = False
    bytecode: int = 0

    @property
    def sound(self) -> bool:
        """Whether everything that was installed is still as it was."""
        return not (self.missing or self.changed or self.problem)


def verify_builds(root: Root, requests: Sequence[Request], reporter: Reporter) -> list[Verified]:
    """Check the builds in ``root`` that ``requests`` name, or all. Raises :class:`NoMatch`."""
    keys = matching_keys(tuple(root.builds()), requests)
    return [_verify(root, key, bool(requests), reporter) for key in keys]


def _verify(root: Root, key: BuildKey, named: bool, reporter: Reporter) -> Verified:
    path = root.install_path(key)
    if not has_receipt(path):
        if os.path.isdir(os.path.join(path, RECEIPT_DIR)):
            lost = f"{os.path.join(path, RECEIPT_DIR)} has no receipt any more; {MEND}"
            return Verified(key, path, 0, (), (), (), lost)
        if not named:
            return Verified(key, path, 0, (), (), (), foreign=True)
        return Verified(key, path, 0, (), (), (), "another tool installed it; it has no receipt")
    try:
        receipt = read_receipt(path)
        entries = read_contents(path, receipt)
    except IntegrityError as error:
        return Verified(key, path, 0, (), (), (), str(error))
    bytecode: dict[str, str] = {}
    problem = ""
    try:
        bytecode = read_bytecode(path, receipt)
        read_originals(path, receipt)
    except IntegrityError as error:
        problem = str(error)
    if not problem and receipt.home != path and not receipt.foreign:
        problem = f"it was moved here from {receipt.home}; run kitbag relocate"
    expected = Expected.of(entries, receipt.changed, receipt.added, receipt.added_links, bytecode)
    check = TreeCheck(path, expected)
    total = sum(entry.size for entry in entries)
    with reporter.progress(f"verifying {key}", total) as progress:
        check.run(progress)
    compiled = len(check.read & bytecode.keys())
    return Verified(
        key,
        path,
        files=len(check.read) - compiled,
        missing=tuple(check.missing),
        changed=tuple(check.changed),
        extra=tuple(check.extra()),
        problem=problem,
        bytecode=compiled,
    )


def additions(path: str) -> tuple[str, ...]:
    """The files in the build at ``path`` that kitbag did not put there; compiled ones aside.

    Raises :class:`IntegrityError` where its receipt is damaged.
    """
    receipt = read_receipt(path)
    entries = read_contents(path, receipt)
    expected = Expected.of(entries, receipt.changed, receipt.added, receipt.added_links, {})
    return tuple(TreeCheck(path, expected).extra())


def damage(path: str) -> tuple[str, ...]:
    """What is missing or changed in the build at ``path``, compiled files aside.

    Raises :class:`IntegrityError` where its receipt is damaged.
    """
    from kitbag_bundles.reporting import SilentReporter

    receipt = read_receipt(path)
    entries = read_contents(path, receipt)
    expected = Expected.of(entries, receipt.changed, receipt.added, receipt.added_links, {})
    check = TreeCheck(path, expected)
    check.run(SilentReporter().progress("", 0))
    return (*check.missing, *check.changed)


@dataclass(frozen=True)
class Expected:
    """What there is to be in a tree, by path: files' digests, links' texts, folders.

    ``programs`` are the files that may be executed.
    """

    digests: Mapping[str, str]
    links: Mapping[str, str]
    folders: frozenset[str]
    programs: frozenset[str]

    @classmethod
    def of(
        cls,
        entries: Iterable[Entry],
        changed: Mapping[str, str],
        added: Mapping[str, str],
        added_links: Mapping[str, str],
        bytecode: Mapping[str, str],
    ) -> Expected:
        """From a contents list, and what a receipt has beside it."""
        digests = {entry.path: entry.digest for entry in entries if entry.kind == "f"}
        digests.update(
            {entry.path: digests[entry.target] for entry in entries if entry.kind == "h"}
        )
        links = {entry.path: entry.target for entry in entries if entry.kind == "l"}
        return cls(
            {**digests, **changed, **added, **bytecode},
            {**links, **added_links},
            frozenset(entry.path for entry in entries if entry.kind == "d"),
            frozenset(entry.path for entry in entries if entry.kind != "l" and entry.mode & 0o111),
        )


class TreeCheck:
    """Holds a tree against what it is to be; :meth:`run` fills the other attributes.

    ``missing`` and ``changed`` are paths in order, ``read`` the files whose bytes were read, and
    ``found`` the digests of those that have others than expected.
    """

    def __init__(self, path: str, expected: Expected) -> None:
        """Nothing is looked at yet."""
        self._path = path
        self._expected = expected
        self.missing: list[str] = []
        self.changed: list[str] = []
        self.read: set[str] = set()
        self.found: dict[str, str] = {}

    def run(self, progress: Progress) -> None:
        """Look at everything; ``progress`` advances by the bytes that are read."""
        expected = self._expected
        gone: set[str] = set()  # what is no folder any more
        closed: set[str] = set()  # folders that can't be looked into
        for path in sorted({*expected.digests, *expected.links, *expected.folders}):
            if (gone or closed) and not gone.isdisjoint(_above(path)):
                self.missing.append(path)
                gone.update({path} & expected.folders)
                continue
            if closed and not closed.isdisjoint(_above(path)):
                continue
            full = os.path.join(self._path, path)
            try:
                status = os.lstat(full)
            except (FileNotFoundError, NotADirectoryError):
                self.missing.append(path)
                continue
            except PermissionError:
                closed.add(os.path.dirname(path))
                continue
            if not self._same(path, full, status, progress):
                self.changed.append(path)
                if path in expected.folders and not stat.S_ISDIR(status.st_mode):
                    gone.add(path)

    def _same(self, path: str, full: str, status: os.stat_result, progress: Progress) -> bool:
        expected, mode = self._expected, status.st_mode
        if path in expected.links:
            return stat.S_ISLNK(mode) and os.readlink(full) == expected.links[path]
        if path not in expected.digests:
            return stat.S_ISDIR(mode) and mode & 0o500 == 0o500
        if not stat.S_ISREG(mode):
            return False
        self.read.add(path)
        digest = _digest(full, progress)
        if digest != expected.digests[path]:
            self.found[path] = digest
            return False
        runs = bool(mode & 0o111) == (path in expected.programs) or not this_system.MODES
        return bool(mode & 0o400) and runs

    def extra(self) -> list[str]:
        """Files beyond those expected; the interpreter's own bytecode does not count.

        A folder that can't be looked into counts, as nobody knows what is in it.
        """
        known = {*self._expected.digests, *self._expected.links}
        found = []

        def closed(error: OSError) -> None:
            path = os.path.relpath(error.filename, self._path).replace(os.sep, "/")
            if path not in self._expected.folders and path != ".":
                found.append(path)

        for folder, folders, names in os.walk(self._path, onerror=closed):
            folders[:] = [name for name in folders if name not in ("__pycache__", RECEIPT_DIR)]
            linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in (*names, *linked):
                path = os.path.relpath(os.path.join(folder, name), self._path).replace(os.sep, "/")
                if path not in known:
                    found.append(path)
        return sorted(found)


def _above(path: str) -> Iterable[str]:
    """The folders that ``path`` is in."""
    while path := path.rpartition("/")[0]:
        yield path


def _digest(path: str, progress: Progress) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(_PIECE):
                digest.update(chunk)
                progress.advance(len(chunk))
    except OSError:
        return ""
    return digest.hexdigest()
