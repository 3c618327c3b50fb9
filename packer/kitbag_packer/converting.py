"""The same bundle in another form: one file, a folder, a ``.7z``; checked on the way.

From file to file it is the same bytes, and so the same digest. A folder has no shell header, so one
is made anew for a file; with the same version of kitbag it is the one that ``pack`` would make.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import BundleError, DigestMismatch, FileSystemError, UsageError
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.sevenzip import ENCRYPTED, STORED, Inner, is_sevenzip, look
from kitbag_bundles.volumes import Volumes
from kitbag_packer.safefiles import clear_errors
from kitbag_packer.sealing import Sealed, seal
from kitbag_packer.sevenzip import SevenZipOutput
from kitbag_packer.sources import MemberSource, bytes_member, file_member
from kitbag_packer.volumes.copying import chunks_of
from kitbag_packer.volumes.outputs import open_output
from kitbag_packer.writing import write_bundle, write_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.volumes.outputs import Output

KITBAG, SEVENZIP, DIRECTORY = "kitbag", "7z", "dir"
FORMS = (KITBAG, SEVENZIP, DIRECTORY)


@dataclass(frozen=True)
class Target:
    """What is to be written."""

    path: str
    """Absolute."""
    form: str
    """One of :data:`FORMS`."""
    encrypt: bool = False
    plain: bool = False
    """Without a shell header, where one would have to be made."""


@dataclass(frozen=True)
class Converted:
    """A bundle that was written in another form."""

    path: str
    form: str
    size: int
    """Bytes of the bundle."""
    sha256: str
    """Of the bundle, as ``sha256sum`` gives it of its plain file; empty for a folder."""


def convert(
    source: Path, target: Target, ask: Callable[[str], str], reporter: Reporter
) -> Converted:
    """Write the bundle at ``source`` in the form of ``target``, and read it back.

    ``ask`` gives the password for a file whose path it gets, for one that is encrypted or shall be.
    Raises :class:`UsageError` for what can't be done in one step or has no password,
    :class:`BundleError` for a damaged source, :class:`FileSystemError` and :class:`DigestMismatch`
    if the drive refuses or loses bytes. After any error nothing new is left.
    """
    path = os.path.abspath(source)
    _check_apart(path, target)
    volumes = _volumes_of(path)
    if volumes is None:
        return _from_folder(path, target, reporter)
    if not is_sevenzip(volumes):
        return _from_file(volumes, target, ask, reporter)
    found = look(volumes)
    if found.kind == STORED:
        return _from_file(Inner(volumes, found.offset, found.size), target, ask, reporter)
    return _from_sealed(volumes, target, ask, reporter)


def is_encrypted(source: Path) -> bool:
    """Whether the bundle at ``source`` needs a password; raises as :func:`convert` does."""
    volumes = _volumes_of(os.path.abspath(source))
    return volumes is not None and is_sevenzip(volumes) and look(volumes).kind == ENCRYPTED


def _volumes_of(path: str) -> Volumes | None:
    """The file or files at ``path``; ``None`` for a folder."""
    from kitbag_bundles.volumesets import find

    try:
        volumes = find(path)
        if volumes is None and not os.path.isdir(path):
            volumes = Volumes.of_file(path)
    except FileNotFoundError:
        raise UsageError(f"there is no bundle at {path}; check the path") from None
    except OSError as error:
        raise FileSystemError(f"cannot read {path}: {error.strerror}") from None
    return volumes


def _from_file(
    volumes: Volumes, target: Target, ask: Callable[[str], str], reporter: Reporter
) -> Converted:
    if target.form == DIRECTORY:
        with closing(ZipContainer(volumes)) as container:
            members = _members(container)
            written = write_directory(_as_path(target.path), members, reporter=reporter)
        return Converted(target.path, DIRECTORY, written.size, "")
    if target.encrypt:
        password = ask(target.path)
        with closing(ZipContainer(volumes)) as container:
            label = f"verifying {volumes.path}"
            with reporter.progress(label, container.size) as progress:
                container.verify(progress)
        with (
            clear_errors(target.path),
            reporter.progress(f"writing {target.path}", 2 * volumes.size) as progress,
        ):
            sha256 = seal(volumes, target.path, password, progress)
        return Converted(target.path, SEVENZIP, volumes.size, sha256)

    def fill(write: Callable[[bytes | memoryview], object]) -> None:
        for chunk in chunks_of(volumes):
            write(chunk)

    return _copied(volumes.path, volumes.size, fill, target, reporter)


def _from_sealed(
    volumes: Volumes, target: Target, ask: Callable[[str], str], reporter: Reporter
) -> Converted:
    if target.form == DIRECTORY or target.encrypt:
        raise UsageError(
            f"{volumes.path} is encrypted or compressed; convert it to one plain file first, such "
            "as tools.kitbag, and that one again"
        )
    password = ask(volumes.path) if look(volumes).kind == ENCRYPTED else None
    with Sealed(volumes, password) as sealed:
        return _copied(volumes.path, sealed.size, sealed.unpack, target, reporter)


def _copied(
    source: str,
    size: int,
    fill: Callable[[Callable[[bytes | memoryview], object]], None],
    target: Target,
    reporter: Reporter,
) -> Converted:
    """Let ``fill`` write the bundle's bytes, and read them back from the drive."""
    with clear_errors(target.path):
        opened = _open(target, size)
    bar = reporter.progress(f"writing {target.path}", 2 * size)
    with clear_errors(target.path), bar as progress, opened as output:
        whole = hashlib.sha256()

        def write(data: bytes | memoryview) -> None:
            whole.update(data)
            output.write(data)
            progress.advance(len(data))

        fill(write)
        try:
            with closing(ZipContainer(output.finish())) as container:
                sha256 = container.verify(progress).sha256
        except BundleError:
            raise BundleError(
                f"{source} does not hold a sound bundle of kitbag; copy it again, or see what "
                "kitbag verify tells of it"
            ) from None
        if sha256 != whole.hexdigest():
            raise DigestMismatch(
                f"{target.path} was written, but other bytes came back from the drive, and nothing "
                "was kept: the drive or this machine's memory is failing; use another"
            )
        output.commit(sha256)
    return Converted(target.path, target.form, size, sha256)


