"""Bundles in a ``.7z`` that py7zr must read or write: encrypted ones, and compressed ones to read.

Encryption is that of 7-Zip: AES-256 with a key from the password, and the names are encrypted too.
Bytes go through in pieces, one way, so a bundle that is sealed can't be read in place. Nothing in
such a file is trusted: not its names, not its sizes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from kitbag_bundles import zipformat
from kitbag_bundles.errors import BundleError, FileSystemError, KitbagError, UsageError
from kitbag_bundles.sevenzip import ENCRYPTED, look
from kitbag_bundles.volumes import Volumes
from kitbag_packer.safefiles import clear_errors, flush, flush_folder
from kitbag_packer.sevenzip import PARTIAL, SevenZipOutput, check_place, member_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_packer.sources import MemberSource
    from kitbag_packer.writing import Placed, WrittenBundle

_BUNDLES_BEGIN = (zipformat.HEADER_START, b"PK\x03\x04")
_FRAME_AND_HEADER = 4096


class Sealed:
    """The one member of a ``.7z`` that is encrypted or compressed; a context manager."""

    def __init__(self, volumes: Volumes, password: str | None) -> None:
        """Read the header.

        Raises :class:`UsageError` where a password is missing or wrong, :class:`BundleError` for
        anything that is not one file.
        """
        self.path = volumes.path
        self.encrypted = look(volumes).kind == ENCRYPTED
        if self.encrypted and not password:
            raise UsageError(
                f"{self.path} is encrypted; give its password with --password-file FILE"
            )
        self._stream = io.BufferedReader(volumes.open(), 1 << 20)
        self._started = False
        try:
            self._archive: Any = self._open(password if self.encrypted else None)
            self._name = self._only_member()
        except Exception as error:  # noqa: BLE001  # see there
            self._stream.close()
            self._refuse(error)

    def __enter__(self) -> Sealed:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(Exception):
            self._archive.close()
        self._stream.close()

    def unpack(self, write: Callable[[bytes], object]) -> None:
        """Give every byte of the member to ``write``, in order and in pieces.

        Raises :class:`BundleError` if they are not what the header says of them, and
        :class:`UsageError` for what is no bundle at all, as after a wrong password.
        """
        sink = _Sink(write, self.size)
        try:
            self._archive.extract(targets=[self._name], factory=_Factory(sink))
        except Exception as error:  # noqa: BLE001  # see there
            if sink.failure is not None:
                raise sink.failure from None
            self._started = sink.count > 0
            self._refuse(error)
        if sink.count != self.size:
            raise BundleError(f"{self.path} is damaged: its member is cut; copy it again")

    def _open(self, password: str | None) -> Any:
        import py7zr

        return py7zr.SevenZipFile(self._stream, "r", password=password)

    def _only_member(self) -> str:
        files = list(self._archive.files)
        if len(files) != 1 or files[0].is_directory or files[0].is_symlink:
            raise BundleError(
                f"{self.path} holds something else than one bundle; unpack it with 7-Zip: 7z x FILE"
            )
        self.size = int(files[0].uncompressed or 0)
        return str(files[0].filename)

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise what a person can use; on damage py7zr and its decoders raise anything."""
        if isinstance(error, KitbagError):
            raise error
        if isinstance(error, OSError) and error.errno is not None:
            raise FileSystemError(f"cannot read {self.path}: {error.strerror}") from None
        if isinstance(error, MemoryError) or "Memory" in type(error).__name__:
            raise BundleError(f"{self.path} needs more memory than there is to unpack") from None
        if isinstance(error, _NoBundle) or (self.encrypted and not self._started):
            if self.encrypted:
                raise UsageError(
                    f"the password for {self.path} is wrong, or the file is damaged"
                ) from None
            raise BundleError(
                f"{self.path} does not hold a kitbag bundle; unpack it with 7-Zip: 7z x FILE"
            ) from None
        what = type(error).__name__
        raise BundleError(f"{self.path} is damaged ({what}); copy it again") from None


