"""Archives that take seconds to make, kept on disk between test runs and shared by processes.

The folder is `KITBAG_TEST_CACHE`, by default `.cache/test-archives` below the repository (not under
version control). A key covers everything that the archive depends on, so an entry is never stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REPOSITORY = Path(__file__).resolve().parents[2]
# Read when the tests are collected: the tests' environment is emptied of KITBAG_* later.
_CHOSEN = os.environ.get("KITBAG_TEST_CACHE")
_UNUSED_DAYS = 14


def cache_folder() -> Path:
    """Return the folder of the kept archives."""
    return Path(_CHOSEN).absolute() if _CHOSEN else _REPOSITORY / ".cache" / "test-archives"


def digest_of_sources(*names: str) -> str:
    """Return a digest of the named modules of this folder: the recipe behind an archive."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _sweep(folder: Path) -> None:
    """Remove what no test run has used for two weeks, so old recipes do not pile up."""
    oldest = time.time() - _UNUSED_DAYS * 86400
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def cached(key: object, name: str, build: Callable[[Path], object]) -> Path:
    """Return `<cache>/<digest of key>/<name>`; if it is missing, `build(path)` makes it first.

    `key` is anything JSON can hold. Processes that want the same file at the same time wait for the
    one that makes it; an interrupted build leaves nothing that looks finished.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_folder()
    entry = folder / digest
    path = entry / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{digest}.lock"):
            if not path.exists():
                partial = folder / f"{digest}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                build(partial / name)
                shutil.rmtree(entry, ignore_errors=True)
                partial.rename(entry)
                _sweep(folder)
    os.utime(entry)
    return path
