"""What exactly is wrong with a damaged bundle: which members, records and byte ranges.

The strict reader stops at the first thing that is wrong. This one goes on: it takes the structure
from wherever it is still whole (the central directory, or else the local headers in their order),
spells out how every record should read, reads every byte, and tells all that differs. What it
finds is for people who want to know what can be saved; it never makes a bundle acceptable.

Within a member nothing finer than the member itself can be told: its digests cover it as a whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles import manifest, members, sums, zipformat
from kitbag_bundles.container import CHUNK
from kitbag_bundles.errors import FileSystemError, KitbagError
from kitbag_bundles.members import is_aligned, is_executable
from kitbag_bundles.names import MAX_LENGTH, check_member_names
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.sevenzip import unwrapped
from kitbag_bundles.volumes import Piece, Volumes
from kitbag_bundles.volumesets import find
from kitbag_bundles.zipformat import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from kitbag_bundles.reporting import Reporter

MEMBER, LOCAL_HEADER, SHELL_HEADER = "member", "local-header", "shell-header"
DIRECTORY, END, REST, VOLUME = "directory", "end", "rest", "volume"

_MOST_HEADER = 1 << 20
_MOST_SUMS = 1 << 26
_MOST_EXTRA = 20 + 6 + zipformat.ALIGNMENT


class Damage(NamedTuple):
    """One thing that is not as it should be."""

    what: str
    """One of the constants above."""
    name: str
    """Of the member or the volume; empty for the others."""
    offset: int
    """Where it begins, in bytes from the start of the bundle; of a folder's file, in that file."""
    size: int
    problem: str
    pieces: tuple[Piece, ...] = ()
    """For a bundle in volumes: the same range, by parts."""


def diagnose(path: str | os.PathLike[str], reporter: Reporter) -> list[Damage]:
    """Read every byte of the bundle at ``path`` and tell all that is damaged, in its order.

    An empty list says that nothing is, or that this has nothing of a bundle. Raises what
    :func:`kitbag_bundles.container.open_container` raises where there is nothing to read.
    """
    absolute = os.path.abspath(path)
    try:
        volumes = find(absolute)
        if volumes is None and os.path.isdir(absolute):
            return _of_folder(absolute, reporter)
        if volumes is None and not os.path.isfile(absolute):
            return []
        volumes = volumes or Volumes.of_file(absolute)
    except OSError as error:
        raise FileSystemError(f"cannot read {absolute}: {error.strerror}") from None
    files = volumes
    with contextlib.suppress(KitbagError):
        volumes = unwrapped(files)
    with contextlib.closing(_Examination(volumes)) as examination:
        with reporter.progress(f"looking for the damage in {volumes.path}", volumes.size) as bar:
            found = examination.examine(bar.advance)
        if volumes.several:
            found = [each._replace(pieces=tuple(volumes.pieces(each.offset, each.size)))
                     for each in found]  # fmt: skip
        if files.sums is not None:
            for part in files.parts:
                fault = files.fault(part)
                if fault:
                    pieces = (Piece(part.path, 0, part.size),)
                    found.append(Damage(VOLUME, part.name, part.offset, part.size, fault, pieces))
    return found


