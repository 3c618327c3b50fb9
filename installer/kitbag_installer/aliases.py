"""One name for a root that can be reached by several: through a symbolic link, or a mount.

Builds name the place where they are, and so do the links to them, as text. So what looks after a
root goes by the name that its builds were rewritten for, whichever one a person gives now;
``kitbag relocate`` alone takes the name as it is given, and makes it the one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError, KitbagError
from kitbag_installer import footprint
from kitbag_installer.files import is_absolute
from kitbag_installer.receipts import has_receipt, read_receipt
from kitbag_installer.roots import Root

if TYPE_CHECKING:
    from collections.abc import Iterator


def as_known(root: Root) -> Root:
    """The same root by the name that its builds have for it."""
    for name in _names(root):
        if name == root.path:
            return root
        if is_absolute(name) and _is_same(name, root.path):
            return Root(name)
    return root


def _names(root: Root) -> Iterator[str]:
    """What builds are rewritten for, then what was noted when the root was made."""
    try:
        keys = tuple(root.builds())
    except KitbagError:
        # Whoever works on it will tell.
        return
    for key in keys:
        place = root.install_path(key)
        if has_receipt(place):
            try:
                receipt = read_receipt(place)
            except IntegrityError:
                continue
            if not receipt.foreign:
                yield os.path.dirname(receipt.home)
    yield footprint.noted_root(root)


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
