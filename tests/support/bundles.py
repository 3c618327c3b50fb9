"""Small bundles with real structure: sound ones by the packer, others byte by byte."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles import contents, members, sums, zipformat
from kitbag_bundles.contents import Entry
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import Build, Manifest, Needs, Payload
from kitbag_bundles.reader import ZipContainer
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.sources import MemberSource, bytes_member
from kitbag_packer.writing import assemble, write_bundle, write_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kitbag_packer.writing import WrittenBundle

HEADER = zipformat.HEADER_START + b"exit 0\n".rjust(4096 - len(zipformat.HEADER_START), b"#")
INSTALLER = b"PK\x05\x06" + bytes(18)
"""An empty zip: enough for everything that does not run it."""
LINUX = "cpython-3.13.5-linux-x86_64-gnu"
OLDER = "cpython-3.12.9+freethreaded-linux-x86_64_v3-musl"


class PackedBuild(NamedTuple):
    """What the packer knows of one build."""

    build: Build
    contents: bytes
    source: MemberSource


def packed_build(key: str = LINUX, archive: bytes = b"not an archive at all") -> PackedBuild:
    """A build whose archive is any bytes; its contents list speaks of two files."""
    parsed = BuildKey.parse(key)
    text = b"#!/bin/sh\n"
    digest = hashlib.sha256(text).hexdigest()
    entries = [
        Entry("bin", "d", 0o755, 0, "", ""),
        Entry("bin/python", "f", 0o755, len(text), digest, ""),
        Entry("bin/Python", "l", 0o777, 0, "", "python"),
    ]
    member = f"archives/{parsed.implementation}-{parsed.version}+20260101-{parsed.target}.tar.gz"
    source = bytes_member(member, archive)
    build = Build(
        parsed,
        parsed.implementation,
        str(parsed.version),
        "20260101",
        "install_only_stripped",
        f"https://example.org/{member}",
        *contents.summarise(entries),
        Payload("verbatim", member, "python", source.size, source.sha256, ""),
        Needs("/lib64/ld-linux-x86-64.so.2", "2.17", (), "x86-64", ""),
    )
    return PackedBuild(build, contents.render(entries), source)


def bundle_members(
    builds: Sequence[PackedBuild] = (),
    *,
    installer: bytes = INSTALLER,
    extra: Mapping[str, bytes] | None = None,
) -> tuple[MemberSource, ...]:
    """All members of a sound bundle."""
    manifest = Manifest(1, (), "edge-tools", "2026.11", "0.1.0", tuple(b.build for b in builds))
    return assemble(
        manifest,
        {str(each.build.key): each.contents for each in builds},
        [each.source for each in builds],
        installer,
        [bytes_member(name, data) for name, data in (extra or {}).items()],
    )


def small_members() -> tuple[MemberSource, ...]:
    """Two builds and one reserved member."""
    builds = (packed_build(), packed_build(OLDER, b"\x00\xff" * 300))
    return bundle_members(builds, extra={"licenses/python.txt": b"free\n"})


def small_bundle(path: Path, *, header: bytes = HEADER) -> WrittenBundle:
    """A bundle of :func:`small_members` in one file."""
    return write_bundle(path, small_members(), header=header, reporter=SilentReporter())


def small_directory(path: Path) -> WrittenBundle:
    """A bundle of :func:`small_members` as a folder."""
    return write_directory(path, small_members(), reporter=SilentReporter())


def small_files() -> dict[str, bytes]:
    """The members of :func:`small_members` as bytes."""
    return {member.name: member.open().read() for member in small_members()}


def with_sums(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """``files`` with a ``SHA256SUMS`` that is right for them, in the fixed order."""
    digests = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if not sums.is_unlisted(name)
    }
    result = {**files, sums.MEMBER: sums.render(digests)}
    return {name: result[name] for name in members.in_order(result)}


def raw_bundle(
    files: Mapping[str, bytes] | Sequence[tuple[str, bytes]], header: bytes = b""
) -> bytes:
    """A file with the right structure and digest over any members in any order."""
    data, directory, count = header, b"", 0
    for name, content in files.items() if hasattr(files, "items") else files:
        record = zipformat.Record(
            name,
            len(content),
            zlib.crc32(content),
            len(data),
            members.is_aligned(name),
            members.is_executable(name),
        )
        data += zipformat.local_header(record) + content
        directory += zipformat.central_header(record)
        count += 1
    end = zipformat.end_records(count, len(data), len(directory), zipformat.COMMENT_SIZE)
    return seal(data + directory + end)


def seal(before_comment: bytes) -> bytes:
    """A file of these bytes with the comment that vouches for them."""
    digest = hashlib.sha256(before_comment).hexdigest()
    return before_comment + zipformat.COMMENT_START + digest.encode("ascii")


def reseal(data: bytes) -> bytes:
    """A changed bundle with its comment made right again."""
    return seal(data[: -zipformat.COMMENT_SIZE])


def structure_offsets(path: Path) -> list[int]:
    """Where something begins or ends in a bundle: headers, data, directory, end record."""
    container = ZipContainer(str(path))
    container.close()
    size = path.stat().st_size
    offsets = {0, size, size - zipformat.COMMENT_SIZE, size - zipformat.COMMENT_SIZE - 22}
    for record in container.records:
        start = zipformat.data_offset(record)
        offsets |= {record.offset, start, start + record.size}
    return sorted(offsets)
