"""Unpacks one wheel into a tree that becomes an environment: checked, and with its own RECORD.

Nothing is unpacked twice and nothing is read twice: a file is hashed while it is written, and the
wheel while it is read. What is written before the wheel's digest is known lies in a scratch tree,
which is thrown away if that is another one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.errors import ArchiveError, DigestMismatch, file_system_error
from kitbag_bundles.volumes import accused
from kitbag_installer.environments.archives import BLOCK, WheelStream, digest_of, read_directory
from kitbag_installer.environments.modes import plain_modes
from kitbag_installer.environments.records import Seen, check_record, render_record
from kitbag_installer.environments.scripts import entry_points, entry_script, placed_script
from kitbag_installer.environments.wheelrules import (
    broken,
    check_path,
    check_tree,
    check_version,
    data_place,
    metadata_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Wheel
    from kitbag_bundles.reporting import Progress
    from kitbag_installer.environments.archives import Member
    from kitbag_installer.environments.layout import Layout

INSTALLER = b"kitbag\n"
_OWN = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What an install writes; in a wheel only the first is read, and none is unpacked."""
_LARGEST_TEXT = 1 << 26
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Unpacked(NamedTuple):
    """What one wheel put into the tree, as plain values: they cross to another process."""

    filename: str
    files: list[tuple[str, int, int, str, bool]]
    """Path in the environment, mode, size, SHA-256 in hex; and whether it is the file that is
    there now, and not one that another wheel had put there."""
    programs: list[str]
    """File names of its programs."""
    placed: list[str]
    """Paths of the files in which the place of the environment stands."""


def unpack_wheels(
    bundle: Bundle,
    wheels: Sequence[Wheel],
    tree: str,
    layout: Layout,
    home: str,
    progress: Progress,
) -> list[Any]:
    """Unpack ``wheels`` into ``tree``, which will be at ``home``; returns :class:`Unpacked` each.

    Raises :class:`DigestMismatch`, :class:`ArchiveError` and :class:`FileSystemError`.
    """
    found = []
    try:
        with plain_modes():
            for wheel in wheels:
                python = os.path.join(home, layout.python)
                with _accusing(bundle, wheel), bundle.open_wheel(wheel) as stream:
                    try:
                        unpacker = _Unpacker(wheel, tree, layout, python)
                        found.append(tuple(unpacker.run(stream, progress)))
                    except ArchiveError:
                        if digest_of(stream) != wheel.sha256:
                            raise _damaged(wheel) from None
                        raise
    except OSError as error:
        raise file_system_error(error, tree) from None
    return found


