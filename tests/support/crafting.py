"""Bundles of tiny builds that install, and ones that only an install can find wrong."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING

from kitbag_bundles import contents
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import VERBATIM, Build, Payload
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.hosts import this_host
from kitbag_packer.inspection import inspect_archive
from kitbag_packer.pyz import build_installer
from kitbag_packer.sources import bytes_member
from kitbag_packer.writing import write_bundle

from .bundles import PackedBuild, bundle_members, raw_bundle
from .tiny import make_tiny_archive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

VERSION = "3.13.5"

installer = functools.cache(build_installer)


def host_key(version: str = VERSION) -> str:
    """The key of a tiny build for this machine."""
    host = this_host()
    return f"cpython-{version}-{host.os}-{host.arch}-{host.libc}"


def inspected(archive: Path, key: str) -> PackedBuild:
    """What the packer finds out about ``archive``, which is said to be ``key``."""
    parsed = BuildKey.parse(key)
    found = inspect_archive(archive, key=parsed, reporter=SilentReporter())
    member = f"archives/{archive.name}"
    source = bytes_member(member, archive.read_bytes())
    build = Build(
        key=parsed,
        implementation=parsed.implementation,
        version=str(parsed.version),
        release=found.release,
        flavor=found.flavor,
        url="",
        unpacked_size=found.unpacked_size,
        files=found.files,
        longest_path=found.longest_path,
        case_collisions=found.case_collisions,
        payload=Payload(VERBATIM, member, found.top, source.size, source.sha256, found.tar_sha256),
        needs=found.needs,
    )
    return PackedBuild(build, contents.render(found.entries), source)


def with_archive(packed: PackedBuild, archive: bytes, suffix: str = ".tar.gz") -> PackedBuild:
    """The same build and list with another archive, whose digest the manifest gives rightly."""
    stem = packed.source.name.removesuffix(".tar.gz")
    source = bytes_member(f"{stem}{suffix}", archive)
    payload = dataclasses.replace(
        packed.build.payload, member=source.name, size=source.size, sha256=source.sha256
    )
    build = dataclasses.replace(packed.build, payload=payload)
    return PackedBuild(build, packed.contents, source)


def with_list(packed: PackedBuild, entries: Sequence[contents.Entry]) -> PackedBuild:
    """The same archive with another contents list, which the manifest sums up rightly."""
    summary = contents.summarise(entries)
    build = dataclasses.replace(packed.build, **summary._asdict())
    return PackedBuild(build, contents.render(entries), packed.source)


def entries_of(packed: PackedBuild) -> list[contents.Entry]:
    """The contents list as data."""
    return list(contents.parse(packed.contents, "contents"))


def write(path: Path, *builds: PackedBuild) -> Path:
    """Write a bundle of ``builds`` with the real installer in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = bundle_members(builds, installer=installer())
    write_bundle(path, members, reporter=SilentReporter())
    return path


def tiny_build(folder: Path, version: str = VERSION, key: str = "", **shape: object) -> PackedBuild:
    """The tiny build, made in ``folder``; for this machine unless ``key`` says otherwise."""
    key = key or host_key(version)
    target = str(shape.pop("target", ""))
    archive = make_tiny_archive(folder, version, target, **shape)  # type: ignore[arg-type]
    return inspected(archive, key)


def tiny_bundle(folder: Path, version: str = VERSION) -> Path:
    """A bundle of the tiny build for this machine."""
    return write(folder / "tools.kitbag", tiny_build(folder / "archives", version))


def files_of(*builds: PackedBuild) -> dict[str, bytes]:
    """The members of a bundle as bytes, in their order, for tests that change some of them."""
    members = bundle_members(builds, installer=installer())
    return {member.name: member.open().read() for member in members}


def write_raw(
    path: Path, files: Mapping[str, bytes] | Sequence[tuple[str, bytes]], header: bytes = b""
) -> Path:
    """Write any members with a right structure and digest around them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw_bundle(files, header))
    return path


def sha256(data: bytes) -> str:
    """The digest in hex."""
    return hashlib.sha256(data).hexdigest()
