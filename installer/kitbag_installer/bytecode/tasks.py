"""Compiling as pieces of work for several processes: what a piece is, and what it comes back as."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import KitbagError
from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.layout import executable
from kitbag_installer.bytecode.compiling import Compiled, compile_files
from kitbag_installer.bytecode.sources import balanced

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.bytecode.modes import BytecodeOptions

FILE_WEIGHT = 20_000
"""What a compiled file counts for on a bar in bytes: an archive of this size takes as long."""
_PIECES_PER_JOB = 2


@dataclass(frozen=True)
class Piece:
    """Some files of one tree, compiled one after the other; call it."""

    key: BuildKey
    tree: str
    home: str
    sources: Sequence[str]
    rewritten: Collection[str]
    options: BytecodeOptions
    scratch: str = ""

    def __call__(self, progress: Progress) -> Any:
        """Do it; returns a :class:`Compiled` as plain values."""
        done = compile_files(
            os.path.join(self.tree, executable(self.key)),
            self.tree,
            self.sources,
            home=self.home,
            mode=self.options.mode,
            insist=self.options.insist,
            progress=_Weighted(progress),
            rewritten=self.rewritten,
            scratch=self.scratch,
        )
        return (done.compiled, done.fresh, done.files, done.failures)


def split(tree: str, sources: Sequence[str], jobs: int) -> list[list[str]]:
    """``sources`` in pieces for ``jobs`` processes: a few more, so that none idles for long."""
    return balanced(tree, sources, jobs * _PIECES_PER_JOB if jobs > 1 else 1)


def together(outcomes: Iterable[Any]) -> Compiled:
    """What several pieces came to; raises the first :class:`KitbagError` among them."""
    whole = Compiled()
    for outcome in outcomes:
        if isinstance(outcome, KitbagError):
            raise outcome
        whole.add(Compiled(*outcome))
    return whole


def warn_of_skipped(
    reasons: Mapping[BuildKey, str], requests: Sequence[Request], reporter: Reporter
) -> None:
    """Tell why builds are not compiled that ``requests`` ask for by name: by ``pyodide``, a key."""
    for key, why in reasons.items():
        # A key begins with its implementation too; 3.13 alone means CPython without naming it.
        named = (
            each for each in requests if each.text.strip().lower().startswith(key.implementation)
        )
        if any(request.matches(key) for request in named):
            reporter.warn(f"{key} is not compiled: {why}")


def is_compiled(key: BuildKey, options: BytecodeOptions) -> bool:
    """Whether all of a build that runs here is to be compiled."""
    return bool(options.compile) and implementation_of(key).compiles


class _Weighted:
    """A progress in files, as one in bytes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __enter__(self) -> _Weighted:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, count: int) -> None:
        self._progress.advance(count * FILE_WEIGHT)