class _Unpacker:
    def __init__(self, wheel: Wheel, tree: str, layout: Layout, python: str) -> None:
        self._wheel = wheel
        self._tree = tree
        self._layout = layout
        self._python = python
        self._folders: set[str] = {""}
        self._files: list[tuple[str, int, int, str, bool]] = []
        self._programs: list[str] = []
        self._placed: list[str] = []

    def run(self, stream: Any, progress: Progress) -> Unpacked:
        wheel = self._wheel
        members = read_directory(stream, wheel.size, wheel.filename)
        if (len(members), sum(each.size for each in members)) != (wheel.files, wheel.unpacked_size):
            raise broken(wheel.filename, "has other files than the manifest of the bundle says")
        paths = [each.path for each in members]
        check_tree(paths, wheel.filename)
        info = metadata_folder(paths, wheel.name, wheel.filename)
        data = info[: -len(".dist-info")] + ".data/"
        texts = {f"{info}/{name}": b"" for name in (*_OWN, "WHEEL", "entry_points.txt")}
        seen: dict[str, Seen] = {}
        source = WheelStream(stream, wheel.size, wheel.filename, progress.advance)
        for member in members:
            path = member.path
            check_path(path, wheel.filename, windows=self._layout.windows)
            content = source.content(member)
            if path in texts:
                if member.size > _LARGEST_TEXT:
                    raise broken(wheel.filename, f"has a {path} of {member.size} bytes")
                texts[path] = b"".join(content)
                content = iter([texts[path]])
            if path.startswith(data):
                seen[path] = self._write_data(member, path[len(data) :], content)
            elif path.startswith(f"{info}/") and path[len(info) + 1 :] in _OWN:
                seen[path] = _seen(texts[path])
            else:
                mode = 0o755 if member.executable else 0o644
                seen[path] = self._write(f"{self._layout.site}/{path}", mode, content)
        if source.finish() != wheel.sha256:
            raise _damaged(wheel)
        check_version(texts[f"{info}/WHEEL"], wheel.filename)
        check_record(texts[f"{info}/RECORD"], info, seen, wheel.filename)
        self._add_programs(texts[f"{info}/entry_points.txt"])
        self._add_records(info)
        return Unpacked(wheel.filename, self._files, self._programs, self._placed)

    def _write_data(self, member: Member, path: str, content: Iterator[Any]) -> Seen:
        """A file of ``.data``; returns what it is in the wheel."""
        scheme, rest = data_place(path, self._wheel.filename)
        place = self._layout.place(scheme, self._wheel.name, rest)
        if scheme != "scripts":
            return self._write(place, 0o755 if member.executable else 0o644, content)
        data = b"".join(content)
        script = placed_script(data, self._python, windows=self._layout.windows)
        self._write(place, 0o755, iter([script]))
        self._note_program(place, moved=script is not data)
        return _seen(data)

    def _write(self, place: str, mode: int, content: Iterator[Any]) -> Seen:
        """Write a file; returns what it is. One that is there already stays."""
        digest = hashlib.sha256()
        size = 0
        folder = place.rpartition("/")[0]
        if folder not in self._folders:
            self._make_folder(folder)
        try:
            handle = os.open(f"{self._tree}/{place}", _FLAGS, mode)
        except FileExistsError:
            handle = -1
        try:
            for piece in content:
                digest.update(piece)
                size += len(piece)
                if handle >= 0:
                    written = os.write(handle, piece)
                    while written < len(piece):
                        written += os.write(handle, piece[written:])
        finally:
            if handle >= 0:
                os.close(handle)
        self._files.append((place, mode, size, digest.hexdigest(), handle >= 0))
        return Seen(size, digest.digest(), functools.partial(self._digest, place))

    def _make_folder(self, folder: str) -> None:
        above = folder.rpartition("/")[0]
        if above not in self._folders:
            self._make_folder(above)
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{self._tree}/{folder}", 0o755)
        self._folders.add(folder)

    def _digest(self, place: str, algorithm: str) -> bytes:
        digest = hashlib.new(algorithm)
        with open(f"{self._tree}/{place}", "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.digest()

    def _add_programs(self, data: bytes) -> None:
        layout = self._layout
        for point in entry_points(data, self._wheel.filename):
            name, script = entry_script(point, self._python, windows=layout.windows)
            place = f"{layout.programs}/{name}"
            self._take_back(place)
            self._write(place, 0o755, iter([script]))
            self._note_program(place, moved=not layout.windows)

    def _take_back(self, place: str) -> None:
        """Let a script that this wheel has put there give way to the entry point of its name.

        pip and uv do so too: builders once added such scripts of their own.
        """
        if place.rpartition("/")[2] not in self._programs:
            return
        mine = [file for file in self._files if file[0] == place]
        if any(fresh for *_, fresh in mine):
            os.unlink(f"{self._tree}/{place}")
        self._files = [file for file in self._files if file[0] != place]
        self._programs.remove(place.rpartition("/")[2])
        self._placed = [path for path in self._placed if path != place]

    def _note_program(self, place: str, *, moved: bool) -> None:
        self._programs.append(place.rpartition("/")[2])
        if moved:
            self._placed.append(place)

    def _add_records(self, info: str) -> None:
        """What an installer leaves: who it was, that this was asked for and where it comes from if
        that is no index, and the list of files.
        """
        site = self._layout.site
        folder = f"{site}/{info}"
        self._write(f"{folder}/INSTALLER", 0o644, iter([INSTALLER]))
        self._write(f"{folder}/REQUESTED", 0o644, iter([b""]))
        if self._wheel.direct_url:
            origin = self._wheel.direct_url.encode("utf-8")
            self._write(f"{folder}/direct_url.json", 0o644, iter([origin]))
        up = "../" * (site.count("/") + 1)
        cut = len(site) + 1
        lines = [
            (path[cut:] if path.startswith(f"{site}/") else up + path, bytes.fromhex(digest), size)
            for path, _, size, digest, _ in self._files
        ]
        text = render_record(lines, f"{info}/RECORD")
        self._write(f"{folder}/RECORD", 0o644, iter([text]))


def _seen(data: bytes) -> Seen:
    return Seen(
        len(data),
        hashlib.sha256(data).digest(),
        lambda algorithm: hashlib.new(algorithm, data).digest(),
    )


def _damaged(wheel: Wheel) -> DigestMismatch:
    return DigestMismatch(
        f"{wheel.filename}: its sha256 is not {wheel.sha256}; the bundle is damaged, copy it again"
    )


@contextlib.contextmanager
def _accusing(bundle: Bundle, wheel: Wheel) -> Iterator[None]:
    """Let an error about the wheel's bytes name the volumes that they are in."""
    try:
        yield
    except DigestMismatch as error:
        raise accused(error, bundle.accuse_wheel(wheel)) from None