class _Examination(ZipContainer):
    """A bundle whose structure is not taken for granted."""

    def _read_structure(self) -> None:
        self.header_size = 0
        self.promised = ""
        self._records = {}
        self._found: list[Damage] = []

    def examine(self, advance: Callable[[int], None]) -> list[Damage]:
        """All damage, by its place."""
        walked, stop = self._walk()
        records = self._trusted()
        if records is not None:
            chosen = self._compare_headers(records)
        else:
            chosen = walked
            if not walked:
                return []
            self._judge_end(walked, stop)
        self._records = {record.name: record for record in chosen}
        self.header_size = chosen[0].offset if chosen else 0
        self._read_members(chosen, advance)
        return sorted(self._found, key=lambda each: (each.offset, each.what))

    def _trusted(self) -> list[Record] | None:
        """What the central directory says, if it speaks of all bytes before it, in order."""
        try:
            count, offset, size = self._read_end()
            records = list(self._parse_directory(self._read(offset, size), count))
            check_member_names([record.name for record in records])
        except KitbagError:
            return None
        position = records[0].offset if records else 0
        for record in records:
            if record.offset != position:
                return None
            position = zipformat.data_offset(record) + record.size
        if position != offset or not records:
            return None
        place = offset
        actual = self._read(offset, size)
        for record in records:
            entry = zipformat.central_header(record)
            if actual[place - offset : place - offset + len(entry)] != entry:
                self._tell(DIRECTORY, "", place, len(entry), f"the entry of {record.name}")
            place += len(entry)
        return records

    def _compare_headers(self, records: Sequence[Record]) -> list[Record]:
        """Hold local headers against the directory; which of two is right, the data says."""
        chosen = []
        listed = self._promised_digests(records)
        place = self._read_end()[1]
        for record in records:
            entry = len(zipformat.central_header(record))
            header = zipformat.local_header(record)
            right = record
            if self._read(record.offset, len(header)) != header:
                other = self._parse_local(record.offset)
                if other is not None and self._speaks_for(other, record, listed):
                    self._tell(DIRECTORY, "", place, entry, f"the entry of {other.name}")
                    right = other
                else:
                    problem = "it is not as the directory has it"
                    self._tell(LOCAL_HEADER, record.name, record.offset, len(header), problem)
            place += entry
            chosen.append(right)
        return chosen

    def _speaks_for(self, other: Record, record: Record, listed: Collection[str]) -> bool:
        """Whether data and ``SHA256SUMS`` agree with ``other`` and not with ``record``."""
        if other.size != record.size or zipformat.data_offset(other) != zipformat.data_offset(
            record
        ):
            return False
        if other.crc32 == record.crc32:
            known = {*listed, sums.MEMBER} if listed else set(members.REQUIRED)
            return other.name in known and record.name not in known
        crc, position = 0, zipformat.data_offset(record)
        end = position + record.size
        while position < end:
            chunk = self._read(position, min(CHUNK, end - position))
            crc = zlib.crc32(chunk, crc)
            position += len(chunk)
        return crc == other.crc32

    def _walk(self) -> tuple[list[Record], int]:
        """Members by their local headers alone, and where no further one begins."""
        position = self._first()
        records: list[Record] = []
        while len(records) < zipformat.MAX_MEMBERS:
            record = self._parse_local(position)
            if record is None:
                break
            records.append(record)
            position = zipformat.data_offset(record) + record.size
        return records, position

    def _first(self) -> int:
        signature = zipformat.LOCAL_SIGNATURE
        for position in range(0, min(self.size, _MOST_HEADER), zipformat.ALIGNMENT):
            if self._peek(position, 4) == signature and self._parse_local(position):
                return position
        return self.size

    def _parse_local(self, offset: int) -> Record | None:
        """The record of a local header that is spelt as it should be."""
        fixed = self._peek(offset, zipformat.LOCAL_HEADER.size)
        if len(fixed) < zipformat.LOCAL_HEADER.size:
            return None
        signature, *_, crc, _, size, name_size, extra_size = zipformat.LOCAL_HEADER.unpack(fixed)
        if signature != zipformat.LOCAL_SIGNATURE or not 0 < name_size <= MAX_LENGTH:
            return None
        if extra_size > _MOST_EXTRA:
            return None
        rest = self._peek(offset + len(fixed), name_size + extra_size)
        try:
            name = rest[:name_size].decode("ascii")
        except UnicodeDecodeError:
            return None
        extra = rest[name_size:]
        if size == zipformat.MAX_32:
            if len(extra) < 20:
                return None
            size = struct.unpack_from("<Q", extra, 4)[0]
        record = Record(name, size, crc, offset, is_aligned(name), is_executable(name))
        return record if zipformat.local_header(record) == fixed + rest else None

    def _judge_end(self, records: Sequence[Record], stop: int) -> None:
        """All that follows the last member which could be found without the directory."""
        if stop > self.size:
            # The last member goes beyond the end; its range is told where members are read.
            self._tell_missing(records)
            return
        if stop == self.size:
            self._tell(DIRECTORY, "", stop, 0, "missing: the bundle ends before it")
            self._tell_missing(records)
            return
        if self._peek(stop, 4) == zipformat.LOCAL_SIGNATURE or not self._is_last(records):
            problem = "a local header is damaged, and so is the directory: what follows is unknown"
            self._tell(REST, "", stop, self.size - stop, problem)
            return
        directory = b"".join(map(zipformat.central_header, records))
        end = zipformat.end_records(len(records), stop, len(directory), zipformat.COMMENT_SIZE)
        for what, expected in ((DIRECTORY, directory), (END, end + zipformat.COMMENT_START)):
            actual = self._peek(stop, len(expected))
            if actual != expected:
                first = _common(actual, expected)
                same = _common(actual[::-1], expected[::-1])
                cut = len(actual) < len(expected)
                last = len(actual) if cut else max(len(expected) - same, first + 1)
                problem = "cut off" if cut else "it is not as the members make it"
                self._tell(what, "", stop + first, last - first, problem)
            stop += len(expected)
        if stop + 64 != self.size:
            problem = "the digest is cut off" if stop + 64 > self.size else "more than a bundle has"
            start = min(stop if stop + 64 > self.size else stop + 64, self.size)
            self._tell(END, "", start, self.size - start, problem)

    @staticmethod
    def _is_last(records: Sequence[Record]) -> bool:
        return bool(records) and sums.is_unlisted(records[-1].name)

    def _tell_missing(self, records: Sequence[Record]) -> None:
        """Archives that the manifest speaks of and that are nowhere."""
        here = {record.name for record in records}
        found = next((each for each in records if each.name == members.MANIFEST), None)
        if found is None:
            return
        data = self._peek(zipformat.data_offset(found), min(found.size, _MOST_SUMS))
        with contextlib.suppress(KitbagError, UnicodeDecodeError):
            for build in manifest.parse(data.decode("utf-8")).builds:
                for name in (build.contents_member, build.payload.member):
                    if name not in here:
                        problem = "missing: the bundle ends before it"
                        self._tell(MEMBER, name, self.size, 0, problem)
                        here.add(name)

    def _read_members(self, records: Sequence[Record], advance: Callable[[int], None]) -> None:
        promised = self._promised_digests(records)
        whole = hashlib.sha256()
        before_comment = self.size - zipformat.COMMENT_SIZE
        position = 0
        for record in records:
            start = zipformat.data_offset(record)
            self._digest(position, start, before_comment, [whole], advance)
            own = hashlib.sha256()
            crc = self._digest(start, start + record.size, before_comment, [whole, own], advance)
            position = start + record.size
            if position > self.size:
                problem = f"cut off: {position - self.size} of its {record.size} bytes are missing"
                self._tell(MEMBER, record.name, start, max(self.size - start, 0), problem)
            elif crc != record.crc32:
                self._tell(MEMBER, record.name, start, record.size, "it does not have its CRC")
            elif own.hexdigest() != promised.get(record.name, own.hexdigest()):
                problem = f"it does not have the SHA-256 that {sums.MEMBER} gives"
                self._tell(MEMBER, record.name, start, record.size, problem)
        self._digest(position, self.size, before_comment, [whole], advance)
        if not self._found and self.promised != whole.hexdigest():
            self._tell_uncovered(before_comment)

    def _tell_uncovered(self, before_comment: int) -> None:
        """Everything else is right, so it is what only the digest of the whole covers."""
        place = before_comment + len(zipformat.COMMENT_START)
        if self.header_size:
            problem = "it, or the digest at the end, is not as it was"
            self._tell(SHELL_HEADER, "", 0, self.header_size, problem)
        problem = "the digest is not that of the bundle"
        self._tell(END, "", place, self.size - place, problem)

    def _promised_digests(self, records: Iterable[Record]) -> dict[str, str]:
        """What ``SHA256SUMS`` says, if it is whole."""
        found = next((each for each in records if each.name == sums.MEMBER), None)
        if found is None or found.size > _MOST_SUMS:
            return {}
        data = self._peek(zipformat.data_offset(found), found.size)
        if len(data) != found.size or zlib.crc32(data) != found.crc32:
            return {}
        try:
            return sums.parse(data)
        except KitbagError:
            return {}

    def _digest(
        self,
        start: int,
        end: int,
        before_comment: int,
        digests: Sequence[Any],
        advance: Callable[[int], None],
    ) -> int:
        """Feed a range to ``digests``, as far as the file goes; returns its CRC."""
        crc = 0
        end = min(end, self.size)
        while start < end:
            stop = min(end, start + CHUNK)
            if start < before_comment < stop:
                stop = before_comment
            chunk = self._read(start, stop - start)
            for each in digests if start < before_comment else digests[1:]:
                each.update(chunk)
            crc = zlib.crc32(chunk, crc)
            advance(len(chunk))
            start = stop
        return crc

    def _peek(self, offset: int, size: int) -> bytes:
        """What there is of ``size`` bytes from ``offset``."""
        return self._read(offset, min(size, self.size - offset)) if offset < self.size else b""

    def _tell(self, what: str, name: str, offset: int, size: int, problem: str) -> None:
        known = [(each.what, each.offset, each.size) for each in self._found]
        if (what, offset, size) not in known or not size:
            self._found.append(Damage(what, name, offset, size, problem))


