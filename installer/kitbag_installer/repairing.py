"""Mends installed builds from a bundle: what is missing or changed, and nothing else.

A new tree is made beside the old one, with the damaged files taken from the bundle; then both are
exchanged in one step. What a person added comes along.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError, NoMatch, file_system_error
from kitbag_installer import commit, launcher, links, mending
from kitbag_installer.diagnosis import Diagnosis, diagnose
from kitbag_installer.hosts import this_host
from kitbag_installer.intention import Intention, intend
from kitbag_installer.locks import locked
from kitbag_installer.selection import matching_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root


@dataclass(frozen=True)
class Repaired:
    """What was done to one build; paths are relative to it.

    ``action`` is ``sound`` (nothing to do), ``repaired``, ``taken-over`` (another tool had
    installed it) or ``failed``. ``moved_from`` is the path that the build is rewritten for, if it
    was moved and is not relocated yet.
    """

    key: BuildKey
    path: str
    action: str
    mended: tuple[str, ...] = ()
    error: KitbagError | None = None
    moved_from: str = ""


def repair_builds(
    bundle: Bundle,
    root: Root,
    requests: Sequence[Request],
    reporter: Reporter,
    *,
    dry_run: bool = False,
) -> list[Repaired]:
    """Mend the builds in ``root`` that ``requests`` name, or all that ``bundle`` holds.

    One that can't be mended does not stop the others; its error is in the result. With ``dry_run``
    nothing is written, and the results tell what would be done. Raises :class:`NoMatch`,
    :class:`LockTimeout`, :class:`FileSystemError`.
    """
    builds = _shared(bundle, root, requests)
    pyz = bundle.installer()
    if dry_run:
        return [_attempt(bundle, build, root, reporter, dry_run=True) for build in builds]
    root.prepare()
    with _at_work(root, reporter):
        # An interrupted exchange is finished by now: what there is may have changed.
        builds = _shared(bundle, root, requests)
        results = [_attempt(bundle, build, root, reporter, dry_run=False) for build in builds]
        if any(result.error is None for result in results):
            # A run that was killed may have come as far as the builds, which are sound by now.
            if not launcher.keeps_kitbag(root) or any(result.mended for result in results):
                launcher.leave_kitbag(root, pyz)
            links.link_minor_versions(root)
            launcher.keep_commands(root, links.remembered_bin_dirs(root))
    return results


@contextlib.contextmanager
def _at_work(root: Root, reporter: Reporter) -> Iterator[None]:
    with locked(root, reporter):
        try:
            with commit.swept(root):
                yield
        except OSError as error:
            raise file_system_error(error, root.path) from None


def _shared(bundle: Bundle, root: Root, requests: Sequence[Request]) -> list[Build]:
    """The builds that the root and the bundle both have, in the order of their keys."""
    installed = tuple(root.builds())
    named = matching_keys(installed, requests)
    builds = [bundle.manifest.build(key) for key in named]
    shared = [build for build in builds if build is not None]
    if shared:
        return shared
    offer = ", ".join(str(build.key) for build in bundle.manifest.builds) or "nothing"
    have = ", ".join(map(str, named)) or "nothing"
    raise NoMatch(f"{root.path}: there is {have}, and {bundle.path} can mend only {offer}")


def _attempt(
    bundle: Bundle, build: Build, root: Root, reporter: Reporter, *, dry_run: bool
) -> Repaired:
    place = root.install_path(build.key)
    try:
        return _repair(bundle, build, root, reporter, dry_run=dry_run)
    except OSError as error:
        failure: KitbagError = file_system_error(error, place)
    except KitbagError as error:
        if error.code == "interrupted":
            raise
        failure = error
    return Repaired(build.key, place, "failed", error=failure)


def _repair(
    bundle: Bundle, build: Build, root: Root, reporter: Reporter, *, dry_run: bool
) -> Repaired:
    key, place = build.key, root.install_path(build.key)
    opened: tuple[str, ...] = ()
    if not dry_run:
        folders = [entry.path for entry in bundle.contents(build) if entry.kind == "d"]
        opened = mending.open_folders(place, folders)
    meant, diagnosis = _examine(bundle, build, root, reporter)
    mended = tuple(sorted({*opened, *diagnosis.damaged, *diagnosis.receipt}))
    if not mended and not meant.others:
        return Repaired(key, place, "sound", moved_from=meant.moved_from)
    if not dry_run and (meant.others or not diagnosis.sound):
        mending.mend(bundle, root, meant, diagnosis, reporter)
    action = "taken-over" if meant.others else "repaired"
    return Repaired(key, place, action, mended, moved_from=meant.moved_from)


def _examine(
    bundle: Bundle, build: Build, root: Root, reporter: Reporter
) -> tuple[Intention, Diagnosis]:
    meant = intend(bundle, build, root, this_host(), reporter)
    return meant, diagnose(meant, reporter)
