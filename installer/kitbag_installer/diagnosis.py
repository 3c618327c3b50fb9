"""Holds an installed build against what it is meant to be, its receipt included."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles import __version__
from kitbag_bundles.errors import FileSystemError, NoMatch
from kitbag_installer.intention import content_of, digests_of
from kitbag_installer.receiptlists import BYTECODE, RECEIPT
from kitbag_installer.receipts import CONTENTS, ORIGINALS, unpack_originals
from kitbag_installer.releases import build_file
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.verification import Expected, TreeCheck

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.intention import Intention
    from kitbag_installer.receipts import Receipt


@dataclass(frozen=True)
class Diagnosis:
    """What of a build is not as it is meant to be; paths are relative to it."""

    damaged: tuple[str, ...]
    """What is missing or differs, in order."""
    receipt: tuple[str, ...]
    """The files of its receipt that are missing or differ."""

    @property
    def sound(self) -> bool:
        """Whether everything is as it is meant to be."""
        return not (self.damaged or self.receipt)


def diagnose(meant: Intention, reporter: Reporter) -> Diagnosis:
    """Look at every file.

    Raises :class:`NoMatch` if what another tool installed is not the same build, and
    :class:`FileSystemError` if something of a person's is in the way of mending it.
    """
    expected = Expected.of(
        meant.entries, meant.changed, digests_of(meant.added), meant.added_links, meant.bytecode
    )
    check = TreeCheck(meant.place, expected)
    total = sum(entry.size for entry in meant.entries)
    with reporter.progress(f"checking {meant.key}", total) as progress:
        check.run(progress)
    differing = tuple(sorted([*check.missing, *check.changed]))
    older = _of_an_older_kitbag(meant.receipt, check)
    damaged = tuple(path for path in differing if path not in older)
    _check_same_build(meant, damaged)
    _check_way(meant.place, damaged, {*expected.digests, *expected.links})
    receipt = _damage_of_receipt(meant)
    # What is made anew is this kitbag's work as a whole.
    return Diagnosis(differing if damaged or receipt else (), receipt)


def _of_an_older_kitbag(receipt: Receipt | None, check: TreeCheck) -> Collection[str]:
    """Files that another version of kitbag wrote otherwise than this one would."""
    if receipt is None or receipt.kitbag == __version__:
        return ()
    recorded = {**receipt.changed, **receipt.added}
    return {path for path, digest in check.found.items() if recorded.get(path) == digest}


def _check_same_build(meant: Intention, damaged: Iterable[str]) -> None:
    """Of a build without a receipt its release must tell which it is, or all its files."""
    own = content_of(os.path.join(meant.place, RECEIPT_DIR, CONTENTS))
    if meant.receipt is not None or own == meant.contents:
        return
    said, release = build_file(meant.place), meant.build.release
    if said and said == release:
        return
    written = {*meant.candidates, *meant.rewritten, *meant.added, *meant.added_links}
    differing = [path for path in damaged if path not in written]
    if differing:
        what = f"it is release {said}" if said else "it does not tell its release"
        raise NoMatch(
            f"{meant.place}: not the build that the bundle has, {what}, the bundle's is "
            f"{release or 'none'}, and {len(differing)} of its files differ, such as "
            f"{differing[0]}; to replace it use kitbag install with --reinstall"
        )


def _check_way(place: str, damaged: Iterable[str], files: Collection[str]) -> None:
    """A folder that stands where a file belongs may hold what is a person's own."""
    for path in damaged:
        full = os.path.join(place, path)
        if path not in files or os.path.islink(full) or not os.path.isdir(full):
            continue
        if any(names for _, _, names in os.walk(full)):
            raise FileSystemError(
                f"{full}: a directory with files in it stands where the build has a file; "
                "move it away, then try again"
            )


def _damage_of_receipt(meant: Intention) -> tuple[str, ...]:
    if meant.others:
        return ()
    damaged = []
    folder = os.path.join(meant.place, RECEIPT_DIR)
    if content_of(os.path.join(folder, CONTENTS)) != meant.contents:
        damaged.append(CONTENTS)
    packed = content_of(os.path.join(folder, ORIGINALS)) or b""
    readable = _is_originals(meant, packed)
    if not readable:
        damaged.append(ORIGINALS)
    if not meant.bytecode_is_known:
        damaged.append(BYTECODE)
    if not _is_receipt(meant, hashlib.sha256(packed).hexdigest() if readable else ""):
        damaged.append(RECEIPT)
    return tuple(f"{RECEIPT_DIR}/{name}" for name in sorted(damaged))


def source_of(meant: Intention) -> Mapping[str, str]:
    """Where the build came from: what its receipt says, unless it is wrong about this archive."""
    build = meant.build
    member, sha256 = build.payload.member, build.payload.sha256
    said = meant.receipt.source if meant.receipt is not None else {}
    if said.keys() >= {"member", "sha256", "url"} and (
        said["sha256"] == sha256 or said["member"] != member
    ):
        return said
    return {"member": member, "sha256": sha256, "url": build.url}


def _is_originals(meant: Intention, packed: bytes) -> bool:
    try:
        kept = unpack_originals(packed)
    except ValueError:
        return False
    if meant.receipt is None or meant.receipt.kitbag == __version__:
        return kept == meant.originals
    # Another version of kitbag may rewrite other files.
    digests = {entry.path: entry.digest for entry in meant.entries if entry.kind == "f"}
    return all(digests.get(path) == digest for path, digest in digests_of(kept).items())


def _is_receipt(meant: Intention, originals_sha256: str) -> bool:
    """Whether the receipt is right; without ``originals_sha256`` nobody knows whether that is."""
    receipt = meant.receipt
    if receipt is None:
        return False
    pairs: list[tuple[object, object]] = [
        (receipt.home, meant.home),
        (receipt.release, meant.build.release),
        (receipt.contents_sha256, hashlib.sha256(meant.contents).hexdigest()),
        (receipt.originals_sha256, originals_sha256 or receipt.originals_sha256),
        (receipt.source.get("sha256"), source_of(meant)["sha256"]),
    ]
    if receipt.kitbag == __version__:
        pairs += [
            (dict(receipt.changed), meant.changed),
            (dict(receipt.added), digests_of(meant.added)),
            (dict(receipt.added_links), meant.added_links),
        ]
    return all(have == want for have, want in pairs)
