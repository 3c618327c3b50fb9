"""The archive of one build as it comes out of a bundle: hashed while it is read, once.

For the tar forms the decompressor starts at once, in a thread of its own, and runs a bounded way
ahead; whoever opened the payload does other things in the meantime.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, BinaryIO

from kitbag_bundles.archives import archive_suffix, open_archive
from kitbag_bundles.errors import ArchiveError, DigestMismatch
from kitbag_bundles.volumes import accused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kitbag_bundles.archives import Member
    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Progress

_PIECE = 1024 * 1024


class PayloadReader:
    """A context manager; iterate it once for ``(member, chunks)``, then call :meth:`check`."""

    def __init__(
        self,
        build: Build,
        payload: BinaryIO,
        progress: Progress,
        accuse: Callable[[], str] = str,
    ) -> None:
        """Begin to read ``payload``; ``progress`` advances by its bytes.

        ``accuse`` names the volumes that are to blame for an archive that is not as promised.
        Raises :class:`DigestMismatch` at once for the forms that are read from their end.
        """
        self._accuse = accuse
        self.name = build.payload.member.rpartition("/")[2]
        self.top = build.payload.top
        self._promised = build.payload.sha256
        self._payload = payload
        self._progress = progress
        self._hash = hashlib.sha256()
        self._checked = archive_suffix(self.name) in (".zip", ".7z")
        if self._checked:
            while self.read(_PIECE):
                pass
            self._compare()
            payload.seek(0)
        stream: Any = payload if self._checked else self
        self._archive = open_archive(stream, self.name)
        self._archive.start()

    @classmethod
    def of(cls, bundle: Bundle, build: Build, progress: Progress) -> PayloadReader:
        """Begin to read the archive of ``build``."""
        payload = bundle.open_payload(build)
        try:
            return cls(build, payload, progress, lambda: bundle.accuse_payload(build))
        except DigestMismatch as error:
            payload.close()
            raise accused(error, bundle.accuse_payload(build)) from None
        except BaseException:
            payload.close()
            raise

    def __enter__(self) -> PayloadReader:
        return self

    def __exit__(self, kind: object, error: BaseException | None, *exc: object) -> None:
        self._archive.close()
        self._payload.close()
        if isinstance(error, (ArchiveError, DigestMismatch)):
            whom = self._accuse()
            if whom:
                raise accused(error, whom) from None

    def __iter__(self) -> Iterator[tuple[Member, Iterator[Any]]]:
        return iter(self._archive)

    def read(self, size: int) -> bytes:
        """Compressed bytes for the decompressor, hashed on their way."""
        data = self._payload.read(size)
        self._hash.update(data)
        self._progress.advance(len(data))
        return data

    def check(self) -> None:
        """After the last member: raise :class:`DigestMismatch` if the archive was another one."""
        if not self._checked:
            self._compare()

    def _compare(self) -> None:
        found = self._hash.hexdigest()
        if found != self._promised:
            raise DigestMismatch(
                f"{self.name}: its sha256 is {found} and not {self._promised}; "
                "the bundle is damaged, copy it again"
            )
