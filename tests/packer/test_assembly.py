from __future__ import annotations

import dataclasses
import itertools

import pytest

from kitbag_bundles import manifest, sums
from kitbag_bundles.errors import BundleError
from kitbag_bundles.manifest import Manifest
from kitbag_packer.assembly import assemble, render_manifest
from kitbag_packer.sources import MemberSource, bytes_member
from support.bundles import INSTALLER, LINUX, OLDER, bundle_members, packed_build

BUILDS = (packed_build(), packed_build(OLDER, b"other"))
MANIFEST = Manifest(1, (), "edge", "", "0.1.0", tuple(each.build for each in BUILDS))
LISTS = {str(each.build.key): each.contents for each in BUILDS}
SOURCES = [each.source for each in BUILDS]


def contents_of(members: tuple[MemberSource, ...]) -> dict[str, bytes]:
    return {member.name: member.open().read() for member in members}


def test_all_members_in_order() -> None:
    members = assemble(MANIFEST, LISTS, SOURCES, INSTALLER, [bytes_member("meta/x", b"x")])
    assert [member.name for member in members] == [
        "__main__.py",
        "kitbag.pyz",
        "install.sh",
        "install.cmd",
        "manifest.toml",
        f"contents/{OLDER}.tsv",
        f"contents/{LINUX}.tsv",
        BUILDS[1].source.name,
        BUILDS[0].source.name,
        "meta/x",
        "SHA256SUMS",
    ]
    files = contents_of(members)
    assert sums.parse(files["SHA256SUMS"]) == {
        member.name: member.sha256 for member in members if member.name != "SHA256SUMS"
    }
    read = manifest.parse(files["manifest.toml"].decode())
    assert [str(build.key) for build in read.builds] == [OLDER, LINUX]


def test_the_order_of_the_arguments_does_not_matter() -> None:
    extra = [bytes_member("meta/x", b"x"), bytes_member("licenses/y", b"y")]
    results = [
        contents_of(
            assemble(
                dataclasses.replace(MANIFEST, builds=builds),
                dict(reversed(LISTS.items())) if turned else LISTS,
                SOURCES[::-1] if turned else SOURCES,
                INSTALLER,
                extra[::-1] if turned else extra,
            )
        )
        for builds in itertools.permutations(MANIFEST.builds)
        for turned in (False, True)
    ]
    assert all(list(each.items()) == list(results[0].items()) for each in results)


def test_a_bundle_without_builds() -> None:
    assert "manifest.toml" in contents_of(bundle_members())


def test_line_ends_of_the_entry_points() -> None:
    files = contents_of(bundle_members())
    assert b"\r" not in files["__main__.py"] + files["install.sh"]
    lines = files["install.cmd"].split(b"\n")
    assert lines.pop() == b""
    assert all(line.endswith(b"\r") for line in lines)


def test_the_manifest_reads_as_it_was_meant() -> None:
    text = render_manifest(MANIFEST).decode()
    assert text.startswith('format = 1\nrequires = []\n\n[bundle]\nname = "edge"\n')
    assert manifest.parse(text) == MANIFEST
    with pytest.raises(BundleError):
        render_manifest(dataclasses.replace(MANIFEST, name=""))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lists": {}}, "has no contents list"),
        ({"lists": {**LISTS, LINUX: b""}}, "its list has"),
        ({"lists": {**LISTS, LINUX: b"x\n"}}, r"contents/.*\.tsv: line 1"),
        ({"payloads": SOURCES[:1]}, "has no archive"),
        ({"payloads": [*SOURCES, bytes_member("archives/x", b"")]}, "archive of no build"),
        ({"payloads": [SOURCES[0], bytes_member(SOURCES[1].name, b"x")]}, "is not the archive"),
        ({"extra": [bytes_member("notes.txt", b"")]}, "not below licenses/ or meta/"),
        ({"extra": [bytes_member("meta/nul", b"")]}, "reserved on Windows"),
        ({"extra": [bytes_member("meta/a", b""), bytes_member("meta/A", b"")]}, "two members"),
    ],
)
def test_parts_that_do_not_fit(change: dict[str, object], why: str) -> None:
    arguments: dict[str, object] = {"lists": LISTS, "payloads": SOURCES, "extra": [], **change}
    with pytest.raises(BundleError, match=why):
        assemble(MANIFEST, installer=INSTALLER, **arguments)  # type: ignore[arg-type]
