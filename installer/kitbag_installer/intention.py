"""What an installed build is meant to be, by the bundle that it came from.

The bundle is what is believed: its contents list, for which ``SHA256SUMS`` vouches, and what kitbag
makes of it in this place. The receipt only says what was chosen when the build was installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DoesNotFit, IntegrityError, NoMatch, UnsupportedFormat
from kitbag_bundles.implementations import implementation_of
from kitbag_installer.extraction import extract_files
from kitbag_installer.payloads import PayloadReader
from kitbag_installer.receiptlists import BYTECODE, read_bytecode
from kitbag_installer.receipts import CONTENTS, ORIGINALS, read_receipt, unpack_originals
from kitbag_installer.remaking import read_file
from kitbag_installer.rewriting import candidates, rewrite_tree
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.staging import StagingOptions, added_files, added_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.hosts import Host
    from kitbag_installer.receipts import Receipt
    from kitbag_installer.roots import Root

_COMPILED = re.compile(r"([0-9a-f]{64})\t((?:[^/\t]+/)*__pycache__/[^/\t]+\.pyc)")


@dataclass(frozen=True)
class Intention:
    """One build as it is meant to be. Paths are relative to ``place``, where it is."""

    build: Build
    place: str
    contents: bytes
    """The contents list as the bundle has it."""
    entries: tuple[Entry, ...]
    receipt: Receipt | None
    """What it has; ``None`` where another tool installed it, or the receipt can't be read."""
    others: bool
    """Whether another tool installed it."""
    home: str
    """The path that it is rewritten for."""
    runs_here: bool
    candidates: tuple[str, ...]
    """What may be rewritten, by whatever tool."""
    originals: Mapping[str, bytes]
    """The pristine bytes of what kitbag rewrites."""
    rewritten: Mapping[str, bytes]
    """What is rewritten, hard links too, as it is to be."""
    added: Mapping[str, bytes]
    added_links: Mapping[str, str]
    bytecode: Mapping[str, str]
    """The digests of the compiled files that kitbag made or brought along."""
    bytecode_is_known: bool
    """Whether these are all of them, for sure."""

    @property
    def key(self) -> BuildKey:
        """The build's key."""
        return self.build.key

    @property
    def moved_from(self) -> str:
        """The place that it was moved from, and is still rewritten for; else empty."""
        foreign = self.receipt is not None and self.receipt.foreign
        return "" if foreign or self.home == self.place else self.home

    @property
    def changed(self) -> dict[str, str]:
        """The digests of what is rewritten."""
        return digests_of(self.rewritten)


def intend(bundle: Bundle, build: Build, root: Root, host: Host, reporter: Reporter) -> Intention:
    """Find out what the installed build of the key of ``build`` is meant to be.

    Raises :class:`NoMatch` if it came from another archive, and what reading the bundle raises.
    """
    key, place = build.key, root.install_path(build.key)
    entries = bundle.contents(build)
    contents = bundle.read(build.contents_member)
    receipt = _receipt(place, key)
    if receipt is not None:
        _check_archive(place, receipt, build, contents)
    known = {entry.path for entry in entries}
    copies = implementation_of(key).copies(key, known)
    named = candidates(key, entries)
    pristine = _pristine(bundle, build, place, (*named, *copies.values()), reporter)
    home = _home(place, key, receipt, pristine)
    originals, rewritten = {}, {}
    for file in rewrite_tree(key, pristine, home):
        originals[file.path] = file.pristine
        rewritten[file.path] = file.content
    for entry in entries:
        # A hard link shares the bytes of its file.
        if entry.kind == "h" and entry.target in rewritten:
            rewritten[entry.path] = rewritten[entry.target]
    added = added_files(key, build.release, known, _options(bundle, receipt))
    bytecode, is_known = _bytecode(place, receipt)
    return Intention(
        build=build,
        place=place,
        contents=contents,
        entries=entries,
        receipt=receipt,
        others=receipt is None and not os.path.isdir(os.path.join(place, RECEIPT_DIR)),
        home=home,
        runs_here=not (receipt is not None and receipt.foreign) and not host.unfit(key),
        candidates=named,
        originals=originals,
        rewritten=rewritten,
        added={**added, **{path: pristine[other] for path, other in copies.items()}},
        added_links=added_links(key, known),
        bytecode=bytecode,
        bytecode_is_known=is_known,
    )


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each, in hex."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def content_of(path: str) -> bytes | None:
    """The bytes of a plain file; ``None`` for all else, and for what can't be read."""
    try:
        return read_file(path) if stat.S_ISREG(os.lstat(path).st_mode) else None
    except OSError:
        return None


