"""Builds ``kitbag.pyz``: the target side and what it carries, as one reproducible zip application.

It is the inner of two zips. The outer one keeps it on a 4096-byte boundary, ready to be cut out by
a shell; a Python imports straight from its bytes. It holds source only, because bytecode would
serve one version of Python.
"""

from __future__ import annotations

import zlib
from importlib import metadata, resources
from typing import TYPE_CHECKING

from kitbag_bundles import zipformat
from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.zipformat import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

_OURS = ("kitbag_bundles", "kitbag_installer")
_CARRIED = ("tomli",)


def build_installer() -> bytes:
    """``kitbag.pyz``, the same bytes for the same sources, wherever they are installed."""
    files = {"__main__.py": _main()}
    for package in (*_OURS, *_CARRIED):
        files.update(_sources(resources.files(package), package))
    for distribution in _CARRIED:
        files.update(_licenses(distribution))
    return zip_stored(files)


def zip_stored(files: Mapping[str, bytes]) -> bytes:
    """A zip of ``files`` in bytewise order of their names, in the spelling of the bundle's own."""
    data, directory = b"", b""
    for name in sorted(files):
        content = files[name]
        record = Record(name, len(content), zlib.crc32(content), len(data), False, False)
        data += zipformat.local_header(record) + content
        directory += zipformat.central_header(record)
    return data + directory + zipformat.end_records(len(files), len(data), len(directory), 0)


def _main() -> bytes:
    text = resources.files("kitbag_packer.entrypoints") / "installer_main.py"
    return text.read_bytes()


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        name = f"{prefix}/{each.name}"
        if each.is_dir() and each.name != "__pycache__":
            yield from _sources(each, name)
        elif each.name.endswith(".py") and each.is_file():
            yield name, each.read_bytes().replace(b"\r\n", b"\n")


def _licenses(distribution: str) -> Iterator[tuple[str, bytes]]:
    """The licence of carried code goes where the code goes."""
    found = False
    for path in metadata.files(distribution) or ():
        if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            found = True
            yield f"{distribution}/{path.name}", path.read_binary()
    if not found:
        raise FileSystemError(
            f"the installed {distribution} has lost its licence file; install it again"
        )
