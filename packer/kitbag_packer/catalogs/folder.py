"""Archives in a folder: of this machine, two levels deep as a mirror has them, or of a server."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin

from kitbag_packer.catalogs.checksums import NAME, parse_sums
from kitbag_packer.catalogs.files import ListedFile
from kitbag_packer.catalogs.naming import filename_of, is_remote
from kitbag_packer.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEPTH = 2
_FRAGMENT = re.compile(r"sha256=([0-9a-fA-F]{64})")


def scan(folder: Path) -> list[ListedFile]:
    """The files in ``folder`` and two levels below it, in the order of their paths.

    A ``SHA256SUMS`` gives the digests of the files beside it. Hidden files and folders are left
    out, and so is what can't be looked at, such as a ``lost+found``. Raises :class:`CatalogError`
    for a folder that can't be read itself, or a list that is damaged.
    """
    try:
        return list(_scan(folder, _DEPTH))
    except OSError as error:
        raise CatalogError(
            f"{folder}: can't be read ({error.strerror or error}); name another directory"
        ) from None


def _scan(folder: Path, depth: int) -> Iterator[ListedFile]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    sums: dict[str, str] = {}
    if any(entry.name == NAME for entry in entries):
        path = folder / NAME
        sums = parse_sums(path.read_bytes(), str(path))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        try:
            status = entry.stat()
            below = depth and stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK | os.X_OK)
        except OSError:
            # A link that leads nowhere or in circles.
            continue
        if stat.S_ISREG(status.st_mode):
            digest = sums.get(entry.name, "")
            yield ListedFile(entry.name, path.as_uri(), digest, status.st_size, path)
        elif below:
            yield from _scan(path, depth - 1)


def listed(page: bytes, url: str) -> list[ListedFile]:
    """The files that the index page at ``url``, which ends in a slash, links to.

    A link may carry a digest as ``#sha256=…``, the form of Python's package indexes.
    """
    reader = _Links()
    reader.feed(page.decode("utf-8", "replace"))
    reader.close()
    files: dict[str, ListedFile] = {}
    for link in reader.links:
        try:
            address, fragment = urldefrag(urljoin(url, link.strip()))
        except ValueError:
            continue
        # A page from the network has no say in what is read from this machine.
        filename = filename_of(address) if is_remote(address) else ""
        if filename and filename not in files:
            digest = _FRAGMENT.search(fragment)
            files[filename] = ListedFile(filename, address, digest[1].lower() if digest else "")
    return list(files.values())


def digest_of_files(files: list[ListedFile], base: str) -> str:
    """A digest of names, sizes and digests; where the folder lies is left out."""
    lines = [
        f"{file.url.removeprefix(base)}\t{file.size}\t{file.sha256}\n" for file in files
    ]  # fmt: skip
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link leads."""
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
