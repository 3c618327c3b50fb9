"""What interrupted runs left in a root: the next one removes it, so its room counts as free."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_installer.commit import is_swept

if TYPE_CHECKING:
    from kitbag_installer.roots import Root


def leftovers(root: Root) -> tuple[int, int]:
    """Bytes and inodes of what the next sweep removes."""
    try:
        names = [name for name in os.listdir(root.temp) if is_swept(name)]
    except OSError:
        return 0, 0
    size = inodes = 0
    for name in names:
        top = os.path.join(root.temp, name)
        paths = [top]
        for parent, folders, files in os.walk(top):
            paths += [os.path.join(parent, each) for each in folders + files]
        for path in paths:
            try:
                status = os.lstat(path)
            except OSError:
                continue
            # Of a file with several names only the last one frees something.
            if status.st_nlink == 1 or os.path.isdir(path):
                size += status.st_blocks * 512
                inodes += 1
    return size, inodes
