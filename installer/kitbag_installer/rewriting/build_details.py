"""``build-details.json`` (PEP 739, CPython 3.14+): paths relative to the file.

Upstream ships them relative since October 2025; older pre-releases have the prefix. PEP 739 reads
``base_prefix`` from the file's own directory, ``lib/python3.X``, and the others from there.
"""

from __future__ import annotations

import re

from kitbag_bundles.layout import PREFIX

_PATH = re.compile(rf'("base_prefix"\s*:\s*)?"{PREFIX}((?:/(?:[^"\\]|\\.)*)?)"')


def rewrite(pristine: str) -> str:
    """The file with relative paths in the place of those below the prefix."""
    return _PATH.sub(
        lambda found: f'{found[1]}"../..{found[2]}"' if found[1] else f'".{found[2]}"', pristine
    )
