"""Compiles the builds of a bundle, several side by side, each in one fresh process of its maker."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError, NoMatch
from kitbag_packer.bytecode.meter import Meter
from kitbag_packer.bytecode.sources import compilable
from kitbag_packer.bytecode.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.bytecode.memory import BytecodeMemory
    from kitbag_packer.bytecode.overlays import Overlay
    from kitbag_packer.bytecode.workshop import Outcome
    from kitbag_packer.materials import Material


def compile_builds(
    materials: Sequence[Material],
    mode: str,
    folder: Path,
    memory: BytecodeMemory,
    reporter: Reporter,
    jobs: int = 0,
) -> dict[BuildKey, Overlay]:
    """Make bytecode in ``mode`` for those of ``materials`` for which an interpreter is at hand.

    Works in the empty directory ``folder`` and leaves the members there; ``jobs`` is how many at a
    time, 0 for as many as there are processors. The bytes depend on the builds and on their makers
    alone. A build that nothing here can compile is told with a warning; a Pyodide, which
    has nothing to compile, is not. Raises :class:`NoMatch` if nothing could be compiled at all,
    :class:`KitbagError` for files that would not compile, which were told before, and
    :class:`ArchiveError`, :class:`DigestMismatch` or :class:`FileSystemError`.
    """
    found = [each.inspection for each in materials]
    work = {each.key: compilable(each.key, each.entries) for each in found}
    total = sum(entry.size for sources in work.values() for entry in sources)
    with reporter.progress("compiling", total) as progress:
        shop = Workshop(materials, folder, memory, mode, Meter(progress))
        outcomes = _side_by_side(shop, materials, work, jobs)
    _tell(outcomes, reporter)
    return {each.key: each.overlay for each in outcomes if each.overlay is not None}


def _side_by_side(
    shop: Workshop,
    materials: Sequence[Material],
    work: Mapping[BuildKey, tuple[Entry, ...]],
    jobs: int,
) -> list[Outcome]:
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        try:
            futures = [
                pool.submit(shop.make, each, work[each.inspection.key]) for each in materials
            ]
            return [future.result() for future in futures]
        except BaseException:
            shop.meter.stop()
            pool.shutdown(cancel_futures=True)
            raise


def _tell(outcomes: Sequence[Outcome], reporter: Reporter) -> None:
    """Say what there is to say, in the order of the builds; raise what has to be raised."""
    count = 0
    for outcome in outcomes:
        for path, reason in sorted(outcome.failures.items()):
            reporter.warn(f"{outcome.key}: {path} does not compile: {reason}")
            count += 1
    if count:
        raise KitbagError(
            f"{count} file{'s' if count > 1 else ''} would not compile, see above; leave out "
            "--bytecode, or pack a build that is whole"
        )
    problems = [f"{each.key}: {each.problem}" for each in outcomes if each.problem]
    if not any(outcome.overlay for outcome in outcomes):
        for problem in problems[1:]:
            reporter.warn(problem)
        why = problems[0] if problems else f"{outcomes[0].key} has no Python files to compile"
        raise NoMatch(f"--bytecode: nothing in the bundle could be compiled: {why}")
    for problem in problems:
        reporter.warn(problem)
    for outcome in outcomes:
        if outcome.overlay is not None:
            made = outcome.overlay.bytecode
            reporter.info(
                f"{outcome.key}: {made.files} files compiled by {made.maker}, {made.size:,} bytes"
            )
