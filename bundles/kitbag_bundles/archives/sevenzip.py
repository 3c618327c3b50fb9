"""Members of a ``.7z`` archive, read with the ``py7zr`` library where it is installed.

py7zr pushes: it writes each member into an object that it asks a factory for. A thread and a
bounded queue turn that into members and chunks that the caller pulls.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from kitbag_bundles.archives.members import Member, check_growth, check_link, normal_path
from kitbag_bundles.errors import ArchiveError, DoesNotFit, KitbagError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_LONGEST_LINK = 4096


def sevenzip_members(stream: BinaryIO, filename: str) -> Iterator[tuple[Member, Iterator[Any]]]:
    """Yield folders first, then files and links in the order of their data.

    Raises :class:`ArchiveError`, and :class:`DoesNotFit` without py7zr.
    """
    try:
        import py7zr
    except ImportError:
        raise DoesNotFit(
            f"{filename}: .7z needs the py7zr package beside this Python; "
            "or pack the build as .tar.gz"
        ) from None
    packed_size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        # A bare file object, and so one thread: members arrive in their order in the archive.
        with py7zr.SevenZipFile(stream, "r") as archive:
            if archive.needs_password():
                raise ArchiveError(f"{filename}: encrypted; unpack and repack it plainly")
            files, folders = _index(archive, packed_size, filename)
            for folder in folders:
                yield folder, iter(())
            events = _events(archive, len(files), filename)
            try:
                yield from _pulled(events, files, filename)
            finally:
                events.close()
    except Exception as error:  # noqa: BLE001  # see there
        raise _refusal(error, filename) from None


def _refusal(error: BaseException, filename: str) -> BaseException:
    """What to raise for ``error``; on a damaged archive py7zr and its decoders raise anything."""
    of_the_system = isinstance(error, OSError) and error.errno is not None
    if of_the_system or isinstance(error, (KitbagError, MemoryError)):
        return error
    return ArchiveError(f"{filename}: damaged archive ({error}); fetch it again")


def _index(archive: Any, packed_size: int, filename: str) -> tuple[dict[str, Member], list[Member]]:
    """All members by the names that py7zr will give to the factory, and the folders apart."""
    files: dict[str, Member] = {}
    folders = []
    total = 0
    for info in archive.files:
        path = normal_path(info.filename, filename)
        mode = info.posix_mode or 0
        if mode & 0o7000:
            raise ArchiveError(f"{filename}: member {path!r} has a setuid, setgid or sticky bit")
        kind = stat.S_IFMT(info.st_fmt or 0)
        if info.is_directory:
            folders.append(Member(path, "d", 0o755, 0, ""))
            continue
        if kind not in (0, stat.S_IFREG, stat.S_IFLNK) or not path:
            raise ArchiveError(f"{filename}: member {path!r} is neither a file, folder nor link")
        if path in files:
            raise ArchiveError(f"{filename}: member {path!r} is there twice")
        size = info.uncompressed or 0
        total += size
        shape = "l" if info.is_symlink else "f"
        files[path] = Member(path, shape, mode or 0o644, size, "")
    check_growth(total, packed_size, filename)
    return files, folders


def _events(archive: Any, count: int, filename: str) -> Generator[Any, None, None]:
    """Run the extraction; yield ``str`` for the start of a member and ``bytes`` for its data."""
    if not count:
        return
    hub = _Hub()
    thread = threading.Thread(target=hub.run, args=(archive,), name="kitbag-7z", daemon=True)
    thread.start()
    try:
        while (event := hub.queue.get()) is not None:
            if isinstance(event, BaseException):
                raise _refusal(event, filename)
            yield event
    finally:
        hub.stopped.set()
        while thread.is_alive():
            try:
                hub.queue.get(timeout=0.05)
            except queue.Empty:
                continue


class _Hub:
    """What the extracting thread and the consumer share."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Any] = queue.Queue(8)
        self.stopped = threading.Event()

    def run(self, archive: Any) -> None:
        """Extract everything into :attr:`queue`; ``None`` is the end."""
        last: BaseException | None = None
        try:
            archive.extractall(factory=self)
        except BaseException as error:  # noqa: BLE001  # handed to the consumer, whatever it is
            last = error
        self.queue.put(last)

    def create(self, filename: str) -> _Sink:
        """Begin a member; py7zr's factory role."""
        self.queue.put(filename)
        return _Sink(self)


class _Sink:
    """One member's destination, in the shape of py7zr's ``Py7zIO``."""

    def __init__(self, hub: _Hub) -> None:
        self._hub = hub

    def write(self, data: bytes) -> int:
        if self._hub.stopped.is_set():
            raise InterruptedError
        self._hub.queue.put(bytes(data))
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def size(self) -> int:
        return 0


def _pulled(
    events: Iterator[Any], files: dict[str, Member], filename: str
) -> Iterator[tuple[Member, Iterator[Any]]]:
    waiting: list[Any] = []
    left = dict(files)

    def data() -> Iterator[bytes]:
        for event in events:
            if isinstance(event, str):
                waiting.append(event)
                return
            yield event

    name = next(events, None)
    while name is not None:
        member = left.pop(name, None)
        if member is None:
            raise ArchiveError(f"{filename}: member {name!r} is not in the archive's own list")
        chunks = data()
        if member.kind == "l":
            if member.size > _LONGEST_LINK:
                raise ArchiveError(f"{filename}: the link {name!r} has a very long target")
            target = b"".join(chunks).decode("utf-8", "surrogateescape")
            check_link(member.path, target, filename)
            yield Member(member.path, "l", 0o777, 0, target), iter(())
        else:
            yield member, chunks
        for _ in chunks:
            pass
        name = waiting.pop() if waiting else None
    if left:
        raise ArchiveError(f"{filename}: member {min(left)!r} has no data; fetch it again")
