"""Unpacks the archive of a material: all of it to run what is inside, or some of its files."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DigestMismatch, FileSystemError, file_system_error
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.extraction import extract_build
from kitbag_installer.payloads import PayloadReader

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from kitbag_packer.materials import Material


def unpack_tree(material: Material, folder: Path) -> None:
    """Unpack everything into ``folder``, which must not exist.

    Raises :class:`ArchiveError` or :class:`DigestMismatch` for an archive that is no longer the
    one that was looked through, and :class:`FileSystemError`.
    """
    try:
        with _reading(material) as payload:
            extract_build(payload, material.inspection.entries, str(folder))
    except OSError as error:
        raise _refused(error, folder) from None


def unpack_files(material: Material, wanted: Collection[str], folder: Path) -> None:
    """Unpack the files ``wanted``, by their paths in the tree, into the new ``folder``.

    Nothing else of the archive touches the disk: no links, no programs, no names that this file
    system might not have room for. Raises what :func:`unpack_tree` raises.
    """
    try:
        folder.mkdir()
        with _reading(material) as payload:
            _fill(payload, material, frozenset(wanted), folder)
            payload.check()
    except OSError as error:
        raise _refused(error, folder) from None


def _reading(material: Material) -> PayloadReader:
    stream = open(material.archive, "rb")  # noqa: SIM115, the reader closes it
    try:
        return PayloadReader(material.build, stream, SilentReporter().progress("", 0))
    except BaseException:
        stream.close()
        raise


def _fill(payload: PayloadReader, material: Material, wanted: frozenset[str], folder: Path) -> None:
    digests = {each.path: each.digest for each in material.inspection.entries if each.kind == "f"}
    inside = f"{payload.top}/" if payload.top else ""
    missing = set(wanted)
    for member, chunks in payload:
        path = member.path[len(inside) :]
        if path not in missing or member.kind != "f" or not member.path.startswith(inside):
            continue
        missing.remove(path)
        data = b"".join(map(bytes, chunks))
        if hashlib.sha256(data).hexdigest() != digests[path]:
            raise _another(material)
        full = folder / path
        os.makedirs(full.parent, exist_ok=True)
        full.write_bytes(data)
    if missing:
        raise _another(material)


def _another(material: Material) -> DigestMismatch:
    return DigestMismatch(
        f"{material.archive}: not the archive that was looked through; run the command again"
    )


def _refused(error: OSError, folder: Path) -> FileSystemError:
    refused = file_system_error(error, str(folder))
    return FileSystemError(f"{refused} (TMPDIR names it)")
