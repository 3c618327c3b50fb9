from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitbag_bundles import contents
from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import (
    BundleError,
    DigestMismatch,
    KitbagError,
    UnsupportedFormat,
    UsageError,
)
from kitbag_bundles.reporting import SilentReporter
from support.bundles import (
    HEADER,
    INSTALLER,
    LINUX,
    OLDER,
    packed_build,
    raw_bundle,
    small_bundle,
    small_directory,
    small_files,
    small_members,
    with_sums,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Write = Callable[[Path, Mapping[str, bytes]], Path]

SILENT = SilentReporter()
ARCHIVE = packed_build().source.name


def as_file(folder: Path, files: Mapping[str, bytes]) -> Path:
    path = folder / "made.kitbag"
    path.write_bytes(raw_bundle(files))
    return path


def as_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    path = folder / "made"
    for name, data in files.items():
        inner = path / name
        inner.parent.mkdir(parents=True, exist_ok=True)
        inner.write_bytes(data)
    return path


both = pytest.mark.parametrize("write", [as_file, as_folder])


def edited(name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    files = small_files()
    assert old in files[name]
    return with_sums({**files, name: files[name].replace(old, new)})


@pytest.mark.parametrize("form", ["header", "plain", "folder"])
def test_a_sound_bundle(tmp_path: Path, form: str) -> None:
    path = tmp_path / "tools"
    if form == "folder":
        small_directory(path)
    else:
        small_bundle(path, header=HEADER if form == "header" else b"")
    with Bundle.open(path) as bundle:
        assert bundle.path == str(path)
        assert bundle.header_size == (4096 if form == "header" else 0)
        assert bundle.names() == tuple(member.name for member in small_members())
        assert bundle.manifest.name == "edge-tools"
        older, newer = bundle.manifest.builds
        assert (str(older.key), str(newer.key)) == (OLDER, LINUX)
        assert newer == packed_build().build
        assert bundle.contents(newer) == contents.parse(packed_build().contents, "list")
        assert bundle.installer() == INSTALLER
        assert bundle.read("licenses/python.txt") == b"free\n"
        assert bundle.digests[ARCHIVE] == newer.payload.sha256
        assert bundle.size_of(ARCHIVE) == newer.payload.size
        with bundle.open_payload(newer) as stream:
            assert stream.read() == b"not an archive at all"
        where, offset, size = bundle.payload_location(newer)
        with open(where, "rb") as raw:
            raw.seek(offset)
            assert raw.read(size) == b"not an archive at all"
        report = bundle.verify(SILENT)
    assert report.path == str(path)
    digest = "" if form == "folder" else hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.sha256 == digest
    assert [(m.name, m.size, m.sha256) for m in report.members] == [
        (member.name, member.size, member.sha256) for member in small_members()
    ]
    assert [m.name for m in report.members if not m.listed] == ["SHA256SUMS"]


def test_streams_outlive_the_bundle(tmp_path: Path) -> None:
    small_bundle(tmp_path / "x")
    with Bundle.open(tmp_path / "x") as bundle:
        stream = bundle.open_payload(bundle.manifest.builds[1])
    with stream:
        assert stream.read() == b"not an archive at all"


def test_nothing_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no bundle at"):
        Bundle.open(tmp_path / "x")


def compiled(**changes: object) -> dict[str, bytes]:
    """The small bundle with bytecode for one build; what the manifest says of it may be changed."""
    data = b"compiled"
    facts: dict[str, object] = {
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "tar-sha256": "0" * 64,
        "files": 1,
        "unpacked-size": 8,
        "magic": 3571,
        "tag": "cpython-313",
        "mode": "checked-hash",
        "maker": "cpython-3.13.5",
        "member": f"meta/bytecode/{LINUX}.tar.gz",
        **changes,
    }
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in facts.items())
    # The newer build is the last one of the manifest, so its table may end the text.
    text = small_files()["manifest.toml"] + b"\n[build.bytecode]\n" + "".join(lines).encode()
    member = f"meta/bytecode/{LINUX}.tar.gz"
    return with_sums({**small_files(), "manifest.toml": text, member: data})


@both
def test_bytecode_is_a_member_like_others(tmp_path: Path, write: Write) -> None:
    with Bundle.open(write(tmp_path, compiled())) as bundle:
        older, newer = bundle.manifest.builds
        assert older.bytecode is None
        assert newer.bytecode is not None
        assert bundle.read(newer.bytecode.member) == b"compiled"
        assert newer.bytecode.member in [each.name for each in bundle.verify(SILENT).members]


@both
@pytest.mark.parametrize("wrong", [{"size": 7}, {"sha256": "0" * 64}])
def test_bytecode_that_is_not_the_promised_one(
    tmp_path: Path, write: Write, wrong: dict[str, object]
) -> None:
    with pytest.raises(BundleError, match=r"meta/bytecode/.*another size or SHA-256"):
        Bundle.open(write(tmp_path, compiled(**wrong)))


@both
def test_bytecode_that_is_not_there(tmp_path: Path, write: Write) -> None:
    files = compiled()
    del files[f"meta/bytecode/{LINUX}.tar.gz"]
    with pytest.raises(BundleError, match=rf"build {LINUX} has no member meta/bytecode/"):
        Bundle.open(write(tmp_path, with_sums(files)))


@both
def test_reserved_members_are_accepted_and_ignored(tmp_path: Path, write: Write) -> None:
    more = {"meta/sbom/x.json": b"{}", "licenses/y": b"", "SHA256SUMS.sig": b"s"}
    files = with_sums({**small_files(), **more, "SHA256SUMS.sigstore.json": b"{}"})
    with Bundle.open(write(tmp_path, files)) as bundle:
        assert "SHA256SUMS.sig" not in bundle.digests
        listed = {member.name: member.listed for member in bundle.verify(SILENT).members}
    assert not listed["SHA256SUMS.sig"]
    assert listed["meta/sbom/x.json"]


@both
@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "contents/x.tsv",
        "archives/x.tar.gz",
        "archives/a/b.tar.gz",
        "SHA256SUM",
        "Meta/x",
    ],
)
def test_other_members_are_refused(tmp_path: Path, write: Write, name: str) -> None:
    files = with_sums({**small_files(), name: b"x"})
    with pytest.raises(BundleError, match="does not belong"):
        Bundle.open(write(tmp_path, files))


