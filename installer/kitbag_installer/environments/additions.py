"""What a person added to an environment, and how it comes along to a tree that was made anew."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError
from kitbag_installer import mending
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.receipts import read_contents, read_receipt
from kitbag_installer.verification import Expected, TreeCheck

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from kitbag_bundles.environments import Environment
    from kitbag_bundles.reporting import Reporter


def additions(place: str) -> tuple[str, ...]:
    """The files in the environment at ``place`` that kitbag did not put there; compiled ones aside.

    Raises :class:`IntegrityError` where its receipt is damaged.
    """
    entries = read_contents(place, read_receipt(place))
    return tuple(TreeCheck(place, Expected.of(entries, {}, {}, {}, {})).extra())


def warn_of_additions(name: str, tree: str, reporter: Reporter, *, kept: bool = True) -> None:
    """Tell what a person has to install again into the one that takes the place of ``tree``.

    ``kept`` is whether a rollback brings that back.
    """
    try:
        found = additions(tree)
    except IntegrityError:
        return
    if not found:
        return
    count = f"{len(found)} files" if len(found) > 1 else "a file"
    if kept:
        reporter.warn(
            f"{name}: {count} that you added to it stayed with the one before, such as {found[0]}; "
            f"kitbag rollback {name} brings that back, until it is replaced once more"
        )
    else:
        reporter.warn(
            f"{name}: {count} that you added to it went with the old one, such as {found[0]}; "
            "install that into it again"
        )


def guessed_extra(place: str, tree: str, environment: Environment) -> tuple[str, ...]:
    """What is in the old tree and not in the new, where no list tells what was installed.

    Raises :class:`IntegrityError` if there is a package of kitbag's in it that is not in the new.
    """
    assert environment.python is not None
    site = layout_of(environment.python).site
    folder = os.path.join(place, site)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".dist-info") and not os.path.isdir(os.path.join(tree, site, name)):
            with (
                contextlib.suppress(OSError),
                open(os.path.join(folder, name, "INSTALLER"), "rb") as file,
            ):
                if file.read(64).strip() == b"kitbag":
                    raise IntegrityError(
                        f"{place}: its receipt is damaged, and {name} in it is not in the bundle; "
                        f"let 'kitbag install BUNDLE {environment.name}' replace it"
                    )
    entries = read_contents(tree, read_receipt(tree))
    return tuple(TreeCheck(place, Expected.of(entries, {}, {}, {}, {})).extra())


def without_rivals(
    place: str, tree: str, environment: Environment, extra: Sequence[str], names: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``extra`` without other versions of the packages ``names``, which the new tree has.

    Beside those their files would make a mixture. Also returns what these are: ``app-2.5``.
    """
    assert environment.python is not None
    site = layout_of(environment.python).site
    rivals, files = set(), set()
    for path in extra:
        folder = path[len(site) + 1 :].partition("/")[0] if path.startswith(f"{site}/") else ""
        if not folder.endswith(".dist-info") or os.path.isdir(os.path.join(tree, site, folder)):
            continue
        project = folder[: -len(".dist-info")].rpartition("-")[0]
        if re.sub(r"[-_.]+", "-", project).lower() in names:
            files.add(path)
            if folder not in rivals:
                rivals.add(folder)
                files.update(_recorded(place, site, folder))
    kept = tuple(path for path in extra if path not in files)
    return kept, tuple(sorted(folder[: -len(".dist-info")] for folder in rivals))


def _recorded(place: str, site: str, folder: str) -> Iterator[str]:
    import csv

    record = os.path.join(place, site, folder, "RECORD")
    with (
        contextlib.suppress(OSError, csv.Error),
        open(record, encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        for row in csv.reader(file):
            if row:
                yield posixpath.normpath(f"{site}/{row[0]}")


def bring_along(place: str, tree: str, paths: Sequence[str]) -> None:
    """Share what a person added, with its compiled files, where nothing else is in the way."""
    for path in paths:
        compiled = mending.compiled_from(place, path) if path.endswith(".py") else []
        for each in (path, *compiled):
            source, target = os.path.join(place, each), os.path.join(tree, each)
            if os.path.lexists(target):
                continue
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                _make_folder(place, tree, os.path.dirname(each))
                try:
                    os.link(source, target, follow_symlinks=False)
                except (OSError, NotImplementedError):
                    shutil.copy2(source, target, follow_symlinks=False)


def _make_folder(place: str, tree: str, path: str) -> None:
    full = os.path.join(tree, path)
    if not path or os.path.isdir(full):
        return
    _make_folder(place, tree, os.path.dirname(path))
    os.mkdir(full)
    shutil.copymode(os.path.join(place, path), full)


def keep_owner(place: str, tree: str) -> None:
    """What root made anew goes to the owner of the old."""
    old = os.stat(place)
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or old.st_uid == 0:
        return
    for folder, _, names in os.walk(tree):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            if os.lstat(path).st_uid == 0:
                os.chown(path, old.st_uid, old.st_gid, follow_symlinks=False)
