"""A bundle as its reader sees it: members, manifest and digests that agree with each other.

:meth:`Bundle.open` checks all that must be true before the first byte is written anywhere, without
reading the archives. Those are checked while they are extracted, or all at once by
:meth:`Bundle.verify`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles import contents, manifest, members, sums
from kitbag_bundles.container import Location, open_container
from kitbag_bundles.errors import BundleError, DigestMismatch
from kitbag_bundles.volumes import accused

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from kitbag_bundles.container import Container
    from kitbag_bundles.contents import Entry
    from kitbag_bundles.environments import Wheel
    from kitbag_bundles.manifest import Build, Bytecode, Manifest, Payload
    from kitbag_bundles.reporting import Reporter

MAX_READ = 1 << 26
"""What is read into memory is not larger than 64 MiB."""


@dataclass(frozen=True)
class VerifiedMember:
    """A member whose every byte was read and found right."""

    name: str
    size: int
    sha256: str
    listed: bool
    """Whether ``SHA256SUMS`` vouches for it; else only the bundle's own digest does."""


@dataclass(frozen=True)
class VerifyReport:
    """What :meth:`Bundle.verify` checked."""

    path: str
    size: int
    """Bytes that were read."""
    sha256: str
    """SHA-256 of the one file, as ``sha256sum`` gives it; empty for a folder."""
    members: tuple[VerifiedMember, ...]


