"""Makes a damaged build anew: what is sound is shared with the old tree, the rest is replaced.

Files come from the bundle's archive, in one pass that only writes what is wanted, or are rewritten
from their pristine bytes. What a person added comes along as it is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from kitbag_bundles import __version__
from kitbag_bundles.archives.members import check_link
from kitbag_installer.diagnosis import source_of
from kitbag_installer.extraction import extract_files
from kitbag_installer.intention import digests_of
from kitbag_installer.payloads import PayloadReader
from kitbag_installer.receiptlists import pack_bytecode
from kitbag_installer.receipts import Receipt, pack_originals, write_receipt
from kitbag_installer.remaking import remade
from kitbag_installer.roots import RECEIPT_DIR
from kitbag_installer.smoke import smoke_test
from kitbag_installer.staging import origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.diagnosis import Diagnosis
    from kitbag_installer.intention import Intention
    from kitbag_installer.remaking import NewTree
    from kitbag_installer.roots import Root

_FOLDER = 0o755


def open_folders(place: str, meant: Iterable[str]) -> tuple[str, ...]:
    """Give folders that can't be looked into their modes back; returns which, "" for the top.

    In place, since there is no other way to look at what is in them. Raises :class:`OSError`.
    """
    opened = []
    for path in ("", RECEIPT_DIR, *meant):
        full = os.path.join(place, path) if path else place
        try:
            mode = os.lstat(full).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISDIR(mode) and mode & 0o500 != 0o500:
            os.chmod(full, _FOLDER)
            opened.append(path)
    return tuple(opened)


def mend(
    bundle: Bundle, root: Root, meant: Intention, diagnosis: Diagnosis, reporter: Reporter
) -> None:
    """Put a tree into place that is as it is meant to be.

    Raises :class:`DigestMismatch` or :class:`ArchiveError` for a damaged bundle,
    :class:`SmokeTestFailed`, and :class:`OSError`.
    """
    damaged = frozenset(diagnosis.damaged)
    with remade(root, meant.key) as tree:
        sources = [path for path in damaged if path.endswith(".py")]
        caches = {path for source in sources for path in compiled_from(meant.place, source)}
        # The interpreter's own bytecode of what was damaged may go by nothing but a time.
        tree.clone({RECEIPT_DIR, *damaged, *(caches - meant.bytecode.keys())})
        _make_folders(meant, damaged, tree)
        _unpack(bundle, meant, damaged, tree, reporter)
        _write_rewritten(meant, damaged, tree)
        _make_links(meant, damaged, tree)
        if meant.runs_here:
            smoke_test(meant.key, tree.path)
        bytecode: dict[str, str] = dict(meant.bytecode)
        if meant.bytecode or not meant.bytecode_is_known:
            from kitbag_installer.bytecode.mending import mend_bytecode

            bytecode = mend_bytecode(bundle, meant, damaged, tree)
        _write_receipt(bundle, meant, tree, bytecode)
        tree.settle()


def compiled_from(place: str, source: str) -> list[str]:
    """The compiled files of ``source`` that there are, whoever made them."""
    folder, _, name = source.rpartition("/")
    cache = f"{folder}/__pycache__".lstrip("/")
    try:
        names = os.listdir(os.path.join(place, cache))
    except OSError:
        return []
    start = name[:-2]
    return [f"{cache}/{one}" for one in names if one.startswith(start) and one.endswith(".pyc")]


def _make_folders(meant: Intention, damaged: frozenset[str], tree: NewTree) -> None:
    for entry in meant.entries:
        if entry.kind == "d" and entry.path in damaged:
            tree.make_folder(entry.path, entry.mode)


def _unpack(
    bundle: Bundle,
    meant: Intention,
    damaged: frozenset[str],
    tree: NewTree,
    reporter: Reporter,
) -> None:
    wanted = {
        entry.path
        for entry in meant.entries
        if entry.kind == "f" and entry.path in damaged and entry.path not in meant.rewritten
    }
    if not wanted:
        return
    build = meant.build
    with (
        reporter.progress(f"repairing {build.key}", build.payload.size) as progress,
        PayloadReader.of(bundle, build, progress) as payload,
    ):
        extract_files(payload, meant.entries, tree.path, wanted)
    for path in wanted:
        tree.note(path)


def _write_rewritten(meant: Intention, damaged: frozenset[str], tree: NewTree) -> None:
    modes = {entry.path: entry.mode for entry in meant.entries if entry.kind == "f"}
    files = {**{path: meant.rewritten[path] for path in meant.originals}, **meant.added}
    for path, content in files.items():
        if path in damaged:
            tree.write(path, content, modes.get(path, 0o644))


def _make_links(meant: Intention, damaged: frozenset[str], tree: NewTree) -> None:
    links = {entry.path: entry.target for entry in meant.entries if entry.kind == "l"}
    for path, target in {**links, **meant.added_links}.items():
        if path in damaged:
            check_link(path, target, meant.build.payload.member)
            tree.link(path, target)
    for entry in meant.entries:
        if entry.kind == "h" and entry.path in damaged:
            tree.hard_link(entry.path, entry.target)


def _write_receipt(
    bundle: Bundle, meant: Intention, tree: NewTree, bytecode: dict[str, str]
) -> None:
    """The bundle that it came from stays the one that it was, if that is known."""
    build, old = meant.build, meant.receipt
    packed = pack_originals(meant.originals)
    compiled = pack_bytecode(bytecode)
    receipt = Receipt(
        key=meant.key,
        home=meant.home,
        kitbag=__version__,
        release=build.release,
        flavor=build.flavor,
        bundle=origin(bundle, build)["bundle"] if old is None else old.bundle,
        source=source_of(meant),
        contents_sha256=hashlib.sha256(meant.contents).hexdigest(),
        originals_sha256=hashlib.sha256(packed).hexdigest(),
        changed=meant.changed,
        added=digests_of(meant.added),
        added_links=meant.added_links,
        bytecode_sha256=hashlib.sha256(compiled).hexdigest() if compiled else "",
        foreign=not meant.runs_here if old is None else old.foreign,
    )
    write_receipt(tree.path, receipt, meant.contents, packed, compiled)
