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
from kitbag_installer.bytecode.sources import (
    compiled_path,
    python_sources,
    source_of,
    why_not_compiled,
)
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
    from collections.abc import Callable, Collection, Sequence

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
    """Compiled files that are valid, and that the receipt should have and does not."""
    others: list[str]
    """Compiled files that it will not have: of sources that are not the build's own."""


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

    sources = [_sources(key, tree) for key, tree in zip(keys, trees)]
    total = sum(len(found) for found in sources if not isinstance(found, KitbagError))
    with reporter.progress(label, total * FILE_WEIGHT) as progress:
        tasks = [
            functools.partial(_look, key, tree, found, options)
            for key, tree, found in zip(keys, trees, sources)
        ]
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


def _sources(key: BuildKey, tree: str) -> list[str] | KitbagError:
    try:
        return python_sources(key, tree)
    except OSError as error:
        return file_system_error(error, tree)


def _look(
    key: BuildKey,
    tree: str,
    sources: list[str] | KitbagError,
    options: BytecodeOptions,
    progress: Progress,
) -> Any:
    """Find out what is stale in one build."""
    if isinstance(sources, KitbagError):
        raise sources
    from kitbag_installer.receiptlists import read_bytecode
    from kitbag_installer.receipts import has_receipt, read_contents, read_receipt

    receipt = read_receipt(tree) if has_receipt(tree) else None
    digests = read_bytecode(tree, receipt) if receipt else {}
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
    kept: dict[str, str] = {}
    unknown: list[str] = []
    others: list[str] = []
    if receipt:
        doomed = {compiled_path(source, tag) for source in stale}
        valid = {compiled_path(source, tag) for source in sources} - doomed
        unknown = sorted(valid - digests.keys(), key=os.fsencode)
        if stale or unknown:
            pristine = {entry.path for entry in read_contents(tree, receipt)}
            unknown = [path for path in unknown if _is_ours(path, pristine)]
            others = [path for path in doomed if not _is_ours(path, pristine)]
            kept = {
                path: digest
                for path, digest in digests.items()
                if path not in doomed
                and _is_ours(path, pristine)
                and os.path.lexists(os.path.join(tree, path))
            }
    found = _Found(
        stale, len(sources) - len(stale), sorted(rewritten), bool(receipt), kept, unknown, others
    )
    return tuple(found)


def _is_ours(path: str, pristine: Collection[str]) -> bool:
    """Whether a receipt has this compiled file: made of one of the build's sources, not shipped.

    What a person brought into site-packages comes, changes and goes with its bytecode.
    """
    return path not in pristine and source_of(path) in pristine


def _rewritten(key: BuildKey, sources: Sequence[str], receipt: Receipt | None) -> set[str]:
    """Those of ``sources`` that are not as the archive had them; at a guess without a receipt."""
    if receipt:
        return set(receipt.changed).intersection(sources)
    from kitbag_bundles.contents import Entry
    from kitbag_installer.rewriting import candidates

    entries = [Entry(path, "f", 0o644, 0, "", "") for path in sources]
    return set(candidates(key, entries))


def _finish(root: Root, tree: str, value: Any, later: Sequence[Any]) -> Result:
    found = _Found(*value)
    try:
        done = together(later)
    except KitbagError as error:
        return error
    done.fresh += found.fresh
    if found.has_receipt and (found.stale or found.unknown):
        unknown = {path: _digest(os.path.join(tree, path)) for path in found.unknown}
        made = {path: done.files[path] for path in done.files.keys() - found.others}
        _remember(root, tree, {**found.kept, **unknown, **made})
    return done


def _remember(root: Root, tree: str, digests: dict[str, str]) -> None:
    from kitbag_installer.receipts import keep_bytecode

    keep_bytecode(root, tree, digests)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