@both
@pytest.mark.parametrize("name", list(small_files()))
def test_a_missing_member_is_refused(tmp_path: Path, write: Write, name: str) -> None:
    """In a bundle that agrees with itself otherwise; reserved members may be missing."""
    files = small_files()
    del files[name]
    if name != "SHA256SUMS":
        files = with_sums(files)
    path = write(tmp_path, files)
    if name.startswith("licenses/"):
        Bundle.open(path).close()
        return
    with pytest.raises(BundleError, match="has no"):
        Bundle.open(path)


@both
def test_a_member_that_the_sums_do_not_list_is_refused(tmp_path: Path, write: Write) -> None:
    files = {"meta/x": b"x", **small_files()}
    ordered = {name: files[name] for name in with_sums(files)}
    with pytest.raises(BundleError, match="member meta/x is not in SHA256SUMS"):
        Bundle.open(write(tmp_path, ordered))


@both
def test_a_listed_member_that_is_missing_is_refused(tmp_path: Path, write: Write) -> None:
    files = small_files()
    del files["licenses/python.txt"]
    with pytest.raises(BundleError, match=r"licenses/python\.txt is missing, but is in SHA256SUMS"):
        Bundle.open(write(tmp_path, files))


@both
@pytest.mark.parametrize("member", ["SHA256SUMS", "SHA256SUMS.sig"])
def test_the_sums_list_neither_themselves_nor_signatures(
    tmp_path: Path, write: Write, member: str
) -> None:
    files = {**small_files(), "SHA256SUMS.sig": b""}
    listed = files["SHA256SUMS"].decode().splitlines(keepends=True)
    listed.append(f"{'0' * 64}  {member}\n")
    files["SHA256SUMS"] = "".join(sorted(listed, key=lambda line: line[66:])).encode()
    with pytest.raises(BundleError, match="is missing, but is in SHA256SUMS"):
        Bundle.open(write(tmp_path, files))


