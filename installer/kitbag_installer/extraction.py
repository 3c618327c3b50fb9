"""Unpacks one build into a directory of its own, held against its contents list.

One streaming pass. The contents list says what is there; the archive only delivers the bytes.
A member that the list does not have, has differently, or has and does not get, stops everything.
Modes come from the list and not from the umask; links are made last and never followed.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from kitbag_bundles.archives.members import check_link
from kitbag_bundles.errors import ArchiveError, DigestMismatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from kitbag_bundles.archives import Member
    from kitbag_bundles.contents import Entry
    from kitbag_installer.payloads import PayloadReader

# Windows would turn each LF into two bytes.
_CREATE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


def extract_build(
    payload: PayloadReader,
    entries: Sequence[Entry],
    destination: str,
    keep: Collection[str] = (),
) -> dict[str, bytes]:
    """Unpack ``payload`` into ``destination``, a directory that does not exist yet.

    Returns the bytes of the files named in ``keep``, by path. Raises :class:`ArchiveError` or
    :class:`DigestMismatch` (the archive is not what the manifest and the contents list promise),
    or :class:`OSError` from the file system; what was written by then stays, for the caller to
    remove.
    """
    tree = _Tree(destination, entries, payload.name, keep)
    tree.fill(payload, payload.top)
    payload.check()
    tree.finish()
    return tree.kept


def extract_files(
    payload: PayloadReader,
    entries: Sequence[Entry],
    destination: str,
    wanted: Collection[str],
    keep: Collection[str] = (),
) -> dict[str, bytes]:
    """Unpack only the files ``wanted`` into ``destination``, where their folders are already.

    None of them may be there. The whole archive is read and held against its digest and its list
    all the same. Returns the bytes of the files named in ``keep``, which need not be wanted; raises
    as :func:`extract_build` does.
    """
    tree = _Tree(destination, entries, payload.name, keep, frozenset(wanted))
    tree.fill(payload, payload.top)
    payload.check()
    tree.check_complete()
    return tree.kept


class _Tree:
    """The directory being filled; with all files of the list, or those ``wanted``."""

    def __init__(
        self,
        path: str,
        entries: Sequence[Entry],
        name: str,
        keep: Collection[str],
        wanted: Collection[str] | None = None,
    ) -> None:
        self._path = path
        self._name = name
        self._keep = frozenset(keep)
        self._wanted = wanted
        self._entries = {entry.path: entry for entry in entries}
        self._seen: set[str] = set()
        self.kept: dict[str, bytes] = {}
        # A mode that the umask would narrow is set again after creation.
        umask = os.umask(0o077)
        os.umask(umask)
        self._umask = umask
        if wanted is not None:
            return
        self._make_directory(path, 0o755)
        for entry in entries:
            if entry.kind == "d":
                self._make_directory(f"{path}/{entry.path}", entry.mode)

    def fill(self, members: PayloadReader, top: str) -> None:
        inside = f"{top}/" if top else ""
        for member, chunks in members:
            path = member.path
            if path.startswith(inside):
                path = path[len(inside) :]
            elif not path or f"{top}/".startswith(f"{path}/") or "/" in top:
                # The stripped folders themselves, and what lies beside the tree in full archives.
                continue
            else:
                raise self._bad(f"{member.path!r} lies outside of {top!r}")
            entry = self._entries.get(path)
            if entry is None:
                if not path and member.kind == "d":
                    continue
                raise self._bad(f"{path!r} is not in the contents list")
            if entry.kind != member.kind:
                raise self._bad(f"{path!r} is another kind of member than the contents list says")
            if member.kind == "f":
                self._file(entry, member, chunks)
            elif member.kind != "d":
                target = member.target
                if member.kind == "h":
                    target = target[len(inside) :] if target.startswith(inside) else ""
                if target != entry.target:
                    raise self._bad(f"the link {path!r} differs from the contents list")
            self._seen.add(path)

    def _file(self, entry: Entry, member: Member, chunks: Iterator[Any]) -> None:
        if member.size != entry.size:
            raise self._bad(
                f"{entry.path!r} has {member.size} bytes where the contents list says {entry.size}"
            )
        written = self._wanted is None or entry.path in self._wanted
        kept = entry.path in self._keep
        if not (written or kept):
            return
        digest = hashlib.sha256()
        pieces: list[bytes] = []
        if entry.path in self._seen:
            # A repeated member must be the same; the first one is on disk already.
            for chunk in chunks:
                digest.update(chunk)
        elif written:
            handle = os.open(f"{self._path}/{entry.path}", _CREATE, entry.mode)
            try:
                pieces = self._write(handle, chunks, digest, kept)
                if entry.mode & self._umask and hasattr(os, "fchmod"):
                    os.fchmod(handle, entry.mode)
            finally:
                os.close(handle)
        else:
            for chunk in chunks:
                digest.update(chunk)
                pieces.append(bytes(chunk))
        if kept:
            self.kept.setdefault(entry.path, b"".join(pieces))
        if digest.hexdigest() != entry.digest:
            raise DigestMismatch(
                f"{self._name}: {entry.path!r} differs from the contents list; "
                "copy the bundle again"
            )

    @staticmethod
    def _write(handle: int, chunks: Iterator[Any], digest: Any, keep: bool) -> list[bytes]:
        pieces = []
        for chunk in chunks:
            digest.update(chunk)
            if keep:
                pieces.append(bytes(chunk))
            written = os.write(handle, chunk)
            while written < len(chunk):
                written += os.write(handle, chunk[written:])
        return pieces

    def finish(self) -> None:
        """Make the links, now that nothing more is written below them."""
        self.check_complete()
        for path, entry in self._entries.items():
            if entry.kind == "l":
                # Inside of the archive's top folder is not yet inside of the build.
                check_link(path, entry.target, self._name)
                os.symlink(entry.target, f"{self._path}/{path}")
            elif entry.kind == "h":
                _hard_link(f"{self._path}/{entry.target}", f"{self._path}/{path}", entry.mode)

    def check_complete(self) -> None:
        """Raise :class:`ArchiveError` if the archive did not have all that the list has."""
        for path, entry in self._entries.items():
            if entry.kind != "d" and path not in self._seen:
                raise self._bad(f"{path!r} is in the contents list and not in the archive")

    def _make_directory(self, path: str, mode: int) -> None:
        os.mkdir(path, mode)
        if mode & self._umask:
            os.chmod(path, mode)

    def _bad(self, what: str) -> ArchiveError:
        return ArchiveError(
            f"{self._name}: {what}; the archive and its list do not belong together"
        )


def _hard_link(source: str, path: str, mode: int) -> None:
    try:
        os.link(source, path)
    except (OSError, NotImplementedError):
        # Some file systems have no hard links; the content is what matters.
        import shutil

        shutil.copyfile(source, path)
        os.chmod(path, mode)
