"""What an inspection found out about an archive; :mod:`kitbag_packer.inspection` does the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.contents import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Needs

INSPECTOR = 2
"""Grows whenever the same archive would give another result; part of the key of a memory."""


@dataclass(frozen=True)
class Inspection:
    """All that one archive says about itself."""

    key: BuildKey
    release: str
    flavor: str
    top: str
    """The folder of the archive that becomes the root; empty when it is the archive's own."""
    contents_list: bytes
    """The text of the bundle's contents list."""
    needs: Needs
    optional_libraries: Mapping[str, tuple[str, ...]]
    """Library outside the tree → files that ask for it and that the interpreter can do without."""
    size: int
    """Of the archive, in bytes."""
    sha256: str
    crc32: int
    tar_sha256: str
    """Of the uncompressed tar; empty for ``.zip`` and ``.7z``."""
    unpacked_size: int
    files: int
    """Number of entries, as in :class:`kitbag_bundles.contents.Summary`."""
    longest_path: int
    case_collisions: bool
    notes: tuple[str, ...]
    """What a person who packs this should know."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The paths of the tree, in the order of the list."""
        return parse(self.contents_list, f"the list of {self.key}")