def _common(one: bytes, other: bytes) -> int:
    """How many bytes at their beginning are the same."""
    for at, (left, right) in enumerate(zip(one, other)):
        if left != right:
            return at
    return min(len(one), len(other))


def _of_folder(path: str, reporter: Reporter) -> list[Damage]:
    """The same for a bundle that was unzipped: what ``SHA256SUMS`` lists and is not so."""
    listing = os.path.join(path, sums.MEMBER)
    try:
        with open(listing, "rb") as stream:
            listed = sums.parse(stream.read(_MOST_SUMS))
    except OSError:
        return []
    except KitbagError as error:
        return [Damage(MEMBER, sums.MEMBER, 0, os.path.getsize(listing), str(error))]
    found = []
    with reporter.progress(f"looking for the damage in {path}", len(listed)) as progress:
        from kitbag_bundles.digests import file_sha256

        for name, digest in listed.items():
            place = os.path.join(path, *name.split("/"))
            progress.advance(1)
            if not os.path.isfile(place) or os.path.islink(place):
                found.append(Damage(MEMBER, name, 0, 0, "missing"))
            elif file_sha256(place) != digest:
                problem = f"it does not have the SHA-256 that {sums.MEMBER} gives"
                found.append(Damage(MEMBER, name, 0, os.path.getsize(place), problem))
    return found
