"""Path rewriting: from the build-time prefix ``/install`` to the place where a build lands.

Pure functions, text in, text out. They always start from the pristine original and look at it
once, from left to right; what they insert is never looked at again, so a home that is itself
``/install/py`` or lies below ``/build`` is as good as any other. :mod:`.plan` is the entry; the
other modules hold one kind of file each.
"""

from __future__ import annotations

from kitbag_installer.rewriting.plan import Rewritten, candidates, leftover_prefixes, rewrite_tree
from kitbag_installer.rewriting.prefix import check_home

__all__ = ["Rewritten", "candidates", "check_home", "leftover_prefixes", "rewrite_tree"]
