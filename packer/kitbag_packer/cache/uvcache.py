"""Archives that uv has already fetched: the files in ``UV_PYTHON_CACHE_DIR``.

uv names them by the first nine digits of the SHA-256 and the archive's name (uv 0.13.8), and checks
them only while it extracts them, so a bad one may lie there for good.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DigestMismatch, FileSystemError
from kitbag_packer.cache.records import is_digest, is_filename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_packer.cache.shelf import Entry
    from kitbag_packer.cache.store import Cache

_DIGITS = 9


def place_in_uv(sha256: str, filename: str, environ: Mapping[str, str]) -> Path | None:
    """Where uv would keep this archive; ``None`` where it keeps none."""
    folder = environ.get("UV_PYTHON_CACHE_DIR", "")
    if not folder or not is_digest(sha256) or not is_filename(filename):
        return None
    return Path(os.path.abspath(folder)) / f"{sha256[:_DIGITS]}-{filename.replace('+', '-')}"


def take(
    cache: Cache, sha256: str, filename: str, environ: Mapping[str, str] | None = None
) -> Entry | None:
    """Copy an archive from uv's cache into ours, if it is there and right.

    uv's is only read. A wrong one is told and left; raises nothing on its account.
    """
    path = place_in_uv(sha256, filename, os.environ if environ is None else environ)
    if path is None:
        return None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb"):
            pass
        return cache.add(path, sha256=sha256, filename=filename, url="")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        cache.reporter.warn(f"{path}: can't be read ({error.strerror}), so it is not used")
    except DigestMismatch:
        cache.reporter.warn(
            f"{path}: damaged, so it is not used; remove it, for uv can't use it either"
        )
    except FileSystemError as error:
        cache.reporter.warn(str(error))
    return None
