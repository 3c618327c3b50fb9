"""Looks through a wheel once: its structure, its RECORD against every file, its metadata.

What is refused here would be refused, or worse, on the target: names that leave the environment,
links, encryption, bombs, a RECORD that lies. The binary distribution format
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/) says what has to
be there. Nothing is written to disk, and no file is held in memory but the few texts that are read.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, BinaryIO

from kitbag_bundles.environments import Wheel
from kitbag_bundles.errors import ArchiveError, BundleError, DigestMismatch, FileSystemError
from kitbag_bundles.members import WHEELS
from kitbag_bundles.names import check_member_name
from kitbag_packer.environments.model import WheelFile
from kitbag_packer.environments.wheeltexts import (
    Texts,
    check_wheel_version,
    parse_metadata,
    parse_record,
    parse_scripts,
)
from kitbag_packer.environments.wheelzip import open_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_packer.environments.wheeltexts import Recorded
    from kitbag_packer.environments.wheelzip import WheelZip

__all__ = ["INSPECTOR", "inspect_wheel"]

INSPECTOR = 1
"""Grows whenever the same wheel would give another result; part of the key of a memory."""

_CHUNK = 1024 * 1024
_SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
_UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")


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
        self._digests: dict[str, str] = {}
        self._info = self._find_info()

    def read(self) -> Texts:
        """Read everything, and hold it against RECORD."""
        record = f"{self._info}/RECORD"
        lines = parse_record(self._zip.text(record), self._filename)
        for path in sorted(lines.keys() - self._zip.files.keys()):
            raise self._zip.bad(f"RECORD names {path!r}, which is not there")
        for path in self._zip.files:
            folder, _, name = path.rpartition("/")
            said = lines.get(path)
            if folder == self._info and name in _UNSIGNED:
                said = None
            elif said is None:
                raise self._zip.bad(f"RECORD does not name {path!r}")
            self._digests[path] = self._digest(path, said)
        check_wheel_version(self._zip.text(f"{self._info}/WHEEL"), self._filename)
        points = f"{self._info}/entry_points.txt"
        return Texts(
            metadata=self._zip.text(f"{self._info}/METADATA"),
            entry_points=self._zip.text(points) if points in self._zip.files else b"",
        )

    def installed(self) -> tuple[tuple[str, str], ...]:
        """The paths with their digests, sorted, as :class:`WheelFile` has them."""
        data = self._info.removesuffix(".dist-info") + ".data"
        found: dict[str, str] = {}
        for member, digest in self._digests.items():
            path, parts = member, member.split("/", 2)
            if parts[0] == data:
                if len(parts) < 3 or parts[1] not in _SCHEMES:
                    raise self._zip.bad(f"{path!r} is for no place that wheels know")
                if parts[1] in ("purelib", "platlib"):
                    path = parts[2]
            if path in found:
                raise self._zip.bad(f"{path!r} is in it twice, once below {data}")
            found[path] = digest
        return tuple(sorted(found.items()))

    def _find_info(self) -> str:
        """The ``.dist-info`` folder, whose name has to be that of the wheel."""
        from packaging.utils import canonicalize_name
        from packaging.version import InvalidVersion, Version

        tops = {path.partition("/")[0] for path in self._zip.files if "/" in path}
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) != 1:
            raise self._zip.bad(f"it has {len(found)} .dist-info folders, not one")
        name, version = _names(self._filename)
        said, _, said_version = found[0].removesuffix(".dist-info").rpartition("-")
        try:
            alike = Version(said_version.replace("_", "-")) == Version(version)
        except InvalidVersion:
            alike = False
        if canonicalize_name(said) != name or not alike:
            raise self._zip.bad(f"inside it is {found[0]}")
        for needed in ("METADATA", "WHEEL", "RECORD"):
            if f"{found[0]}/{needed}" not in self._zip.files:
                raise self._zip.bad(f"it has no {found[0]}/{needed}")
        return found[0]

    def _digest(self, path: str, said: Recorded | None) -> str:
        """SHA-256 of a file in hex, after it was held against its line in RECORD."""
        digest = hashlib.sha256()
        other = hashlib.new(said.algorithm) if said and said.algorithm != "sha256" else None
        for chunk in self._zip.chunks(path):
            digest.update(chunk)
            if other is not None:
                other.update(chunk)
        size = self._zip.files[path].file_size
        if said is not None:
            if (other or digest).digest() != said.digest:
                raise self._zip.bad(f"{path!r} does not have the digest that RECORD says")
            if said.size not in (None, size):
                raise self._zip.bad(f"{path!r} has {size} bytes, and RECORD says {said.size}")
        return digest.hexdigest()
