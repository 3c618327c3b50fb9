"""The members of an archive become the tree of a build, in the shape of the contents list.

An archive says things in its own way: everything below one folder or two, parents left out,
links twice, modes from the build machine. Here all of that becomes one sorted list of entries
below the build's own top, and what can't be such a list is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.archives.members import Member, check_link
from kitbag_bundles.contents import Entry, path_bytes
from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

__all__ = ["Tree", "TreeBuilder", "find_top", "resolve"]

_INNER_TOPS = ("install", "pyodide-root/dist")
"""Below the one outer folder: python-build-standalone's full archives, Pyodide's xbuildenv."""


class Tree(NamedTuple):
    """The part of an archive that gets installed."""

    top: str
    """The folder of the archive that becomes the build's root; empty when it is the archive's."""
    entries: tuple[Entry, ...]
    """In bytewise order of their paths, which are relative to ``top``."""


class TreeBuilder:
    """Takes the members of one archive in their order; :meth:`finish` gives the tree."""

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._records: dict[str, Entry] = {}

    def add(self, member: Member, digest: str = "") -> None:
        """Take one member, for a file with the SHA-256 of its bytes in hex.

        Raises :class:`ArchiveError` for a name that came before, unless it is a folder or the
        same link again: python-build-standalone's archives for armv7 repeat some.
        """
        record = _entry(member, digest)
        before = self._records.setdefault(member.path, record)
        if before is not record and (before != record or record.kind == "f"):
            raise self._wrong(f"holds {member.path!r} twice")

    def finish(self) -> Tree:
        """Find the top and list what is below it; raises :class:`ArchiveError`."""
        top = find_top(self._records)
        start = f"{top}/" if top else ""
        if top and self._records.get(top, _DIRECTORY).kind != "d":
            raise self._wrong(f"has {top!r}, which should be a folder, as something else")
        entries: dict[str, Entry] = {}
        for path, record in self._records.items():
            if path.startswith(start) and path != top and path:
                inner = path[len(start) :]
                entries[inner] = self._below(inner, record, start)
        if not entries:
            raise self._wrong("is empty")
        self._add_parents(entries)
        return Tree(top, tuple(sorted(entries.values(), key=lambda each: path_bytes(each.path))))

    def _below(self, path: str, record: Entry, start: str) -> Entry:
        if record.kind == "l":
            check_link(path, record.target, self._filename)
        if record.kind != "h":
            return record._replace(path=path)
        shared = self._shared_file(record)
        if not shared.path.startswith(start):
            raise self._wrong(
                f"has {record.path!r} as a hard link to {record.target!r}, which is not part of"
                " the build"
            )
        return record._replace(path=path, mode=shared.mode, target=shared.path[len(start) :])

    def _shared_file(self, record: Entry) -> Entry:
        """Follow a hard link, which may name another one, to the file itself."""
        found, seen = record, set()
        while found.kind == "h":
            seen.add(found.path)
            following = self._records.get(found.target)
            if following is None or following.kind not in "fh" or following.path in seen:
                raise self._wrong(
                    f"has {record.path!r} as a hard link to {record.target!r}, which is no file"
                    " in it"
                )
            found = following
        return found

    def _add_parents(self, entries: dict[str, Entry]) -> None:
        for path in list(entries):
            parent = path.rpartition("/")[0]
            while parent:
                known = entries.get(parent)
                if known is None:
                    entries[parent] = _DIRECTORY._replace(path=parent)
                elif known.kind != "d":
                    raise self._wrong(f"has {path!r} below {parent!r}, which is not a folder")
                parent = parent.rpartition("/")[0]

    def _wrong(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self._filename}: the archive {what}; do not use it")


_DIRECTORY = Entry("", "d", 0o755, 0, "", "")


def _entry(member: Member, digest: str) -> Entry:
    if member.kind == "d":
        return _DIRECTORY._replace(path=member.path)
    if member.kind == "l":
        return Entry(member.path, "l", 0o777, 0, "", member.target)
    mode = 0o755 if member.mode & 0o111 else 0o644
    if member.kind == "h":
        # Some writers give hard links no mode of their own; the file's counts.
        return Entry(member.path, "h", 0o644, 0, "", member.target)
    return Entry(member.path, "f", mode, member.size, digest, "")


def find_top(paths: Iterable[str]) -> str:
    """The folder of an archive that is the root of the build.

    As uv has it: the one outer folder, whatever its name, if there is nothing beside it; below
    that ``install`` (full archives) or ``pyodide-root/dist`` where there is one.
    """
    folders: set[str] = set()
    firsts: set[str] = set()
    for path in paths:
        first, slash, _ = path.partition("/")
        firsts.add(first)
        if slash:
            folders.add(first)
            folders.update(_leading(path))
    firsts.discard("")
    outer = firsts.pop() if len(firsts) == 1 and firsts <= folders else ""
    return next((top for top in _inner(outer) if top in folders), outer)


def _inner(outer: str) -> list[str]:
    return [f"{outer}/{name}" if outer else name for name in _INNER_TOPS]


def _leading(path: str) -> list[str]:
    """The parents of ``path`` that may be an inner top: at most three levels."""
    parts = path.split("/")[:-1][:3]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def resolve(path: str, links: Mapping[str, str], paths: Container[str]) -> str:
    """Follow symbolic links from ``path``; the empty text if it leads to nothing listed."""
    for _ in range(40):
        if path in links:
            path = _joined(path.rpartition("/")[0], links[path])
        else:
            return path if path in paths else ""
    return ""


def _joined(folder: str, target: str) -> str:
    parts = folder.split("/") if folder else []
    for part in target.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)
