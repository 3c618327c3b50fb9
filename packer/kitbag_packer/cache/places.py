"""Where the cache is when nobody says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """``KITBAG_CACHE_DIR``, or the platform's directory for caches; absolute, links kept.

    That is ``$XDG_CACHE_HOME/kitbag`` or ``~/.cache/kitbag``, ``~/Library/Caches/kitbag`` on macOS
    and ``kitbag\\Cache`` below ``%LOCALAPPDATA%`` on Windows. Raises :class:`UsageError` when there
    is no home directory.
    """
    given = environ.get("KITBAG_CACHE_DIR", "")
    if given:
        return Path(os.path.abspath(os.path.expanduser(given)))
    homeless = not environ.get("HOME") and not environ.get("XDG_CACHE_HOME", "").strip()
    if homeless and sys.platform != "win32":
        raise UsageError(
            "HOME is not set, so there is no place for the cache; "
            "name a directory with --cache-dir DIR or KITBAG_CACHE_DIR"
        )
    from platformdirs import user_cache_dir

    return Path(os.path.abspath(user_cache_dir("kitbag", appauthor=False)))