def _receipt(place: str, key: BuildKey) -> Receipt | None:
    try:
        receipt = read_receipt(place)
    except UnsupportedFormat:
        raise
    except IntegrityError:
        return None
    return receipt if receipt.key == key else None


def _check_archive(place: str, receipt: Receipt, build: Build, contents: bytes) -> None:
    """The same archive, or one with the same files in it, as packed by another compressor."""
    if receipt.source.get("sha256") == build.payload.sha256:
        return
    listed = hashlib.sha256(contents).hexdigest()
    own = content_of(os.path.join(place, RECEIPT_DIR, CONTENTS))
    if listed not in (receipt.contents_sha256, hashlib.sha256(own or b"").hexdigest()):
        raise NoMatch(
            f"{place}: it came from another archive (release {receipt.release or 'none'}) than the "
            f"one in the bundle (release {build.release or 'none'}), which can't mend it; bring "
            "the bundle that it came from, or use kitbag install with --upgrade or --reinstall"
        )


def _pristine(
    bundle: Bundle, build: Build, place: str, named: Sequence[str], reporter: Reporter
) -> dict[str, bytes]:
    """The archive's bytes of the files ``named``: as they lie here, or else from the bundle."""
    entries = bundle.contents(build)
    digests = {entry.path: entry.digest for entry in entries if entry.kind == "f"}
    packed = content_of(os.path.join(place, RECEIPT_DIR, ORIGINALS)) or b""
    try:
        kept = unpack_originals(packed)
    except ValueError:
        kept = {}
    pristine = {}
    missing = []
    for path in named:
        for data in (kept.get(path), content_of(os.path.join(place, path))):
            if data is not None and hashlib.sha256(data).hexdigest() == digests[path]:
                pristine[path] = data
                break
        else:
            missing.append(path)
    if missing:
        label, size = f"reading {build.key}", build.payload.size
        with (
            reporter.progress(label, size) as progress,
            PayloadReader.of(bundle, build, progress) as payload,
        ):
            pristine.update(extract_files(payload, entries, "", (), missing))
    return pristine


def _home(place: str, key: BuildKey, receipt: Receipt | None, pristine: Mapping[str, bytes]) -> str:
    """The path that it is rewritten for.

    A build may have been moved, and not be relocated yet; then its receipt names another place,
    and so do its files. If they don't, the receipt is wrong.
    """
    if receipt is None or receipt.home == place:
        return place
    if receipt.foreign:
        return receipt.home
    if _agreeing(place, key, receipt.home, pristine) > _agreeing(place, key, place, pristine):
        return receipt.home
    return place


def _agreeing(place: str, key: BuildKey, home: str, pristine: Mapping[str, bytes]) -> int:
    """How many files are as if rewritten for ``home``."""
    try:
        files = rewrite_tree(key, pristine, home)
    except DoesNotFit:
        return 0
    return sum(content_of(os.path.join(place, file.path)) == file.content for file in files)


def _options(bundle: Bundle, receipt: Receipt | None) -> StagingOptions:
    """Whether the build is marked as managed: as it was, or else as an install would do it."""
    if receipt is None:
        return StagingOptions(bundle.manifest.install.externally_managed is not False)
    return StagingOptions(any(path.endswith("/EXTERNALLY-MANAGED") for path in receipt.added))


def _bytecode(place: str, receipt: Receipt | None) -> tuple[dict[str, str], bool]:
    """The digests of compiled files, and whether these are all of them, for sure."""
    path = os.path.join(place, RECEIPT_DIR, BYTECODE)
    if receipt is not None and (receipt.bytecode_sha256 or not os.path.lexists(path)):
        try:
            return read_bytecode(place, receipt), True
        except IntegrityError:
            pass
    text = (content_of(path) or b"").decode("utf-8", "surrogateescape")
    lines = map(_COMPILED.fullmatch, text.splitlines())
    return {found[2]: found[1] for found in lines if found}, receipt is None
