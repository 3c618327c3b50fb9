"""Looks through an upstream archive once and says everything that the manifest must know of it.

The archive is read from front to back in one pass: hashed as it is, hashed as a tar, every file
hashed, native files and version headers looked into. Nothing is written to disk. One file at a
time is held in memory, and only if it is a native binary or one of the few that tell the version.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from kitbag_bundles.archives import archive_suffix, open_archive
from kitbag_bundles.contents import render, summarise
from kitbag_bundles.errors import ArchiveError, FileSystemError, UsageError
from kitbag_packer.binaries import BadBinary, Binary, is_binary, read_binaries
from kitbag_packer.evidence import gather, is_witness
from kitbag_packer.findings import Inspection
from kitbag_packer.identity import Identity, identify
from kitbag_packer.needs import needs_of
from kitbag_packer.tree import Tree, TreeBuilder, resolve
from kitbag_packer.upstream import UpstreamName, parse_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from kitbag_bundles.archives import Member
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.reporting import Progress, Reporter

_T = TypeVar("_T")

__all__ = ["inspect_archive"]

LARGEST_BINARY = 512 * 1024 * 1024
_LARGEST_WITNESS = 32 * 1024 * 1024
_READ_SIZE = 1024 * 1024
_FORWARD_FORMS = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
_PROGRAM = re.compile(r"(?:bin/)?(?:python|pypy|graalpy)[\d.]*[td]*(?:_d)?(?:\.exe)?")


def inspect_archive(
    path: Path,
    *,
    filename: str | None = None,
    key: BuildKey | None = None,
    reporter: Reporter,
) -> Inspection:
    """Inspect the archive at ``path``.

    ``filename`` is upstream's name for it, if the file has another one here (a cache's, say);
    ``key`` is what the user or a catalog says that it is. Raises :class:`ArchiveError` for a
    damaged, hostile or misnamed archive, :class:`UsageError` when only a ``key`` can tell what it
    is, and :class:`FileSystemError` when the file can't be read.
    """
    name = filename or path.name
    said = parse_filename(name)
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            with reporter.progress(name, size) as progress:
                sums, contents = _read(stream, name, progress)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give the path of an archive") from None
    except OSError as error:
        raise FileSystemError(f"{path}: can't be read ({error.strerror or error})") from error
    tree = contents.builder.finish()
    if contents.python_json and f"{tree.top}/" != contents.kept:
        raise ArchiveError(f"{name}: has a PYTHON.json and no install folder; do not use it")
    inside = _Inside(tree, contents)
    identity = identify(
        name,
        name=said,
        key=key,
        evidence=gather(inside.paths, inside.texts, contents.python_json),
        find_file=inside.find_file,
        programs=[each for each in inside.paths if _PROGRAM.fullmatch(each)],
        binaries=inside.binaries,
    )
    needs = needs_of(identity.key, identity.executable, inside.binaries, inside.aliases())
    summary = summarise(tree.entries)
    return Inspection(
        key=identity.key,
        release=said.release if said else "",
        flavor=said.flavor if said else "",
        top=tree.top,
        contents_list=render(tree.entries),
        needs=needs.needs,
        optional_libraries=needs.optional_libraries,
        size=sums.size,
        sha256=sums.sha256.hexdigest(),
        crc32=sums.crc32,
        tar_sha256=sums.tar.hexdigest() if sums.forward else "",
        unpacked_size=summary.unpacked_size,
        files=summary.files,
        longest_path=summary.longest_path,
        case_collisions=summary.case_collisions,
        notes=(*identity.notes, *contents.notes, *_notes(said, identity)),
    )


class _Sums:
    """Sums up the bytes of an archive, on their way to the reader of its form."""

    def __init__(self, stream: BinaryIO, suffix: str) -> None:
        self._stream = stream
        self.forward = suffix in _FORWARD_FORMS
        self.size = 0
        self.crc32 = 0
        self.sha256 = hashlib.sha256()
        self.tar = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on; the reader of a tar form does nothing else with its stream."""
        data = self._stream.read(size)
        self.size += len(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self.sha256.update(data)
        return data

    def drain(self) -> None:
        """Take in what is left."""
        while self.read(_READ_SIZE):
            pass


class _Contents:
    """What one pass over the members collects, under the archive's own paths."""

    def __init__(self, name: str) -> None:
        self.builder = TreeBuilder(name)
        self.texts: dict[str, bytes] = {}
        self.binaries: dict[str, tuple[Binary, ...]] = {}
        self.python_json = b""
        self.notes: list[str] = []
        self._name = name
        self.kept = ""

    def add(self, member: Member, chunks: Iterable[Any]) -> None:
        """Take in one member."""
        if member.kind != "f" or not member.path.startswith(self.kept):
            self.builder.add(member)
            return
        digest = hashlib.sha256()
        keep: BytesIO | None = None
        first = True
        for chunk in chunks:
            digest.update(chunk)
            if first:
                first = False
                keep = BytesIO() if self._wants(member, chunk) else None
            if keep is not None:
                keep.write(chunk)
        self.builder.add(member, digest.hexdigest())
        if keep is not None:
            self._look_into(member.path, keep)

    def _wants(self, member: Member, chunk: bytes) -> bool:
        if is_witness(member.path):
            return member.size <= _LARGEST_WITNESS
        if not is_binary(bytes(chunk[:4])):
            return False
        if member.size > LARGEST_BINARY:
            self.notes.append(f"{member.path} is too large to look into; its needs are not known")
            return False
        return True

    def _look_into(self, path: str, stream: BytesIO) -> None:
        if not is_witness(path):
            try:
                found = read_binaries(stream)
            except BadBinary as error:
                self.notes.append(f"{path}: {error}")
                return
            if found:
                self.binaries[path] = found
        elif path.count("/") == 1 and path.endswith("/PYTHON.json"):
            # A full archive's description comes first and tells that only install/ is of use.
            self.python_json = stream.getvalue()
            self.kept = path.removesuffix("PYTHON.json") + "install/"
        else:
            self.texts[path] = stream.getvalue()


class _Inside:
    """The tree with what was found in its files, under the paths of the tree."""

    def __init__(self, tree: Tree, contents: _Contents) -> None:
        start = f"{tree.top}/" if tree.top else ""
        self.paths = [entry.path for entry in tree.entries]
        self.texts = _below(contents.texts, start)
        self.binaries = _below(contents.binaries, start)
        self._links = {entry.path: entry.target for entry in tree.entries if entry.kind == "l"}
        self._files = {entry.path for entry in tree.entries if entry.kind == "f"}
        self._shared = {entry.path: entry.target for entry in tree.entries if entry.kind == "h"}

    def find_file(self, path: str) -> str:
        """Follow links to the path of a file; the empty text if there is none."""
        end = resolve(path, self._links, {*self._files, *self._shared})
        return self._shared.get(end, end)

    def aliases(self) -> dict[str, str]:
        """Other paths of native files: links and hard links."""
        ends = {path: self.find_file(path) for path in (*self._links, *self._shared)}
        return {path: end for path, end in ends.items() if end in self.binaries}


def _below(values: Mapping[str, _T], start: str) -> dict[str, _T]:
    return {path[len(start) :]: each for path, each in values.items() if path.startswith(start)}


def _read(stream: BinaryIO, name: str, progress: Progress) -> tuple[_Sums, _Contents]:
    sums, contents = _Sums(stream, archive_suffix(name)), _Contents(name)
    if not sums.forward:
        sums.drain()
        stream.seek(0)
    source = cast("BinaryIO", sums) if sums.forward else stream
    told = 0
    with open_archive(source, name, tar_digest=sums.tar if sums.forward else None) as archive:
        for member, chunks in archive:
            contents.add(member, chunks)
            # Told from this thread: the archive is read in another one.
            if sums.size - told >= _READ_SIZE:
                progress.advance(sums.size - told)
                told = sums.size
    if sums.forward:
        sums.drain()
    progress.advance(sums.size - told)
    return sums, contents


def _notes(said: UpstreamName | None, identity: Identity) -> list[str]:
    notes = []
    if said and said.static and identity.key.target.os == "linux":
        notes.append("statically linked: it can't load extension modules")
    return notes
