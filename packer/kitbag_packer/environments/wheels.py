"""Looks through a wheel once: its structure, its RECORD against every file, its metadata.

What is refused here would be refused, or worse, on the target: names that leave the environment,
links, encryption, bombs, a RECORD that lies. Whatever the target checks is checked here by its own
code, so that nothing travels in vain. The binary distribution format
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/) says what has to
be there. Nothing is written to disk, and no file is held in memory but the few texts that are read.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from typing import TYPE_CHECKING, BinaryIO

from kitbag_bundles.environments import Wheel
from kitbag_bundles.errors import ArchiveError, BundleError, DigestMismatch, FileSystemError
from kitbag_bundles.members import WHEELS
from kitbag_bundles.names import check_member_name
from kitbag_installer.environments.records import Seen, check_record
from kitbag_installer.environments.wheelrules import (
    check_path,
    check_version,
    data_place,
    metadata_folder,
)
from kitbag_packer.environments.model import WheelFile
from kitbag_packer.environments.wheeltexts import Texts, parse_metadata, parse_scripts
from kitbag_packer.environments.wheelzip import open_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.environments.wheelzip import WheelZip

__all__ = ["INSPECTOR", "inspect_wheel"]

INSPECTOR = 2
"""Grows whenever the same wheel would give another result; part of the key of a memory."""

_CHUNK = 1024 * 1024
_NEEDED = ("METADATA", "WHEEL", "RECORD")


def inspect_wheel(path: Path, filename: str, sha256: str = "") -> WheelFile:
    """Inspect the wheel at ``path``, which travels as ``filename``.

    ``sha256`` is what it has to have in hex; empty where nobody told. The result has no address,
    and is not said to be built. Raises :class:`DigestMismatch` for other bytes,
    :class:`ArchiveError` for a damaged, hostile, lying or misnamed wheel, and
    :class:`FileSystemError` when the file can't be read.
    """
    name, version = _names(filename)
    try:
        with open(path, "rb") as stream:
            size, seen, crc32 = _sums(stream)
            if sha256 and seen != sha256:
                raise DigestMismatch(
                    f"{filename}: has the SHA-256 {seen}, not {sha256} as its lock says; make the "
                    "lock anew if the file is the right one, or ask whoever publishes it"
                )
            with open_wheel(stream, size, filename) as wheel:
                inside = _Inside(wheel, filename)
                found = inside.read()
    except OSError as error:
        if error.errno is None:
            raise ArchiveError(f"{filename}: damaged wheel ({error}); fetch it again") from None
        raise FileSystemError(f"{path}: can't be read ({error.strerror or error})") from error
    metadata = parse_metadata(found.metadata, name, version, filename)
    scripts = parse_scripts(found.entry_points, filename)
    return WheelFile(
        wheel=Wheel(
            filename=filename,
            name=name,
            version=metadata.version,
            size=size,
            sha256=seen,
            url="",
            built=False,
            unpacked_size=wheel.unpacked_size,
            files=len(wheel.files),
            longest_path=max(len(each.encode()) for each in wheel.files),
        ),
        path=path,
        crc32=crc32,
        paths=inside.installed(),
        scripts=tuple(sorted(scripts)),
        requires_python=metadata.requires_python,
        references=tuple(sorted(scripts.items())),
    )


def _names(filename: str) -> tuple[str, str]:
    """Project and version that the name of a wheel tells."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        check_member_name(WHEELS + filename)
        name, version, _, _ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, BundleError) as error:
        raise ArchiveError(
            f"{filename!a}: not the name of a wheel ({error}); it is NAME-VERSION-TAGS.whl"
        ) from None
    return str(name), str(version)


def _sums(stream: BinaryIO) -> tuple[int, str, int]:
    """Size, SHA-256 in hex and CRC-32 of a file."""
    digest, crc32 = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        crc32 = zlib.crc32(chunk, crc32)
    return stream.tell(), digest.hexdigest(), crc32


class _Inside:
    """What is in the zip, as far as it is a wheel."""

    def __init__(self, wheel: WheelZip, filename: str) -> None:
        self._zip = wheel
        self._filename = filename
        self._seen: dict[str, Seen] = {}
        self._info = self._find_info()

    def read(self) -> Texts:
        """Read everything, and hold it against RECORD."""
        points = f"{self._info}/entry_points.txt"
        texts = {f"{self._info}/{name}": b"" for name in _NEEDED}
        texts[points] = b""
        for path in texts.keys() & self._zip.files.keys():
            texts[path] = self._zip.text(path)
        for path, content in self._zip.contents():
            check_path(path, self._filename)
            digest = hashlib.sha256()
            for chunk in content:
                digest.update(chunk)
            if path in texts and digest.digest() != hashlib.sha256(texts[path]).digest():
                raise self._zip.bad("the zip does not mean the same to all who read it")
            size = self._zip.files[path].file_size
            self._seen[path] = Seen(size, digest.digest(), functools.partial(self._digest, path))
        check_version(texts[f"{self._info}/WHEEL"], self._filename)
        record = texts[f"{self._info}/RECORD"]
        check_record(record, self._info, self._seen, self._filename)
        return Texts(texts[f"{self._info}/METADATA"], texts[points])

    def installed(self) -> tuple[tuple[str, str], ...]:
        """The paths with their digests, sorted, as :class:`WheelFile` has them."""
        data = self._info.removesuffix(".dist-info") + ".data"
        found: dict[str, str] = {}
        for member, seen in self._seen.items():
            path, (top, _, below) = member, member.partition("/")
            if top == data:
                scheme, rest = data_place(below, self._filename)
                if scheme in ("purelib", "platlib"):
                    path = rest
            if path in found:
                raise self._zip.bad(f"{path!r} is in it twice, once below {data}")
            found[path] = seen.sha256.hex()
        return tuple(sorted(found.items()))

    def _find_info(self) -> str:
        """The ``.dist-info`` folder, whose name has to be that of the wheel."""
        from packaging.version import InvalidVersion, Version

        name, version = _names(self._filename)
        found = metadata_folder(self._zip.files, name, self._filename)
        said_version = found.removesuffix(".dist-info").rpartition("-")[2]
        try:
            alike = Version(said_version.replace("_", "-")) == Version(version)
        except InvalidVersion:
            alike = False
        if not alike:
            raise self._zip.bad(f"inside it is {found}")
        for needed in _NEEDED:
            if f"{found}/{needed}" not in self._zip.files:
                raise self._zip.bad(f"it has no {found}/{needed}")
        return found

    def _digest(self, path: str, algorithm: str) -> bytes:
        digest = hashlib.new(algorithm)
        for chunk in self._zip.chunks(path):
            digest.update(chunk)
        return digest.digest()
