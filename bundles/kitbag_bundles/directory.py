"""A bundle that was unzipped: the same members, as the files of a folder.

Only regular files count, links are never followed, and a file that no member has is refused. The
folder has no digest of its own: what is not in ``SHA256SUMS`` does not exist here.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kitbag_bundles.container import CHUNK, Location, Verified, open_window
from kitbag_bundles.errors import BundleError, FileSystemError
from kitbag_bundles.members import FOLDERS, MANIFEST, in_order
from kitbag_bundles.names import check_member_names
from kitbag_bundles.sums import MEMBER as SUMS

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from kitbag_bundles.reporting import Progress


class DirectoryContainer:
    """A bundle that is a folder."""

    header_size = 0
    promised = ""

    def __init__(self, path: str) -> None:
        """List the files; raises as :func:`kitbag_bundles.container.open_container` does."""
        self.path = path
        for name in (MANIFEST, SUMS):
            if not os.path.lexists(os.path.join(path, name)):
                raise BundleError(f"the folder {path} is not a kitbag bundle: it has no {name}")
        try:
            found = dict(self._walk(""))
        except OSError as error:
            raise FileSystemError(f"cannot read {error.filename}: {error.strerror}") from None
        self._files = {name: found[name] for name in in_order(found)}
        check_member_names(self._files)
        self.size = sum(status.st_size for status in self._files.values())

    def names(self) -> tuple[str, ...]:
        """The names of all files, in the order that a bundle file has."""
        return tuple(self._files)

    def size_of(self, name: str) -> int:
        """The size of a member in bytes."""
        return self._status(name).st_size

    def open(self, name: str) -> io.BufferedReader:
        """A new stream over one file."""
        path, offset, size = self.location(name)
        return open_window(path, offset, size, same_as=self._status(name))

    def location(self, name: str) -> Location:
        """Where the member's bytes are."""
        return Location(self._full(name), 0, self._status(name).st_size)

    def accuse(self, name: str) -> str:
        """There are no volumes."""
        return ""

    def check(self, name: str, data: bytes) -> None:
        """Nothing to hold them against."""

    def verify(self, progress: Progress) -> Verified:
        """Read every file once."""
        import hashlib

        members = {}
        view = memoryview(bytearray(min(CHUNK, self.size)))
        for name in self._files:
            digest = hashlib.sha256()
            with self.open(name) as stream:
                while count := stream.readinto(view):
                    digest.update(view[:count])
                    progress.advance(count)
            members[name] = digest.hexdigest()
        return Verified("", members)

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _full(self, name: str) -> str:
        return os.path.join(self.path, *name.split("/"))

    def _status(self, name: str) -> os.stat_result:
        status = self._files.get(name)
        if status is None:
            raise BundleError(f"{self.path} has no member {name!r}")
        return status

    def _walk(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """All files below the known folders; anything else is refused, so no walk gets long."""
        with os.scandir(os.path.join(self.path, *prefix.split("/"))) as entries:
            for entry in entries:
                name = prefix + entry.name
                # os.stat and not the entry's: on Windows that one lacks the file's identity.
                status = os.stat(entry.path, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield name, status
                elif stat.S_ISDIR(status.st_mode) and (prefix or entry.name in FOLDERS):
                    yield from self._walk(f"{name}/")
                else:
                    kind = "folder" if stat.S_ISDIR(status.st_mode) else "file of this kind"
                    raise BundleError(
                        f"{entry.path} does not belong to a bundle: no member is a {kind};"
                        " remove it, or unzip the bundle into a folder of its own"
                    )
