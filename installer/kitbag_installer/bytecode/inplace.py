"""Compiles what is stale in builds that are already there.

Each compiled file is replaced in one step, and the receipt knows of none that is about to be: it
forgets those before the first, and remembers them after the last. So whenever this is cut short,
every file is sound and the receipt right, and the next run does the rest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from kitbag_bundles.errors import KitbagError, file_system_error
from kitbag_bundles.layout import executable
from kitbag_installer import commit
from kitbag_installer.bytecode.compiling import Compiled, stale_files
from kitbag_installer.bytecode.sources import compiled_path, python_sources, why_not_compiled
from kitbag_installer.bytecode.tasks import (
    FILE_WEIGHT,
    Piece,
    split,
    together,
    warn_of_skipped,
)
from kitbag_installer.locks import locked
from kitbag_installer.selection import matching_keys
from kitbag_installer.workers import run_with_followers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.bytecode.modes import BytecodeOptions
    from kitbag_installer.hosts import Host
    from kitbag_installer.receipts import Receipt
    from kitbag_installer.roots import Root

Result = Union[Compiled, KitbagError]


class _Found(NamedTuple):
    """What is to be done for one build, as plain values."""

    stale: list[str]
    fresh: int
    rewritten: list[str]
    has_receipt: bool
    kept: dict[str, str]
    """What the receipt has and still will have, if there is anything to do."""
    unknown: list[str]
    """Compiled files that are valid, and that the receipt does not have."""


@dataclass(frozen=True)
class CompiledBuild:
    """One build of a root: what was compiled, or why nothing could be."""

    key: BuildKey
    path: str
    result: Result


def compile_builds(
    root: Root,
    requests: Sequence[Request],
    host: Host,
    options: BytecodeOptions,
    jobs: int,
    reporter: Reporter,
) -> list[CompiledBuild]:
    """Compile what is stale in the builds in ``root`` that ``requests`` name, or in all.

    What can't be compiled here is left out, with a warning if its name was asked for. Raises
    :class:`NoMatch`, :class:`LockTimeout`, :class:`FileSystemError`.
    """
    if not os.path.isdir(root.path):
        matching_keys((), requests)
        return []
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                keys = matching_keys(tuple(root.builds()), requests)
                reasons = {key: why_not_compiled(key, host) for key in keys}
                skipped = {key: why for key, why in reasons.items() if why}
                warn_of_skipped(skipped, requests, reporter)
                wanted = [key for key in keys if key not in skipped]
                done = compile_in_place(root, wanted, options, jobs, reporter)
        except OSError as error:
            raise file_system_error(error, root.path) from None
    return [CompiledBuild(key, root.install_path(key), result) for key, result in zip(wanted, done)]


def compile_in_place(
    root: Root,
    keys: Sequence[BuildKey],
    options: BytecodeOptions,
    jobs: int,
    reporter: Reporter,
) -> list[Result]:
    """Compile what is stale in the builds ``keys``; returns what became of each, in their order.

    Under the root's lock. A build that another tool installed gets no receipt by it. Raises
    :class:`OSError` if a receipt can't be written.
    """
    if not keys:
        return []
    label = f"compiling {keys[0]}" if len(keys) == 1 else f"compiling {len(keys)} builds"
    trees = [root.install_path(key) for key in keys]
    scratches: list[str] = []

    def follow(number: int, value: Any) -> Sequence[Callable[[Progress], Any]]:
        key, tree, found = keys[number], trees[number], _Found(*value)
        if not found.stale:
            return []
        if found.has_receipt:
            _remember(root, tree, found.kept)
        pieces: list[Callable[[Progress], Any]] = []
        for sources in split(tree, found.stale, jobs):
            scratches.append(root.scratch("file"))
            pieces.append(Piece(key, tree, tree, sources, found.rewritten, options, scratches[-1]))
        return pieces

    total = sum(len(python_sources(key, tree)) for key, tree in zip(keys, trees)) * FILE_WEIGHT
    with reporter.progress(label, total) as progress:
        tasks = [functools.partial(_look, key, tree, options) for key, tree in zip(keys, trees)]
        try:
            ended = run_with_followers(tasks, follow, jobs, progress)
        finally:
            for path in scratches:
                # Of a process that was killed.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
    return [
        outcome if isinstance(outcome, KitbagError) else _finish(root, tree, outcome, later)
        for tree, (outcome, later) in zip(trees, ended)
    ]


def _look(key: BuildKey, tree: str, options: BytecodeOptions, progress: Progress) -> Any:
    """Find out what is stale in one build."""
    from kitbag_installer.receipts import has_receipt, read_bytecode, read_receipt

    receipt = read_receipt(tree) if has_receipt(tree) else None
    digests = read_bytecode(tree, receipt) if receipt else {}
    sources = python_sources(key, tree)
    rewritten = _rewritten(key, sources, receipt)
    stale, tag = stale_files(
        os.path.join(tree, executable(key)),
        tree,
        sources,
        mode=options.mode,
        insist=options.insist,
        rewritten=rewritten,
    )
    progress.advance((len(sources) - len(stale)) * FILE_WEIGHT)
    known = set(stale)
    unknown = []
    if receipt:
        valid = [compiled_path(source, tag) for source in sources if source not in known]
        unknown = [path for path in valid if path not in digests]
    kept = {}
    if receipt and (stale or unknown):
        unknown = _without_shipped(tree, receipt, unknown)
        doomed = {compiled_path(source, tag) for source in stale}
        kept = {
            path: digest
            for path, digest in digests.items()
            if path not in doomed and os.path.lexists(os.path.join(tree, path))
        }
    found = _Found(
        stale, len(sources) - len(stale), sorted(rewritten), bool(receipt), kept, unknown
    )
    return tuple(found)


def _rewritten(key: BuildKey, sources: Sequence[str], receipt: Receipt | None) -> set[str]:
    """Those of ``sources`` that are not as the archive had them; at a guess without a receipt."""
    if receipt:
        return set(receipt.changed).intersection(sources)
    from kitbag_bundles.contents import Entry
    from kitbag_installer.rewriting import candidates

    entries = [Entry(path, "f", 0o644, 0, "", "") for path in sources]
    return set(candidates(key, entries))


def _without_shipped(tree: str, receipt: Receipt, paths: list[str]) -> list[str]:
    """Those of ``paths`` that the contents list does not have."""
    if not paths:
        return []
    from kitbag_installer.receipts import read_contents

    shipped = {entry.path for entry in read_contents(tree, receipt)}
    return [path for path in paths if path not in shipped]


def _finish(root: Root, tree: str, value: Any, later: Sequence[Any]) -> Result:
    found = _Found(*value)
    try:
        done = together(later)
    except KitbagError as error:
        return error
    done.fresh += found.fresh
    if found.has_receipt and (found.stale or found.unknown):
        unknown = {path: _digest(os.path.join(tree, path)) for path in found.unknown}
        _remember(root, tree, {**found.kept, **unknown, **done.files})
    return done


def _remember(root: Root, tree: str, digests: dict[str, str]) -> None:
    from kitbag_installer.receipts import keep_bytecode

    keep_bytecode(root, tree, digests)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
