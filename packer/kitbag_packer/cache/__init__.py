"""The cache: archives by their digest, downloads in progress, catalogs, what was found out.

Apart from every install directory, shared between processes and users, never trusted unchecked.
"""

from kitbag_packer.cache.shelf import Entry
from kitbag_packer.cache.store import Cache, PartialFile

__all__ = ["Cache", "Entry", "PartialFile"]
