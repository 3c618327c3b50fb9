"""From builds to the ordered members of a bundle, ``SHA256SUMS`` included."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

import tomli_w

from kitbag_bundles import contents, manifest, members, sums
from kitbag_bundles.contents import Summary
from kitbag_bundles.errors import BundleError
from kitbag_bundles.names import check_member_names
from kitbag_packer.sources import MemberSource, bytes_member

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kitbag_bundles.manifest import Build, Manifest


def render_manifest(made: Manifest) -> bytes:
    """The text of ``manifest.toml``, checked by reading it again."""
    text = tomli_w.dumps(manifest.to_table(made))
    if manifest.parse(text) != made:
        raise BundleError("the manifest does not read back as it was meant")
    return text.encode("utf-8")


def assemble(
    made: Manifest,
    lists: Mapping[str, bytes],
    payloads: Iterable[MemberSource],
    installer: bytes,
    extra: Iterable[MemberSource] = (),
    wheels: Iterable[MemberSource] = (),
) -> tuple[MemberSource, ...]:
    """All members of a bundle in their fixed order.

    ``lists`` maps the key of each build to its contents list (the bytes that
    :func:`kitbag_bundles.contents.render` gives), ``payloads`` are the archives under the names
    that the manifest gives them, ``installer`` is ``kitbag.pyz``, ``extra`` are members below
    ``licenses/`` and ``meta/``, and ``wheels`` those of the manifest. Builds are put
    into the order of their keys, so nothing here depends on the order of the arguments.

    Raises :class:`BundleError` if the parts do not fit each other.
    """
    ordered = replace(made, builds=tuple(sorted(made.builds, key=lambda build: build.key.order())))
    archives = {source.name: source for source in payloads}
    for build in ordered.builds:
        _check_list(build, lists)
        _check_payload(build, archives)
    wanted = {build.payload.member for build in ordered.builds}
    for name in archives.keys() - wanted:
        raise BundleError(f"{name} is the archive of no build")
    parts = [*_entry_points(ordered, lists, installer), bytes_member(members.INSTALLER, installer)]
    parts.append(bytes_member(members.MANIFEST, render_manifest(ordered)))
    parts += [bytes_member(each.contents_member, lists[str(each.key)]) for each in ordered.builds]
    parts += archives.values()
    parts += _checked_wheels(ordered, wheels)
    for source in extra:
        if not source.name.startswith(members.RESERVED):
            raise BundleError(f"{source.name} is not below licenses/ or meta/")
        parts.append(source)
    check_member_names([source.name for source in parts])
    digests = {source.name: source.sha256 for source in parts}
    parts.append(bytes_member(sums.MEMBER, sums.render(digests)))
    by_name = {source.name: source for source in parts}
    return tuple(by_name[name] for name in members.in_order(by_name))


def _checked_wheels(made: Manifest, wheels: Iterable[MemberSource]) -> list[MemberSource]:
    found = {source.name: source for source in wheels}
    promised = {wheel.member: (wheel.size, wheel.sha256) for wheel in made.wheels}
    if {name: (source.size, source.sha256) for name, source in found.items()} != promised:
        raise BundleError("the wheels are not those that the manifest speaks of")
    return list(found.values())


def _entry_points(
    made: Manifest, lists: Mapping[str, bytes], installer: bytes
) -> list[MemberSource]:
    """The texts that start kitbag out of a bundle, whatever a checkout did to their line ends."""
    from kitbag_packer.header.script import folder_script

    folder = resources.files("kitbag_packer.entrypoints")
    texts = {members.MAIN: ("bundle_main.py", b"\n"), members.INSTALL_CMD: ("install.cmd", b"\r\n")}
    return [
        bytes_member(members.INSTALL_SH, folder_script(made, lists, installer)),
        *(
            bytes_member(
                name,
                (folder / file).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", end),
            )
            for name, (file, end) in texts.items()
        ),
    ]


def _check_list(build: Build, lists: Mapping[str, bytes]) -> None:
    data = lists.get(str(build.key))
    if data is None:
        raise BundleError(f"build {build.key} has no contents list")
    counted = contents.summarise(contents.parse(data, build.contents_member))
    promised = Summary(build.unpacked_size, build.files, build.longest_path, build.case_collisions)
    if counted != promised:
        raise BundleError(f"the manifest says {promised} of {build.key}, its list has {counted}")


def _check_payload(build: Build, archives: Mapping[str, MemberSource]) -> None:
    payload = build.payload
    source = archives.get(payload.member)
    if source is None:
        raise BundleError(f"build {build.key} has no archive {payload.member}")
    if (source.size, source.sha256) != (payload.size, payload.sha256):
        raise BundleError(f"{source.origin} is not the archive that the manifest speaks of")
