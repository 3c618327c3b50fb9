"""The strict reader of a bundle that is one file.

A ZIP file can be read in more than one way: from its end, from its start, by its local headers.
Where readers differ, one sees a harmless file and another something else. So this reader takes the
few free facts from the central directory (names, sizes, CRCs), spells the whole structure out anew
with :mod:`kitbag_bundles.zipformat`, and refuses the file unless every byte outside the members'
data and the shell header is exactly that.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, NoReturn

from kitbag_bundles import zipformat
from kitbag_bundles.container import CHUNK, Location, Verified, Window
from kitbag_bundles.errors import BundleError, FileSystemError, UnsupportedFormat
from kitbag_bundles.members import is_aligned, is_executable
from kitbag_bundles.names import MAX_LENGTH, check_member_names
from kitbag_bundles.volumes import SUFFIX, Volumes, accused
from kitbag_bundles.zipformat import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.reporting import Progress

_TAIL = zipformat.END.size + zipformat.COMMENT_SIZE
_MOST_PER_MEMBER = zipformat.CENTRAL_HEADER.size + MAX_LENGTH + 4 + 24


class ZipContainer:
    """A bundle that is one ZIP file or its volumes, with or without a shell header."""

    def __init__(self, source: str | Volumes) -> None:
        """Read and check the structure, nothing else; raises as :func:`open_container` does."""
        path = self.path = source if isinstance(source, str) else source.path
        try:
            self.volumes = Volumes.of_file(source) if isinstance(source, str) else source
        except OSError as error:
            raise FileSystemError(f"cannot read {path}: {error.strerror}") from None
        self._file = self.volumes.open()
        self._read_last = (0, 0)
        try:
            self.size = self.volumes.size
            self._read_structure()
        except OSError as error:
            self.close()
            raise FileSystemError(f"cannot read {path}: {error.strerror}") from None
        except UnsupportedFormat:
            self.close()
            raise
        except BundleError as error:
            self.close()
            # What was read last is what did not please.
            raise accused(error, self.volumes.accuse(*self._read_last)) from None
        except BaseException:
            self.close()
            raise

    @property
    def records(self) -> tuple[Record, ...]:
        """What the central directory says of each member."""
        return tuple(self._records.values())

    def names(self) -> tuple[str, ...]:
        """The names of all members, in the order of the file."""
        return tuple(self._records)

    def size_of(self, name: str) -> int:
        """The size of a member in bytes."""
        return self._record(name).size

    def open(self, name: str) -> io.BufferedReader:
        """A new stream over one member."""
        _, offset, size = self.location(name)
        return io.BufferedReader(Window(self.volumes.open(), offset, size), 1 << 16)

    def location(self, name: str) -> Location:
        """Where the member's bytes are."""
        record = self._record(name)
        return Location(self.path, zipformat.data_offset(record), record.size)

    def accuse(self, name: str) -> str:
        """Which volumes are to blame if this member is damaged, for a message."""
        _, offset, size = self.location(name)
        return self.volumes.accuse(offset, size)

    def check(self, name: str, data: bytes) -> None:
        """Hold a member's bytes against its CRC, the only check that ``SHA256SUMS`` itself has."""
        self._check_crc(name, zlib.crc32(data))

    def verify(self, progress: Progress) -> Verified:
        """Read the whole file once: the digest in the comment, and every member's CRC."""
        import hashlib

        from kitbag_bundles.digests import Beside

        whole = hashlib.sha256()
        crcs: dict[str, int] = {}
        digests = {name: hashlib.sha256() for name in self._records}

        def beside(item: tuple[str, memoryview]) -> None:
            name, chunk = item
            whole.update(chunk)
            crcs[name] = zlib.crc32(chunk, crcs.get(name, 0))

        with Beside(beside) as second:
            for name, chunk in self._all_chunks():
                second.submit((name, chunk))
                if name:
                    digests[name].update(chunk)
                progress.advance(len(chunk))
        # CRCs first: they can tell which member it is.
        for name in self._records:
            self._check_crc(name, crcs.get(name, 0))
        if whole.hexdigest() != self.promised:
            error = BundleError(
                f"{self.path} is damaged: its bytes do not have the SHA-256 of its comment;"
                " copy it again"
            )
            raise accused(error, self.volumes.accuse() if self.volumes.sums else "")
        comment = zipformat.COMMENT_START + self.promised.encode("ascii")
        whole.update(comment)
        progress.advance(len(comment))
        sums = self.volumes.sums
        if sums is not None and sums.sha256 != whole.hexdigest():
            raise BundleError(
                f"{self.path}: the bundle is sound, but the {SUFFIX} file beside it is of another"
                " one; copy that again, or remove it"
            )
        members = {name: digest.hexdigest() for name, digest in digests.items()}
        return Verified(whole.hexdigest(), members)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _record(self, name: str) -> Record:
        record = self._records.get(name)
        if record is None:
            raise BundleError(f"{self.path} has no member {name!r}")
        return record

    def _check_crc(self, name: str, crc: int) -> None:
        if crc != self._record(name).crc32:
            error = BundleError(
                f"{self.path}: member {name} does not have its CRC; the bundle is damaged,"
                " copy it again"
            )
            raise accused(error, self.accuse(name))

    def _all_chunks(self) -> Iterator[tuple[str, memoryview]]:
        """Everything before the comment, in order: the member's name or "", and its bytes.

        A chunk is good until three more have been asked for.
        """
        from kitbag_bundles.digests import Buffers

        buffers = Buffers(min(CHUNK, self.size))
        spans = [("", 0, 0)]
        for record in self._records.values():
            start = zipformat.data_offset(record)
            spans += [("", spans[-1][2], start), (record.name, start, start + record.size)]
        spans.append(("", spans[-1][2], self.size - zipformat.COMMENT_SIZE))
        try:
            self._file.seek(0)
            for name, start, end in spans:
                position = start
                while position < end:
                    view = buffers.next()[: end - position]
                    count = self._file.readinto(view)
                    if not count:
                        raise BundleError(f"{self.path} became shorter while it was read")
                    position += count
                    yield name, view[:count]
        except OSError as error:
            raise FileSystemError(f"cannot read {self.path}: {error.strerror}") from None

    def _read_structure(self) -> None:
        count, directory_offset, directory_size = self._read_end()
        directory = self._read(directory_offset, directory_size)
        records = list(self._parse_directory(directory, count))
        check_member_names([record.name for record in records])
        self._records = {record.name: record for record in records}
        self.header_size = records[0].offset if records else 0
        self._check_header()
        expected = b"".join(map(zipformat.central_header, records))
        if expected != directory:
            self._refuse("its central directory is not written as the format wants it")
        self._check_local_headers(records, directory_offset)

    def _read_end(self) -> tuple[int, int, int]:
        """Read all that follows the central directory, and check it.

        Returns the number of members, the directory's offset and its size.
        """
        tail = self._read(self.size - _TAIL, _TAIL) if self.size >= _TAIL else b""
        end, comment = tail[: zipformat.END.size], tail[zipformat.END.size :]
        found = zipformat.COMMENT.fullmatch(comment)
        if not end.startswith(zipformat.END_SIGNATURE) or not found:
            self._refuse_tail(comment)
        self.promised = found[1].decode("ascii")
        count, size, offset = zipformat.END.unpack(end)[4:7]
        position = self.size - _TAIL
        if offset == zipformat.MAX_32:
            position -= zipformat.ZIP64_END.size + zipformat.ZIP64_LOCATOR.size
            if position < 0:
                self._refuse("its ZIP64 records are missing")
            record = self._read(position, zipformat.ZIP64_END.size)
            offset = zipformat.ZIP64_END.unpack(record)[9]
        if count > zipformat.MAX_MEMBERS or size > count * _MOST_PER_MEMBER:
            self._refuse("its central directory is larger than the format allows")
        if offset + size != position:
            self._refuse("its central directory does not end where its end record begins")
        expected = zipformat.end_records(count, offset, size, zipformat.COMMENT_SIZE)
        if self._read(position, self.size - zipformat.COMMENT_SIZE - position) != expected:
            self._refuse("its end record contradicts itself")
        return count, offset, size

    def _parse_directory(self, directory: bytes, count: int) -> Iterator[Record]:
        """The records that the directory speaks of; whether it spells them well is seen later."""
        position = 0
        for _ in range(count):
            if len(directory) - position < zipformat.CENTRAL_HEADER.size:
                self._refuse("its central directory is too short")
            fields = zipformat.CENTRAL_HEADER.unpack_from(directory, position)
            crc, _, size, name_size, extra_size = fields[7:12]
            offset = fields[16]
            start = position + zipformat.CENTRAL_HEADER.size
            raw = directory[start : start + name_size]
            extra = directory[start + name_size : start + name_size + extra_size]
            if size == zipformat.MAX_32 or offset == zipformat.MAX_32:
                size, offset = self._parse_large(extra, size, offset)
            name = raw.decode("latin-1")
            yield Record(name, size, crc, offset, is_aligned(name), is_executable(name))
            position = start + name_size + extra_size

    def _parse_large(self, extra: bytes, size: int, offset: int) -> tuple[int, int]:
        """Size and offset with those from the ZIP64 extra field that did not fit."""
        values = struct.unpack_from(f"<{len(extra[4:]) // 8}Q", extra, 4) if len(extra) > 4 else ()
        wanted = (2 if size == zipformat.MAX_32 else 0) + (offset == zipformat.MAX_32)
        if len(values) != wanted:
            self._refuse("a ZIP64 field of its central directory has the wrong size")
        if size == zipformat.MAX_32:
            size = values[0]
        if offset == zipformat.MAX_32:
            offset = values[-1]
        return size, offset

    def _check_header(self) -> None:
        start = zipformat.HEADER_START
        if self.header_size == 0:
            return
        if self.header_size % zipformat.ALIGNMENT or self._read(0, len(start)) != start:
            self._refuse("what comes before its first member is not kitbag's shell header")

    def _check_local_headers(self, records: Sequence[Record], directory_offset: int) -> None:
        """Every local header says what the directory says, and nothing lies between members."""
        position = self.header_size
        for record in records:
            expected = zipformat.local_header(record)
            if record.offset != position:
                self._refuse(f"member {record.name} does not begin where the one before it ends")
            position += len(expected) + record.size
            if position > directory_offset:
                self._refuse(f"member {record.name} reaches into the central directory")
            if self._read(record.offset, len(expected)) != expected:
                self._refuse(f"the local header of member {record.name} contradicts the directory")
        if position != directory_offset:
            self._refuse("something lies between its last member and the central directory")

    def _read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``, or a :class:`BundleError`."""
        if offset < 0 or offset + size > self.size:
            self._refuse("a record points outside the file")
        self._read_last = (offset, size)
        self._file.seek(offset)
        parts: list[bytes] = []
        while size:
            part = self._file.read(size)
            if not part:
                self._refuse("it became shorter while it was read")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _refuse(self, why: str) -> NoReturn:
        raise BundleError(f"{self.path} is damaged or was not made by kitbag: {why}")

    def _refuse_tail(self, comment: bytes) -> NoReturn:
        found = zipformat.ANY_COMMENT.match(comment)
        if found and found[1] != b"1":
            raise UnsupportedFormat(
                f"{self.path} was made by a newer kitbag, in a container that this one"
                " does not know; use a newer kitbag"
            )
        raise BundleError(
            f"{self.path} is not a kitbag bundle, or its end is missing or was changed;"
            " if it should be one, copy it again"
        )
