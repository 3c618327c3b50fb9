"""Holds installed builds against their receipts, file by file."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.receipts import has_receipt, read_contents, read_receipt
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.selection import matching_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.receipts import Receipt
    from kitbag_installer.roots import Root

_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Verified:
    """What was found out about one build; paths are relative to it.

    ``problem`` is set where it could not be checked at all. ``extra`` are files that the install
    did not make: a person's own, and no fault. ``foreign`` is a build that another tool installed
    and that nobody asked about: there is nothing to hold it against.
    """

    key: BuildKey
    path: str
    files: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]
    problem: str = ""
    foreign: bool = False

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
        if not named:
            return Verified(key, path, 0, (), (), (), foreign=True)
        return Verified(key, path, 0, (), (), (), "another tool installed it; it has no receipt")
    try:
        receipt = read_receipt(path)
        entries = read_contents(path, receipt)
    except IntegrityError as error:
        return Verified(key, path, 0, (), (), (), str(error))
    problem = ""
    if receipt.home != path:
        problem = f"it was moved here from {receipt.home}; run kitbag relocate"
    checker = _Checker(path, receipt, entries)
    total = sum(entry.size for entry in entries)
    with reporter.progress(f"verifying {key}", total) as progress:
        checker.run(progress)
    extra = tuple(checker.extra())
    return Verified(
        key, path, checker.files, tuple(checker.missing), tuple(checker.changed), extra, problem
    )


class _Checker:
    def __init__(self, path: str, receipt: Receipt, entries: Sequence[Entry]) -> None:
        self._path = path
        self._entries = entries
        self._digests = {entry.path: entry.digest for entry in entries if entry.kind == "f"}
        self._digests.update(
            {entry.path: self._digests[entry.target] for entry in entries if entry.kind == "h"}
        )
        self._digests.update(receipt.changed)
        self._digests.update(receipt.added)
        self._links = {entry.path: entry.target for entry in entries if entry.kind == "l"}
        self._links.update(receipt.added_links)
        self._modes = {entry.path: entry.mode for entry in entries if entry.kind != "l"}
        self.files = 0
        self.missing: list[str] = []
        self.changed: list[str] = []

    def run(self, progress: Progress) -> None:
        for path in sorted({*self._digests, *self._links, *self._modes}):
            full = os.path.join(self._path, path)
            try:
                status = os.lstat(full)
            except (FileNotFoundError, NotADirectoryError):
                self.missing.append(path)
                continue
            if not self._same(path, full, status, progress):
                self.changed.append(path)

    def _same(self, path: str, full: str, status: os.stat_result, progress: Progress) -> bool:
        if path in self._links:
            return stat.S_ISLNK(status.st_mode) and os.readlink(full) == self._links[path]
        if path in self._digests:
            self.files += 1
            if not stat.S_ISREG(status.st_mode):
                return False
            if bool(status.st_mode & 0o111) != bool(self._modes.get(path, 0o644) & 0o111):
                return False
            return _digest(full, progress) == self._digests[path]
        return stat.S_ISDIR(status.st_mode)

    def extra(self) -> list[str]:
        """Files beyond the receipt's; the interpreter's own bytecode does not count."""
        known = {*self._digests, *self._links}
        found = []
        for folder, folders, names in os.walk(self._path):
            folders[:] = [name for name in folders if name not in ("__pycache__", RECEIPT_DIR)]
            linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in (*names, *linked):
                path = os.path.relpath(os.path.join(folder, name), self._path)
                if path not in known:
                    found.append(path)
        return sorted(found)


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
