"""Compiles what is stale in environments that are already there, as it is done with builds."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError, KitbagError, file_system_error
from kitbag_installer import commit
from kitbag_installer.bytecode.compiling import Compiled, stale_files
from kitbag_installer.bytecode.sources import compiled_path, walk_sources, why_not_compiled
from kitbag_installer.bytecode.tasks import FILE_WEIGHT, split, together
from kitbag_installer.environments.compiling import pieces_of
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.receipts import keep_bytecode, read_receipt
from kitbag_installer.environments.verification import misplaced, missing_interpreter
from kitbag_installer.locks import locked
from kitbag_installer.receiptlists import read_bytecode
from kitbag_installer.workers import run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.bytecode.inplace import Result
    from kitbag_installer.bytecode.modes import BytecodeOptions
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class CompiledEnvironment:
    """One environment of a root: what was compiled, or why nothing could be."""

    name: str
    path: str
    result: Result


def compile_environments(
    root: Root,
    names: Sequence[str],
    host: Host,
    options: BytecodeOptions,
    jobs: int,
    reporter: Reporter,
) -> list[CompiledEnvironment]:
    """Compile what is stale in the packages of the environments ``names``.

    Each compiled file is replaced in one step, and the receipt knows of none that is about to be.
    One that fails does not stop the others. Raises :class:`LockTimeout`, :class:`FileSystemError`.
    """
    if not names:
        return []
    root.prepare()
    with locked(root, reporter):
        try:
            with commit.swept(root):
                return compile_in_place(root, names, host, options, jobs, reporter)
        except OSError as error:
            raise file_system_error(error, root.path) from None


def compile_in_place(
    root: Root,
    names: Sequence[str],
    host: Host,
    options: BytecodeOptions,
    jobs: int,
    reporter: Reporter,
) -> list[CompiledEnvironment]:
    """As :func:`compile_environments`, under the root's lock; raises :class:`OSError`."""
    return [_compile(root, name, host, options, jobs, reporter) for name in names]


def _compile(
    root: Root, name: str, host: Host, options: BytecodeOptions, jobs: int, reporter: Reporter
) -> CompiledEnvironment:
    place = environment_path(root, name)
    try:
        result: Result = _compiled(root, name, place, host, options, jobs, reporter)
    except KitbagError as error:
        if error.code == "interrupted":
            raise
        result = error
    return CompiledEnvironment(name, place, result)


def _compiled(
    root: Root,
    name: str,
    place: str,
    host: Host,
    options: BytecodeOptions,
    jobs: int,
    reporter: Reporter,
) -> Compiled:
    receipt = read_receipt(place)
    why = why_not_compiled(receipt.python, host)
    if why:
        raise KitbagError(f"{name} is not compiled: {why}")
    problem = misplaced(place, receipt) or missing_interpreter(receipt)
    if problem:
        raise KitbagError(f"{name} is not compiled: {problem}")
    layout = layout_of(receipt.python)
    try:
        known = read_bytecode(place, receipt)
    except IntegrityError:
        known = {}
    sources = sorted(walk_sources(place, layout.site), key=os.fsencode)
    program = os.path.join(place, layout.python)
    stale, tag = stale_files(program, place, sources, mode=options.mode, insist=options.insist)
    fresh = len(sources) - len(stale)
    doomed = {compiled_path(source, tag) for source in stale}
    kept = {
        path: digest
        for path, digest in known.items()
        if path not in doomed and os.path.lexists(os.path.join(place, path))
    }
    skipped = set(stale)
    for source in sources:
        path = compiled_path(source, tag)
        if source not in skipped and path not in kept:
            with open(os.path.join(place, path), "rb") as file:
                kept[path] = hashlib.sha256(file.read()).hexdigest()
    if not stale:
        if kept != known or (known and not receipt.bytecode_sha256):
            keep_bytecode(root, place, kept)
        return Compiled(fresh=fresh)
    keep_bytecode(root, place, {path: known[path] for path in kept if path in known})
    done = Compiled()
    pieces = pieces_of(place, layout, split(place, stale, jobs), place, options)
    scratches = [root.scratch("file") for _ in pieces]
    tasks = [replace(piece, scratch=path) for piece, path in zip(pieces, scratches)]
    with reporter.progress(f"compiling {name}", len(stale) * FILE_WEIGHT) as progress:
        try:
            done = together(run_side_by_side(tasks, jobs, progress))
        finally:
            for path in scratches:
                # Of a process that was killed.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
    done.fresh += fresh
    keep_bytecode(root, place, {**kept, **done.files})
    return done
