"""Upstream's archives, read once from front to back, whatever form they come in.

The packer inspects archives with this and the installer extracts them, so both see exactly the
same members: there is one parser for each form and no second opinion. What no build of Python
needs (devices, setuid bits, names that climb out, sizes that contradict each other) is refused
here; whether the members are the *right* ones is for the caller and its contents list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from kitbag_bundles.archives.members import Member
from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_bundles.archives.readahead import Readahead

__all__ = ["SUFFIXES", "Archive", "Member", "archive_suffix", "open_archive"]

SUFFIXES = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip", ".7z")
"""The forms that are understood, by the end of the file's name."""


class Archive:
    """An open archive; iterate it once for ``(member, chunks)``.

    ``chunks`` yields the bytes of a file and nothing for everything else. What the caller leaves
    of it is skipped. Errors while iterating: :class:`ArchiveError` for a damaged or forbidden
    archive, :class:`DoesNotFit` for a form that this Python can't decode.
    """

    def __init__(
        self, members: Iterator[tuple[Member, Iterator[Any]]], ahead: Readahead | None = None
    ) -> None:
        self._members = members
        self._ahead = ahead

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[Member, Iterator[Any]]]:
        return self._members

    def start(self) -> None:
        """Begin to decompress, a bounded way ahead of the first member that is asked for."""
        if self._ahead is not None:
            self._ahead.start()

    def close(self) -> None:
        """Stop reading, and end the thread that decompresses."""
        if self._ahead is not None:
            self._ahead.close()
        close = getattr(self._members, "close", None)
        if close is not None:
            close()


def archive_suffix(filename: str) -> str:
    """The form of an archive by its file name, or ``""`` for none that is understood."""
    lowered = filename.lower()
    return next((suffix for suffix in SUFFIXES if lowered.endswith(suffix)), "")


def open_archive(stream: BinaryIO, filename: str, *, tar_digest: Any = None) -> Archive:
    """Open ``stream``, whose form ``filename`` tells, for one pass.

    ``tar_digest`` is a hash object that is fed the uncompressed tar, to its very end; it stays
    untouched for ``.zip`` and ``.7z``. Tar forms read ``stream`` strictly forward, to its end;
    the other two need to seek. Raises :class:`UsageError` for an unknown form.
    """
    suffix = archive_suffix(filename)
    if not suffix:
        raise UsageError(
            f"{filename}: not an archive that kitbag knows; the name must end in one of "
            + " ".join(SUFFIXES)
        )
    if suffix == ".zip":
        from kitbag_bundles.archives.zip import zip_members

        return Archive(zip_members(stream, filename))
    if suffix == ".7z":
        from kitbag_bundles.archives.sevenzip import sevenzip_members

        return Archive(sevenzip_members(stream, filename))
    from kitbag_bundles.archives.compression import decompressed
    from kitbag_bundles.archives.readahead import Readahead
    from kitbag_bundles.archives.tar import tar_members

    ahead = Readahead(decompressed(stream, filename, suffix, tar_digest))
    return Archive(tar_members(ahead, filename), ahead)
