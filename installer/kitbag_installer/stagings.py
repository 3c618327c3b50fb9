"""Makes several builds ready side by side, and compiles them, never more than so much at a time.

What is still to be unpacked comes first: a build is compiled by what is left over, in pieces. The
receipt learns of the compiled files when all of its build's are there.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.errors import KitbagError
from kitbag_installer import commit
from kitbag_installer.elsewhere import seen_home
from kitbag_installer.staging import Staged, stage_build
from kitbag_installer.workers import run_with_followers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.environments.staging import Making
    from kitbag_installer.roots import Root
    from kitbag_installer.staging import StagingOptions


class Ready(NamedTuple):
    """A build that only has to be put into place."""

    staged: Staged
    bytecode: Compiled | None
    """What was compiled or came along; ``None`` where nothing was to be."""


def stage_all(
    bundle: Bundle,
    builds: Sequence[Build],
    root: Root,
    options: StagingOptions,
    reporter: Reporter,
    environments: Sequence[Making] = (),
) -> list[tuple[str, Ready | KitbagError]]:
    """Make ``builds`` ready; returns the tree of each in the order given, and how that went.

    No tree is left where it did not go well, and none at all if this is interrupted. What can be
    done for ``environments`` beside that is done too, and each takes what came of it.
    """
    if not builds and not environments:
        return []
    trees = [root.scratch("stage") for _ in builds]

    def follow(number: int, value: Any) -> Sequence[Callable[[Progress], Any]]:
        if number >= len(builds):
            return []
        return _pieces(builds[number], root, trees[number], Staged(*value), options)

    weights = [_weight(bundle, each, options) for each in builds]
    weights += [each.weight for each in environments]
    try:
        with reporter.progress(_label(builds, environments), sum(weights)) as progress:
            tasks: list[Callable[[Progress], Any]] = [
                functools.partial(_stage, bundle, build, root, tree, options)
                for build, tree in zip(builds, trees)
            ]
            shares = [each.tasks() for each in environments]
            tasks += [task for share in shares for task in share]
            ended = run_with_followers(tasks, follow, options.jobs, progress)
        beside = iter(ended[len(builds) :])
        for each, share in zip(environments, shares):
            each.take([next(beside).outcome for _ in share])
        return [
            (tree, _finish(build, root, tree, outcome, later))
            for build, tree, (outcome, later) in zip(builds, trees, ended)
        ]
    except BaseException:
        # The workers are gone by now, whatever they were doing.
        for tree in trees:
            commit.remove_tree(tree)
        for each in environments:
            each.discard()
        raise


def _label(builds: Sequence[Build], environments: Sequence[Making]) -> str:
    if len(builds) + len(environments) == 1:
        names = [*(str(build.key) for build in builds), *(each.name for each in environments)]
        return f"installing {names[0]}"
    counts = ((len(builds), "build"), (len(environments), "environment"))
    said = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return f"installing {' and '.join(said)}"


def _stage(
    bundle: Bundle,
    build: Build,
    root: Root,
    tree: str,
    options: StagingOptions,
    progress: Progress,
) -> Any:
    return tuple(stage_build(bundle, build, root, tree, options, progress))


def _pieces(
    build: Build, root: Root, tree: str, staged: Staged, options: StagingOptions
) -> list[Callable[[Progress], Any]]:
    if not staged.pieces:
        return []
    from kitbag_installer.bytecode.tasks import Piece

    home = seen_home(root, build.key, options.seen_as)
    return [
        Piece(build.key, tree, home, sources, staged.changed, options.bytecode)
        for sources in staged.pieces
    ]


def _finish(
    build: Build, root: Root, tree: str, outcome: Any, later: Sequence[Any]
) -> Ready | KitbagError:
    if isinstance(outcome, KitbagError):
        return outcome
    staged = Staged(*outcome)
    if not staged.pieces and not staged.laid:
        return Ready(staged, None)
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.bytecode.tasks import together
    from kitbag_installer.receipts import keep_bytecode

    if not staged.pieces:
        return Ready(staged, Compiled(fresh=len(staged.laid), files=staged.laid))
    try:
        done = together(later)
    except KitbagError as error:
        commit.remove_tree(tree)
        return error
    keep_bytecode(root, tree, {**staged.laid, **done.files})
    return Ready(staged, done)


def _weight(bundle: Bundle, build: Build, options: StagingOptions) -> int:
    """What a build is on the bar: the bytes of its archive, and something for each source."""
    weight = build.payload.size
    if options.bytecode.compile and build.key not in options.untested:
        from kitbag_installer.bytecode.tasks import FILE_WEIGHT

        sources = sum(entry.path.endswith(".py") for entry in bundle.contents(build))
        weight += sources * FILE_WEIGHT
    return weight
