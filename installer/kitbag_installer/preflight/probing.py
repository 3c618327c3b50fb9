"""The last step of the preflight, under the root's lock: what only trying tells.

Whether links can be made and whether case counts is a property of a directory on some file
systems, and of a server's mood on others.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from kitbag_installer.preflight.checks import without_case, without_links

if TYPE_CHECKING:
    from kitbag_installer.preflight.points import Point
    from kitbag_installer.roots import Root

_NO_LINKS = frozenset({errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def probe(root: Root, *, case_matters: bool, links_matter: bool = True) -> list[Point]:
    """Make a link in the root's temporary directory and take it away; raises :class:`OSError`.

    Where links don't matter it is an empty file.
    """
    link = root.scratch("probe")
    try:
        if links_matter:
            # Never a dangling one, not even if a kill leaves it until the next sweep.
            os.symlink(os.curdir, link)
        else:
            with open(link, "xb"):
                pass
    except OSError as error:
        if error.errno in _NO_LINKS:
            return [without_links(root.path)]
        raise
    try:
        other = os.path.join(root.temp, os.path.basename(link).upper())
        return [without_case(root.path)] if case_matters and os.path.lexists(other) else []
    finally:
        with contextlib.suppress(OSError):
            os.unlink(link)