class Bundle:
    """An open bundle; a context manager that closes it."""

    def __init__(self, container: Container) -> None:
        """Check ``container``; use :meth:`open` for a path."""
        self._container = container
        self._contents: dict[str, tuple[Entry, ...]] = {}
        self.path = container.path
        self._check_present()
        self._sums = sums.parse(self._read_unchecked(sums.MEMBER))
        self.manifest = self._read_manifest()
        self._check_members()
        for build in self.manifest.builds:
            self._check_build(build)
        for wheel in self.manifest.wheels:
            self._check_size(wheel)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Open the bundle at ``path``: a file, its volumes, or a folder.

        Checks structure, names, ``SHA256SUMS`` against the members both ways, and the manifest
        against both. Raises :class:`UsageError` if nothing is there, :class:`FileSystemError` if it
        cannot be read, :class:`UnsupportedFormat` if a newer kitbag made it, and
        :class:`BundleError` or :class:`DigestMismatch` for everything that is wrong with it.
        """
        with _naming(os.path.abspath(path)):
            container = open_container(path)
            try:
                return cls(container)
            except BaseException:
                container.close()
                raise

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; streams over members stay open."""
        self._container.close()

    @property
    def header_size(self) -> int:
        """Bytes of the shell header; 0 for a plain bundle and for a folder."""
        return self._container.header_size

    @property
    def size(self) -> int:
        """Bytes of the file, or of all files of the folder."""
        return self._container.size

    @property
    def promised(self) -> str:
        """The SHA-256 that the file's own comment promises, in hex; empty for a folder."""
        return self._container.promised

    @property
    def digests(self) -> dict[str, str]:
        """What ``SHA256SUMS`` says: member name to SHA-256 in hex."""
        return dict(self._sums)

    def names(self) -> tuple[str, ...]:
        """The names of all members, in order."""
        return self._container.names()

    def size_of(self, name: str) -> int:
        """The size of a member in bytes."""
        return self._container.size_of(name)

    def read(self, name: str) -> bytes:
        """A small member, checked against ``SHA256SUMS``.

        Raises :class:`DigestMismatch` if the bytes are others, and :class:`BundleError` if there is
        no such member or if it is not a small one.
        """
        expected = self._sums.get(name)
        if expected is None:
            raise BundleError(f"{self.path} has no member {name!r} in {sums.MEMBER}")
        data = self._read_unchecked(name)
        self._check_digest(name, hashlib.sha256(data).hexdigest())
        return data

    def contents(self, build: Build) -> tuple[Entry, ...]:
        """The contents list of a build, checked against ``SHA256SUMS`` and the manifest, once."""
        name = build.contents_member
        if name in self._contents:
            return self._contents[name]
        entries = contents.parse(self.read(name), f"{self.path}: {name}")
        promised = contents.Summary(
            build.unpacked_size, build.files, build.longest_path, build.case_collisions
        )
        counted = contents.summarise(entries)
        if counted != promised:
            raise BundleError(
                f"{self.path}: {name} is not the list that the manifest speaks of:"
                f" it says {promised}, the list has {counted}"
            )
        self._contents[name] = entries
        return entries

    def open_payload(self, build: Build) -> io.BufferedReader:
        """A new stream over the build's archive; its digest is for the caller to check."""
        return self._container.open(build.payload.member)

    def payload_location(self, build: Build) -> Location:
        """Where the build's archive is, for another process."""
        return self._container.location(build.payload.member)

    def accuse_payload(self, build: Build) -> str:
        """Which volumes are to blame if the build's archive is damaged; "" where there are none."""
        return self._container.accuse(build.payload.member)

    def open_wheel(self, wheel: Wheel) -> io.BufferedReader:
        """A new stream over a wheel; its digest is for the caller to check."""
        return self._container.open(wheel.member)

    def wheel_location(self, wheel: Wheel) -> Location:
        """Where a wheel is, for another process."""
        return self._container.location(wheel.member)

    def accuse_wheel(self, wheel: Wheel) -> str:
        """Which volumes are to blame if a wheel is damaged; "" where there are none."""
        return self._container.accuse(wheel.member)

    def installer(self) -> bytes:
        """``kitbag.pyz``, checked against ``SHA256SUMS``."""
        return self.read(members.INSTALLER)

    def verify(self, reporter: Reporter) -> VerifyReport:
        """Check every byte.

        The file's own digest, each member's CRC and SHA-256, and each contents list against the
        manifest. Raises what :meth:`open` raises.
        """
        with reporter.progress(f"verifying {self.path}", self._container.size) as progress:
            verified = self._container.verify(progress)
        for name, digest in verified.members.items():
            if name in self._sums:
                self._check_digest(name, digest)
        for build in self.manifest.builds:
            self.contents(build)
        checked = tuple(
            VerifiedMember(name, self.size_of(name), verified.members[name], name in self._sums)
            for name in self.names()
        )
        return VerifyReport(self.path, self._container.size, verified.sha256, checked)

    def _read_unchecked(self, name: str) -> bytes:
        size = self._container.size_of(name)
        if size > MAX_READ:
            raise BundleError(f"{self.path}: member {name} is larger than {MAX_READ} bytes")
        with self._container.open(name) as stream:
            data = stream.read(size)
        self._container.check(name, data)
        return data

    def _read_manifest(self) -> Manifest:
        data = self.read(members.MANIFEST)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise BundleError(f"{self.path}: {members.MANIFEST} is not UTF-8") from None
        return manifest.parse(text)

    def _check_digest(self, name: str, actual: str) -> None:
        if actual != self._sums[name]:
            error = DigestMismatch(
                f"{self.path}: member {name} does not have the SHA-256 that {sums.MEMBER} gives;"
                " the bundle is damaged, copy it again"
            )
            raise accused(error, self._container.accuse(name))

    def _check_present(self) -> None:
        """What every format must have, so that a newer one can be told from a broken one."""
        for name in (members.MANIFEST, sums.MEMBER):
            if name not in self.names():
                raise BundleError(f"{self.path} is not a kitbag bundle: it has no {name}")

    def _check_members(self) -> None:
        """The members are those of format 1, in order, and exactly those of ``SHA256SUMS``."""
        names = self.names()
        present = set(names)
        for name in members.REQUIRED:
            if name not in present:
                raise BundleError(f"{self.path} has no member {name}")
        used = {build.contents_member for build in self.manifest.builds}
        used.update(build.payload.member for build in self.manifest.builds)
        used.update(wheel.member for wheel in self.manifest.wheels)
        for name in names:
            if name not in used and name not in members.REQUIRED and not members.is_reserved(name):
                raise BundleError(f"{self.path} has a member that does not belong there: {name}")
        if list(names) != members.in_order(names):
            raise BundleError(f"{self.path} has its members in the wrong order")
        listed = set(self._sums)
        wanted = {name for name in names if not sums.is_unlisted(name)}
        for name in sorted(wanted ^ listed):
            problem = "is not in" if name in wanted else "is missing, but is in"
            raise BundleError(f"{self.path}: member {name} {problem} {sums.MEMBER}")

    def _check_build(self, build: Build) -> None:
        parts = (build.payload, *((build.bytecode,) if build.bytecode else ()))
        for name in (build.contents_member, *(part.member for part in parts)):
            if name not in self._sums:
                raise BundleError(f"{self.path}: build {build.key} has no member {name}")
        for part in parts:
            self._check_size(part)

    def _check_size(self, part: Payload | Bytecode | Wheel) -> None:
        if part.member not in self._sums:
            raise BundleError(f"{self.path} has no member {part.member}")
        size = self._container.size_of(part.member)
        if (size, self._sums[part.member]) != (part.size, part.sha256):
            raise BundleError(
                f"{self.path}: {part.member} has another size or SHA-256 than the manifest says"
            )


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let every error name the bundle, also those of parts that do not know where it is."""
    try:
        yield
    except BundleError as error:
        if path in str(error):
            raise
        raise type(error)(f"{path}: {error}") from None