def _open(target: Target, size: int) -> Output:
    return (
        SevenZipOutput(target.path, size)
        if target.form == SEVENZIP
        else open_output(target.path, size)
    )


def _from_folder(path: str, target: Target, reporter: Reporter) -> Converted:
    from kitbag_packer.header.script import bundle_header

    if target.encrypt:
        raise UsageError(
            f"{path} is a directory; convert it to one file first, such as tools.kitbag, and that "
            "one to an encrypted .7z"
        )
    with Bundle.open(path) as bundle:
        manifest = bundle.manifest
        lists = {str(build.key): bundle.read(build.contents_member) for build in manifest.builds}
        digests = bundle.digests
        members = [
            file_member(name, os.path.join(path, *name.split("/")), sha256=digests.get(name))
            for name in bundle.names()
        ]
    if target.form == DIRECTORY:
        written = write_directory(_as_path(target.path), members, reporter=reporter)
    else:
        written = write_bundle(
            _as_path(target.path),
            members,
            header=b"" if target.plain else bundle_header(manifest, lists),
            output=SevenZipOutput if target.form == SEVENZIP else None,
            reporter=reporter,
        )
    return Converted(target.path, target.form, written.size, written.sha256)


def _members(container: ZipContainer) -> Sequence[MemberSource]:
    """The members of a bundle file, to be written as files."""
    bundle = Bundle(container)
    digests = bundle.digests
    members = []
    for record in container.records:
        name = record.name
        if name not in digests:
            # The sums and their signatures are small, and nobody lists them.
            with container.open(name) as stream:
                members.append(bytes_member(name, stream.read()))
            continue
        members.append(
            MemberSource(
                name,
                record.size,
                record.crc32,
                digests[name],
                f"{container.path}: {name}",
                lambda name=name: container.open(name),  # type: ignore[misc]
            )
        )
    return members


def _check_apart(path: str, target: Target) -> None:
    if os.path.realpath(path) == os.path.realpath(target.path):
        raise UsageError(f"{path} cannot be converted into itself; name another file")


def _as_path(path: str) -> Path:
    from pathlib import Path

    return Path(path)