def seal(bundle: Volumes, target: str, password: str, progress: Progress) -> str:
    """Write a bundle's bytes into an encrypted ``.7z`` and read it back.

    ``progress`` advances by twice the bundle's size. Returns the SHA-256 of the bundle. Raises
    :class:`FileSystemError`, and :class:`UsageError` for a place that will not do.
    """
    import py7zr

    name = member_name(bundle)
    check_place(target, bundle.size + _FRAME_AND_HEADER)
    partial = target + PARTIAL
    filters = [{"id": py7zr.FILTER_COPY}, {"id": py7zr.FILTER_CRYPTO_AES256_SHA256}]
    try:
        with open(partial, "xb") as output, _Hashed(bundle, progress) as source:
            with py7zr.SevenZipFile(
                output, "w", filters=filters, password=password, header_encryption=True
            ) as archive:
                archive.writef(source, name)
            output.flush()
            flush(output)
            sha256 = source.digest.hexdigest()
        back = hashlib.sha256()

        def check(data: bytes) -> None:
            back.update(data)
            progress.advance(len(data))

        with Sealed(Volumes.of_file(partial), password) as sealed:
            sealed.unpack(check)
        if back.hexdigest() != sha256:
            raise FileSystemError(
                f"{target} does not read back as it was written; the drive is failing"
            )
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    flush_folder(os.path.dirname(target))
    return sha256


def write_sevenzip(
    destination: Path,
    members: Sequence[MemberSource],
    header: bytes | Callable[[tuple[Placed, ...]], bytes],
    password: str,
    scratch: Path,
    reporter: Reporter,
) -> WrittenBundle:
    """Write members as a bundle in a ``.7z``, encrypted with ``password`` unless that is empty.

    An encrypted one needs the room of a plain one in the folder ``scratch``, which must be private.
    Size and SHA-256 of what is returned are the bundle's. Raises what
    :func:`kitbag_packer.writing.write_bundle` raises.
    """
    from kitbag_packer.writing import write_bundle

    if not password:
        return write_bundle(
            destination, members, header=header, output=SevenZipOutput, reporter=reporter
        )
    target = os.path.abspath(destination)
    plain = write_bundle(scratch / "bundle", members, header=header, reporter=reporter)
    try:
        label = f"encrypting {target}"
        with clear_errors(target), reporter.progress(label, 2 * plain.size) as progress:
            seal(Volumes.of_file(plain.path), target, password, progress)
    finally:
        os.unlink(plain.path)
    return replace(plain, path=target)


class _Hashed(io.BufferedReader):
    """A bundle's bytes in order, digested on their way."""

    def __init__(self, bundle: Volumes, progress: Progress) -> None:
        super().__init__(bundle.open(), 1 << 20)
        self.digest = hashlib.sha256()
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.digest.update(data)
        self._progress.advance(len(data))
        return data


class _NoBundle(Exception):
    """The bytes do not begin as a bundle does."""


class _Factory:
    """py7zr's factory role: the same destination whatever the name."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink

    def create(self, filename: str) -> _Sink:
        return self._sink


class _Sink:
    """The member's destination, in the shape of py7zr's ``Py7zIO``."""

    def __init__(self, write: Callable[[bytes], object], size: int) -> None:
        self._write = write
        self._most = size
        self.count = 0
        self.failure: BaseException | None = None
        """What went wrong where the bytes go, and not where they come from."""

    def write(self, data: bytes) -> int:
        """Pass on, after a look at how it begins."""
        if not self.count and not bytes(data[:16]).startswith(_BUNDLES_BEGIN):
            raise _NoBundle
        if self.count + len(data) > self._most:
            raise ValueError("more than the header says")
        self.count += len(data)
        try:
            self._write(data)
        except BaseException as error:
            self.failure = error
            raise
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        """Nothing; it is asked for none."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Nowhere."""
        return 0

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to close."""

    def size(self) -> int:
        """What py7zr never asks while it writes."""
        return 0
