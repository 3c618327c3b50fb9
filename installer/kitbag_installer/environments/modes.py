"""The modes of what an install makes, which are those of a wheel and not those of a umask."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def plain_modes() -> Iterator[None]:
    """Let new files have the modes that they are made with, whatever the umask."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)
