"""Small texts that a person keeps: replaced in one step, or left as they were."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_packer.safefiles import clear_errors, create, discard, flush, flush_folder, write_all

if TYPE_CHECKING:
    from pathlib import Path


def write_text_safely(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8 by one rename; raises :class:`FileSystemError`.

    A link stays one: what it leads to is replaced. A file keeps its mode.
    """
    target = os.path.realpath(path)
    partial = f"{target}.{os.getpid()}.partial"
    with clear_errors(str(path)):
        discard(partial)
        try:
            with create(partial) as output:
                write_all(output, text.encode("utf-8"))
                flush(output)
            if os.path.exists(target):
                os.chmod(partial, os.stat(target).st_mode & 0o7777)
            os.replace(partial, target)
        finally:
            discard(partial)
        flush_folder(os.path.dirname(target))
