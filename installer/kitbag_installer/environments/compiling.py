"""The packages of an environment as pieces to compile, with the environment's own interpreter."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_installer.bytecode.compiling import compile_files
from kitbag_installer.bytecode.tasks import FILE_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Progress
    from kitbag_installer.bytecode.modes import BytecodeOptions
    from kitbag_installer.environments.layout import Layout


@dataclass(frozen=True)
class EnvironmentPiece:
    """Some files of one environment, compiled one after the other; call it."""

    tree: str
    python: str
    """The interpreter's path in the tree."""
    home: str
    sources: Sequence[str]
    options: BytecodeOptions
    scratch: str = ""

    @property
    def weight(self) -> int:
        """What it is on a bar."""
        return len(self.sources) * FILE_WEIGHT

    def __call__(self, progress: Progress) -> Any:
        """Do it; returns a :class:`Compiled` as plain values."""
        done = compile_files(
            os.path.join(self.tree, self.python),
            self.tree,
            self.sources,
            home=self.home,
            mode=self.options.mode,
            insist=self.options.insist,
            scratch=self.scratch,
        )
        progress.advance(self.weight)
        return (done.compiled, done.fresh, done.files, done.failures)


def pieces_of(
    tree: str,
    layout: Layout,
    lists: Sequence[Sequence[str]],
    home: str,
    options: BytecodeOptions,
) -> list[EnvironmentPiece]:
    """A piece for each of ``lists`` of sources."""
    return [EnvironmentPiece(tree, layout.python, home, each, options) for each in lists]
