"""``SHA256SUMS`` of a release: the names of its archives, and their digests.

The archives are sought beside the list. A list that lies alone on this machine is taken for one of
python-build-standalone, whose names tell the address of the release.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from kitbag_packer.catalogs.files import ListedFile
from kitbag_packer.catalogs.naming import NameReader, release_address
from kitbag_packer.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(?:\./)?([^/\\\x00-\x1f\x7f]+)")
_START = re.compile(rb"\s*[0-9a-fA-F]{64}[ \t]")


def looks_like_sums(data: bytes) -> bool:
    """Whether ``data`` begins as such a list does."""
    return bool(_START.match(data))


def parse_sums(data: bytes, name: str) -> dict[str, str]:
    """File name to digest in lower-case hex; files in other folders are left out.

    ``name`` is what messages call the list. Raises :class:`CatalogError` with the line of anything
    else that is none of ``sha256sum``'s.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.rstrip())
        if found:
            sums[found[2]] = found[1].lower()
        elif not looks_like_sums(line.encode()):
            raise CatalogError(
                f"{name}: line {number} is not '<sha256>  <name>'; fetch the list again"
            )
    return sums


def remote_files(sums: dict[str, str], url: str) -> list[ListedFile]:
    """The files of a list at ``url``, each beside it."""
    return [
        ListedFile(filename, urljoin(url, quote(filename, safe="")), digest)
        for filename, digest in sums.items()
    ]


def local_files(sums: dict[str, str], folder: Path) -> list[ListedFile]:
    """The files of a list in ``folder``: those that lie there, or else those of the release."""
    present = {
        filename: path
        for filename in sums
        if (path := folder / filename).is_file()
    }  # fmt: skip
    if present:
        return [
            ListedFile(filename, path.as_uri(), sums[filename], os.stat(path).st_size, path)
            for filename, path in present.items()
        ]
    names = NameReader()
    return [
        ListedFile(filename, release_address(said.release[:8], filename), digest)
        for filename, digest in sums.items()
        if (said := names.read(filename)) and said.implementation == "cpython" and said.release
    ]
