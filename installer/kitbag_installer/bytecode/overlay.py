"""Lays the bytecode that a bundle brings along over a tree."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

from kitbag_bundles.archives import open_archive
from kitbag_bundles.errors import ArchiveError
from kitbag_bundles.layout import executable
from kitbag_installer.bytecode.modes import FLAGS
from kitbag_installer.bytecode.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from kitbag_bundles.manifest import Build, Bytecode

_HEADER = 16
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def why_not_taken(tree: str, build: Build) -> str:
    """Why the interpreter in ``tree`` has no use for the bundle's bytecode, a line; mostly empty.

    Raises :class:`KitbagError` if it does not start.
    """
    from kitbag_installer.bytecode.compiling import describe

    promised = build.bytecode
    maker = describe(os.path.join(tree, executable(build.key)))
    if promised is None or (maker.magic, maker.tag) == (promised.magic, promised.tag):
        return ""
    return (
        f"the bytecode in the bundle is {promised.tag}'s with the number {promised.magic}, "
        f"and the interpreter takes {maker.tag}'s with {maker.magic}; it is left out"
    )


def lay_over(tree: str, build: Build, data: bytes, sources: Collection[str]) -> dict[str, str]:
    """Write the files of the overlay ``data`` into ``tree``; returns their digests by path.

    ``sources`` are the source files that are as the archive has them: bytecode of anything else is
    refused. Raises :class:`ArchiveError` for an overlay that is not what the manifest promises,
    and :class:`OSError`.
    """
    promised = build.bytecode
    if promised is None:
        raise ArchiveError(f"{build.key}: the bundle's manifest knows of no bytecode for it")
    name = promised.member
    waiting = set(sources)
    digests: dict[str, str] = {}
    size = 0
    tar = hashlib.sha256()
    with open_archive(io.BytesIO(data), name, tar_digest=tar) as archive:
        for member, chunks in archive:
            size += member.size
            if len(digests) == promised.files or size > promised.unpacked_size:
                raise ArchiveError(f"{name}: holds more than the manifest says; do not use it")
            source = source_of(member.path, promised.tag)
            if member.kind != "f" or source not in waiting:
                raise ArchiveError(
                    f"{name}: {member.path!r} is no bytecode of a file that is as the archive has "
                    "it; pack the bundle anew"
                )
            waiting.remove(source)
            content = b"".join(chunks)
            _check_header(content, promised, member.path)
            _write(os.path.join(tree, member.path), content)
            digests[member.path] = hashlib.sha256(content).hexdigest()
    found = (len(digests), size, tar.hexdigest())
    if found != (promised.files, promised.unpacked_size, promised.tar_sha256):
        raise ArchiveError(f"{name}: is not what the manifest promises; copy the bundle again")
    return digests


def _check_header(content: bytes, promised: Bytecode, path: str) -> None:
    """PEP 552: magic number, CR LF, flags, and eight bytes of the source's hash."""
    header = promised.magic.to_bytes(2, "little") + b"\r\n"
    header += FLAGS[promised.mode].to_bytes(4, "little")
    if len(content) <= _HEADER or content[: len(header)] != header:
        raise ArchiveError(
            f"{promised.member}: {path!r} has not the header that the manifest promises; "
            "pack the bundle anew"
        )


def _write(path: str, content: bytes) -> None:
    try:
        file = os.open(path, _CREATE, 0o644)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)  # noqa: S103  # as folders of a build are, whatever the umask
        file = os.open(path, _CREATE, 0o644)
    with open(file, "wb", buffering=0) as stream:
        stream.write(content)
    os.chmod(path, 0o644)
