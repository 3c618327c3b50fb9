"""Lays out what a wheel is built from, in a folder of its own: nobody's own files are written to.

Modes and times are the same for everybody, for backends put them into wheels.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kitbag_bundles.archives import archive_suffix, open_archive
from kitbag_bundles.errors import ArchiveError, UsageError, file_system_error
from kitbag_packer.downloads.addresses import is_local, shown
from kitbag_packer.environments.model import DIRECTORY, SDIST, VCS
from kitbag_packer.environments.uvtool import surroundings
from kitbag_packer.errors import NoWheel, OfflineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kitbag_packer.downloads.accounts import Accounts
    from kitbag_packer.environments.model import Pick
    from kitbag_packer.environments.processes import Processes

_LEFT_OUT = frozenset(
    {"__pycache__", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def lay_out(
    pick: Pick,
    file: Path | None,
    folder: Path,
    *,
    epoch: int,
    processes: Processes,
    environ: Mapping[str, str],
    accounts: Accounts,
    offline: bool = False,
) -> Path:
    """Lay out the source of ``pick`` in the new ``folder``; where its project is in there.

    ``file`` is the source distribution, ``epoch`` the time that every file gets, in seconds.
    Raises :class:`UsageError` for what is not there, :class:`ArchiveError`, :class:`NoWheel` for a
    repository that can't be fetched, :class:`OfflineError`, and :class:`FileSystemError`.
    """
    what = f"{pick.name} {pick.version}".rstrip()
    try:
        if pick.kind == SDIST:
            assert file is not None, "a source distribution is a file"
            top = _unpack(file, pick.filename, folder)
        elif pick.kind == DIRECTORY:
            top = _copy(pick, folder)
        else:
            assert pick.kind == VCS, pick.kind
            if offline and _is_away(pick.repository):
                raise OfflineError(
                    f"{what}: is fetched from {shown(pick.repository)}, and --offline forbids "
                    "that; run it without"
                )
            surrounding = {**surroundings(environ), **_login(pick.repository, accounts)}
            top = _check_out(pick, what, folder, processes, surrounding)
        _settle(folder, epoch)
    except OSError as error:
        raise file_system_error(error, str(folder)) from error
    project = (top / pick.subdirectory) if pick.subdirectory else top
    if not project.is_dir() or not project.resolve().is_relative_to(top.resolve()):
        raise UsageError(f"{what}: there is no directory {pick.subdirectory!r} in its source")
    return project


def _unpack(file: Path, filename: str, folder: Path) -> Path:
    if not archive_suffix(filename):
        raise UsageError(
            f"{filename}: no source distribution that kitbag can unpack; it is a .tar.gz or a .zip"
        )
    links: list[tuple[Path, str, bool]] = []
    folder.mkdir(parents=True)
    with open(file, "rb") as stream, open_archive(stream, filename) as archive:
        for member, chunks in archive:
            path = folder / member.path
            if member.kind == "d":
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.kind == "f":
                with open(path, "wb") as out:
                    out.writelines(chunks)
                path.chmod((member.mode & 0o111 and 0o755) or 0o644)
            else:
                links.append((path, member.target, member.kind == "h"))
    for path, target, hard in links:
        if hard:
            shutil.copy(folder / target, path, follow_symlinks=False)
        else:
            path.symlink_to(target)
    tops = list(folder.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise ArchiveError(
            f"{filename}: a source distribution has one folder at its top, this one has "
            f"{len(tops)} things; do not use it"
        )
    return tops[0]


def _copy(pick: Pick, folder: Path) -> Path:
    if not os.path.isdir(pick.path):
        raise UsageError(
            f"{pick.path}: no such directory, and {pick.name} is to be built from it; make the "
            "lock anew, or put it there"
        )
    # Its name stays: some backends take the project's from it.
    top = folder / (os.path.basename(os.path.normpath(pick.path)) or "source")
    folder.mkdir(parents=True)
    root = os.path.realpath(pick.path)
    _copy_folder(root, root, str(top))
    return top


def _copy_folder(root: str, source: str, target: str) -> None:
    os.mkdir(target)
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            there = os.path.join(target, entry.name)
            if entry.is_symlink():
                end = os.path.realpath(entry.path)
                inside = end == root or end.startswith(root + os.sep)
                if inside and not os.path.isabs(os.readlink(entry.path)):
                    os.symlink(os.readlink(entry.path), there)
                elif os.path.isfile(end):
                    shutil.copyfile(end, there)
            elif entry.is_dir():
                venv = os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
                if entry.name not in _LEFT_OUT and not venv:
                    _copy_folder(root, entry.path, there)
            elif entry.is_file() and not entry.name.endswith((".kitbag", ".pyc")):
                shutil.copy(entry.path, there)


def _is_away(repository: str) -> bool:
    """Whether it is on another machine; git also takes ``user@host:path``."""
    if "://" in repository:
        return not is_local(repository)
    return bool(re.match(r"[^/\\]+@[^/\\]+:", repository))


def _login(repository: str, accounts: Accounts) -> dict[str, str]:
    """Credentials for git, by its environment (git-config(1), GIT_CONFIG_COUNT)."""
    account = accounts.of(repository)
    if account is None:
        return {}
    secret = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
    parts = urlsplit(repository)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc.rpartition('@')[2]}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
    }


def _check_out(
    pick: Pick, what: str, folder: Path, processes: Processes, environment: Mapping[str, str]
) -> Path:
    where = shown(pick.repository)
    if pick.vcs != "git":
        raise NoWheel(f"{what}: is in a repository of {pick.vcs!r}, and kitbag knows git alone")
    if not _COMMIT.fullmatch(pick.commit):
        raise UsageError(f"{what}: its lock names no commit of {where}; make the lock anew")
    git = shutil.which("git", path=environment.get("PATH"))
    if git is None:
        raise UsageError(f"{what}: is in a git repository, and there is no git; install it")
    folder.mkdir(parents=True)
    tree = folder / pick.name
    for words in (
        ("clone", "-q", "--no-checkout", "--", pick.repository, str(tree)),
        ("-C", str(tree), "checkout", "-q", "--detach", pick.commit),
        ("-C", str(tree), "submodule", "-q", "update", "--init", "--recursive"),
    ):
        ran = processes.run([git, *words], folder, environment)
        if ran.status:
            said = " ".join(ran.out.replace(pick.repository, where).split())
            raise NoWheel(
                f"{what}: {where} at {pick.commit[:12]} can't be had, git says: {said[-300:]}; "
                "check that the commit is there and that you may read it"
            )
    return tree


def _settle(folder: Path, epoch: int) -> None:
    """Give every file one of two modes, and everything the same time."""
    for path, is_link in _everything(str(folder)):
        if not is_link:
            mode = os.stat(path).st_mode
            execute = stat.S_ISDIR(mode) or mode & 0o100
            os.chmod(path, 0o755 if execute else 0o644)
            os.utime(path, (epoch, epoch))


def _everything(folder: str) -> Iterator[tuple[str, bool]]:
    """Each path below ``folder``, the inner ones first, and whether it is a link."""
    with os.scandir(folder) as entries:
        for entry in entries:
            link = entry.is_symlink()
            if not link and entry.is_dir():
                yield from _everything(entry.path)
            yield entry.path, link
