"""Bundles of builds that install: the tiny build in several versions.

Several stand-ins in one bundle are more than the command line packs: their interpreters are
scripts, so each needs its key said, and ``--key`` is for one build alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles import __version__, contents
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import FORMAT, VERBATIM, Build, InstallDefaults, Manifest, Payload
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.hosts import this_host
from kitbag_packer.assembly import assemble
from kitbag_packer.header.script import bundle_header
from kitbag_packer.inspection import inspect_archive
from kitbag_packer.pyz import build_installer
from kitbag_packer.sources import file_member
from kitbag_packer.writing import write_bundle
from support.tiny import make_tiny_archive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_NOTHING_SAID = InstallDefaults()


def host_key(version: str = "3.13.5", variant: str = "") -> BuildKey:
    """The key of a CPython for this machine."""
    host = this_host()
    plus = f"+{variant}" if variant else ""
    return BuildKey.parse(f"cpython-{version}{plus}-{host.os}-{host.arch}-{host.libc}")


def bundle_archives(
    path: Path,
    archives: Sequence[tuple[Path, BuildKey]],
    installer: bytes | None = None,
    install: InstallDefaults = _NOTHING_SAID,
    *,
    header: bool = False,
) -> Path:
    """Write a bundle of ``archives``, each with the key that it shall have."""
    builds, lists, payloads = [], {}, []
    for archive, key in sorted(archives, key=lambda each: each[1].order()):
        found = inspect_archive(archive, key=key, reporter=SilentReporter())
        member = f"archives/{archive.name}"
        build = Build(
            key,
            key.implementation,
            str(key.version),
            found.release,
            found.flavor,
            "",
            *contents.summarise(found.entries),
            Payload(VERBATIM, member, found.top, found.size, found.sha256, found.tar_sha256),
            found.needs,
        )
        builds.append(build)
        lists[str(key)] = contents.render(found.entries)
        payloads.append(file_member(member, archive, sha256=found.sha256, crc32=found.crc32))
    manifest = Manifest(FORMAT, (), "tests", "1", __version__, tuple(builds), install)
    pyz = build_installer() if installer is None else installer
    start = bundle_header(manifest, lists) if header else b""
    members = assemble(manifest, lists, payloads, pyz)
    write_bundle(path, members, header=start, reporter=SilentReporter())
    return path


def tiny_bundle(
    path: Path,
    *versions: str,
    answers: dict[str, str] | None = None,
    install: InstallDefaults = _NOTHING_SAID,
) -> Path:
    """Write a bundle of the tiny build in ``versions``: ``3.13.5``, ``3.14.0t``, also with another
    release, ``3.13.5@20260202``.

    ``answers`` gives some of them a misbehaviour of :data:`support.tiny.ANSWERS`.
    """
    folder = path.with_name(f"{path.name}.archives")
    archives = []
    for text in versions:
        name, _, release = text.partition("@")
        free_threaded = name.endswith("t")
        version = name.rstrip("t")
        archive = make_tiny_archive(
            folder,
            version,
            answer=(answers or {}).get(text, "right"),
            free_threaded=free_threaded,
            release=release or "20260101",
        )
        archives.append((archive, host_key(version, "freethreaded" if free_threaded else "")))
    return bundle_archives(path, archives, install=install)


def tree_of(folder: str | os.PathLike[str]) -> dict[str, tuple[str, int, bytes]]:
    """Everything below ``folder`` by path: kind, mode and content (or link text)."""
    top = os.fspath(folder)
    found = {}
    for parent, folders, names in os.walk(top):
        for name in folders + names:
            full = os.path.join(parent, name)
            path = os.path.relpath(full, top)
            mode = os.lstat(full).st_mode & 0o7777
            if os.path.islink(full):
                found[path] = ("l", 0o777, os.fsencode(os.readlink(full)))
            elif os.path.isdir(full):
                found[path] = ("d", mode, b"")
            else:
                with open(full, "rb") as file:
                    found[path] = ("f", mode, file.read())
    return found