@both
@pytest.mark.parametrize("name", ["manifest.toml", "kitbag.pyz", f"contents/{LINUX}.tsv"])
def test_a_member_with_other_bytes_is_refused(tmp_path: Path, write: Write, name: str) -> None:
    files = small_files()
    files[name] = files[name].replace(b"\0", b"\1").replace(b"a", b"b")
    path = write(tmp_path, files)
    if name == "manifest.toml":
        with pytest.raises(DigestMismatch, match=name):
            Bundle.open(path)
        return
    with Bundle.open(path) as bundle:
        with pytest.raises(DigestMismatch, match=name):
            bundle.read(name)
        with pytest.raises(DigestMismatch, match=name):
            bundle.verify(SILENT)


@both
def test_an_archive_with_other_bytes_is_found_by_verify(tmp_path: Path, write: Write) -> None:
    files = small_files()
    files[ARCHIVE] = files[ARCHIVE].replace(b"n", b"N")
    with (
        Bundle.open(write(tmp_path, files)) as bundle,
        pytest.raises(DigestMismatch, match="archives/cpython"),
    ):
        bundle.verify(SILENT)


@both
@pytest.mark.parametrize("data", [b"longer than the manifest says", b"not an archive at ALL"])
def test_an_archive_that_is_not_the_manifests_is_refused(
    tmp_path: Path, write: Write, data: bytes
) -> None:
    files = with_sums({**small_files(), ARCHIVE: data})
    with pytest.raises(BundleError, match="another size or SHA-256 than the manifest"):
        Bundle.open(write(tmp_path, files))


@both
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"unpacked-size = 10", b"unpacked-size = 11"),
        (b"files = 3", b"files = 2"),
        (b"longest-path = 10", b"longest-path = 9"),
        (b"case-collisions = true", b"case-collisions = false"),
    ],
)
def test_a_contents_list_that_the_manifest_does_not_mean(
    tmp_path: Path, write: Write, old: bytes, new: bytes
) -> None:
    files = edited("manifest.toml", old, new)
    with Bundle.open(write(tmp_path, files)) as bundle:
        for build in bundle.manifest.builds:
            with pytest.raises(BundleError, match="is not the list that the manifest speaks of"):
                bundle.contents(build)
        with pytest.raises(BundleError, match="is not the list that the manifest speaks of"):
            bundle.verify(SILENT)


@both
def test_a_contents_list_that_is_not_canonical(tmp_path: Path, write: Write) -> None:
    files = edited(f"contents/{LINUX}.tsv", b"d\t755", b"d\t0755")
    with (
        Bundle.open(write(tmp_path, files)) as bundle,
        pytest.raises(BundleError, match=rf"contents/{LINUX}\.tsv: line 1"),
    ):
        bundle.verify(SILENT)


@both
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"format = 1", b"format = 2"), (b"requires = []", b'requires = ["volumes"]')],
)
def test_a_newer_bundle_is_told_from_a_broken_one(
    tmp_path: Path, write: Write, old: bytes, new: bytes
) -> None:
    """Also when it has members that this kitbag does not know, in an order of its own."""
    files = edited("manifest.toml", old, new)
    files = {"zzz": b"", **with_sums({**files, "zzz": b""})}
    with pytest.raises(UnsupportedFormat, match=r"use kitbag >= 0\.1\.0"):
        Bundle.open(write(tmp_path, files))


@both
@pytest.mark.parametrize("text", [b"\xff", b"format", b"format = 1", b""])
def test_a_broken_manifest(tmp_path: Path, write: Write, text: bytes) -> None:
    files = with_sums({**small_files(), "manifest.toml": text})
    with pytest.raises(BundleError, match=r"manifest\.toml"):
        Bundle.open(write(tmp_path, files))


@both
@pytest.mark.parametrize(
    "edit", [lambda s: s.replace(b"\n", b"\r\n"), lambda s: b"\xef\xbb\xbf" + s]
)
def test_sums_in_another_spelling(
    tmp_path: Path, write: Write, edit: Callable[[bytes], bytes]
) -> None:
    files = small_files()
    files["SHA256SUMS"] = edit(files["SHA256SUMS"])
    with pytest.raises(BundleError, match="SHA256SUMS: line 1"):
        Bundle.open(write(tmp_path, files))


def test_damaged_sums_are_noticed_at_once(tmp_path: Path) -> None:
    """Nothing lists the digest of SHA256SUMS itself, but the ZIP structure has its CRC."""
    path = as_file(tmp_path, small_files())
    digest = small_files()["SHA256SUMS"][:64]
    assert path.read_bytes().count(digest) == 1
    path.write_bytes(path.read_bytes().replace(digest, b"0" * 64))
    with pytest.raises(BundleError, match="SHA256SUMS does not have its CRC"):
        Bundle.open(path)


def test_another_order_is_refused(tmp_path: Path) -> None:
    files = small_files()
    names = [*list(files)[1:], "__main__.py"]
    with pytest.raises(BundleError, match="wrong order"):
        Bundle.open(as_file(tmp_path, {name: files[name] for name in names}))


@both
def test_a_member_too_large_for_memory_is_not_read(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, small_files())
    monkeypatch.setattr("kitbag_bundles.bundle.MAX_READ", 100)
    with pytest.raises(BundleError, match="is larger than 100 bytes"):
        Bundle.open(path)


def test_two_builds_may_share_an_archive(tmp_path: Path) -> None:
    files = small_files()
    first, second = packed_build().build, packed_build(OLDER).build
    shared = dataclasses.replace(second, payload=first.payload)
    old = files["manifest.toml"]
    payload = old[old.index(b"[build.payload]") : old.index(b"[build.needs]")]
    last = old[old.rindex(b"[build.payload]") : old.rindex(b"[build.needs]")]
    del files[second.payload.member]
    files["manifest.toml"] = old.replace(payload, last)
    with Bundle.open(as_file(tmp_path, with_sums(files))) as bundle:
        assert bundle.manifest.builds == (shared, first)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_raises_nothing_but_our_own_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw = bytearray(raw_bundle(small_files()))
    # Most of the file is padding: aim at what follows it.
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)) | st.integers(len(raw) - 1500, len(raw)))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path = tmp_path_factory.getbasetemp() / "damaged.kitbag"
    path.write_bytes(raw)
    try:
        with Bundle.open(path) as bundle:
            bundle.verify(SILENT)
    except KitbagError as error:
        assert str(error).isprintable()  # noqa: PT017 - any error of ours will do
    else:
        assert bytes(raw) == raw_bundle(small_files())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_under_right_digests_raises_nothing_but_our_own_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = small_files()
    name = data.draw(st.sampled_from(["manifest.toml", f"contents/{LINUX}.tsv", "SHA256SUMS"]))
    changed = bytearray(files[name])
    at = data.draw(st.integers(0, len(changed)))
    changed[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    files[name] = bytes(changed)
    path = tmp_path_factory.getbasetemp() / "resummed.kitbag"
    path.write_bytes(raw_bundle(files if name == "SHA256SUMS" else with_sums(files)))
    try:
        with Bundle.open(path) as bundle:
            bundle.verify(SILENT)
    except KitbagError as error:
        assert str(error).isprintable()  # noqa: PT017 - any error of ours will do
