import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.contents import Entry, parse, render
from kitbag_bundles.errors import ArchiveError, DigestMismatch, KitbagError
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.extraction import extract_build, extract_files
from kitbag_installer.payloads import PayloadReader
from support.bundled import host_key, tree_of
from support.bundles import packed_build
from support.members import Member, below, compress_tar, tar_bytes, write_archive
from support.tiny import tiny_members

SUFFIXES = (".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip", ".7z")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entries_of(members: Sequence[Member]) -> tuple[Entry, ...]:
    """The contents list of ``members`` (without a top), made apart from the packer."""
    found: dict[str, Entry] = {}
    modes = {m.path: 0o755 if m.mode & 0o111 else 0o644 for m in members if m.kind == "f"}
    for member in members:
        path, kind = member.path, member.kind
        parent = os.path.dirname(path)
        while parent:
            found.setdefault(parent, Entry(parent, "d", 0o755, 0, "", ""))
            parent = os.path.dirname(parent)
        if kind == "d":
            found[path] = Entry(path, "d", 0o755, 0, "", "")
        elif kind == "l":
            found[path] = Entry(path, "l", 0o777, 0, "", member.target)
        elif kind == "h":
            found[path] = Entry(path, "h", modes[member.target], 0, "", member.target)
        else:
            data = member.data
            found[path] = Entry(path, "f", modes[path], len(data), sha256(data), "")
    return parse(render(found.values()), "test")


def extract(
    archive: bytes,
    entries: Sequence[Entry],
    destination: Path,
    *,
    name: str = "x.tar.gz",
    top: str = "python",
    promised: str = "",
    keep: Sequence[str] = (),
) -> dict[str, bytes]:
    build = packed_build(str(host_key())).build
    payload = replace(
        build.payload, member=f"archives/{name}", top=top, sha256=promised or sha256(archive)
    )
    progress = SilentReporter().progress("", 0)
    stream = io.BytesIO(archive)
    with PayloadReader(replace(build, payload=payload), stream, progress) as reader:
        return extract_build(reader, entries, str(destination), keep)


def packed(members: Sequence[Member], top: str = "python") -> bytes:
    return compress_tar(tar_bytes(below(top, members) if top else list(members)), ".tar.gz")


MEMBERS = [
    Member("bin/python3.13", b"#!/bin/sh\n", 0o775),
    Member("bin/python", kind="l", target="python3.13"),
    Member("lib/data", b"data" * 1000, 0o600),
    Member("lib/empty", b"", 0o664),
    Member("lib/hard", kind="h", target="lib/data"),
    Member("lib/folder", kind="d"),
]


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_modes_come_from_the_list_and_not_from_the_umask(tmp_path, umask):
    if umask == 0o777 and os.getuid():
        pytest.skip("an umask of 777 locks out everyone but root")
    old = os.umask(umask)
    try:
        extract(packed(MEMBERS), entries_of(MEMBERS), tmp_path / "tree")
    finally:
        os.umask(old)
    assert (tmp_path / "tree").stat().st_mode & 0o7777 == 0o755
    assert tree_of(tmp_path / "tree") == {
        "bin": ("d", 0o755, b""),
        "bin/python3.13": ("f", 0o755, b"#!/bin/sh\n"),
        "bin/python": ("l", 0o777, b"python3.13"),
        "lib": ("d", 0o755, b""),
        "lib/data": ("f", 0o644, b"data" * 1000),
        "lib/empty": ("f", 0o644, b""),
        "lib/hard": ("f", 0o644, b"data" * 1000),
        "lib/folder": ("d", 0o755, b""),
    }
    assert os.path.samefile(tmp_path / "tree/lib/data", tmp_path / "tree/lib/hard")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_form_gives_the_same_tree(tmp_path, suffix):
    members = [member for member in tiny_members() if member.kind != "h"]
    name = f"x{suffix}"
    archive = write_archive(below("python", members), tmp_path / name, suffix).read_bytes()
    entries = entries_of([member for member in members if member.kind != "d"])
    kept = extract(
        archive, entries, tmp_path / "tree", name=name, keep=["lib/python3.13/os.py", "lib/nothing"]
    )
    found = tree_of(tmp_path / "tree")
    assert {path for path in found if found[path][0] != "d"} == {m.path for m in members}
    for member in members:
        kind, _, content = found[member.path]
        assert kind == member.kind
        assert content == (member.data if kind == "f" else os.fsencode(member.target))
    assert kept == {"lib/python3.13/os.py": found["lib/python3.13/os.py"][2]}


@pytest.mark.parametrize("top", ["", "python", "python/install", "a/b/c"])
def test_the_top_is_stripped(tmp_path, top):
    extract(packed(MEMBERS, top), entries_of(MEMBERS), tmp_path / "tree", top=top)
    assert set(tree_of(tmp_path / "tree")) == {entry.path for entry in entries_of(MEMBERS)}


def test_what_lies_beside_the_tree_of_a_full_archive_is_left_out(tmp_path):
    beside = [Member("python/PYTHON.json", b"{}"), Member("python/build/x.o", b"x")]
    tar = tar_bytes([*beside, *below("python/install", MEMBERS)])
    archive = compress_tar(tar, ".tar.gz")
    extract(archive, entries_of(MEMBERS), tmp_path / "tree", top="python/install")
    assert set(tree_of(tmp_path / "tree")) == {entry.path for entry in entries_of(MEMBERS)}


@pytest.mark.parametrize("first", ["./", "./python/"])
def test_the_folders_above_may_be_members_too(tmp_path, first):
    """As in what ``tar -C folder -cf x.tar .`` writes."""
    tar = tar_bytes([Member(first, kind="d", mode=0o755), *below("./python", MEMBERS)])
    extract(compress_tar(tar, ".tar.gz"), entries_of(MEMBERS), tmp_path / "tree")
    assert set(tree_of(tmp_path / "tree")) == {entry.path for entry in entries_of(MEMBERS)}


def test_a_repeated_member_must_be_the_same(tmp_path):
    again = [*MEMBERS, MEMBERS[1], MEMBERS[2]]
    extract(packed(again), entries_of(MEMBERS), tmp_path / "tree")
    other = [*MEMBERS, MEMBERS[2]._replace(data=b"DATA" * 1000)]
    with pytest.raises(DigestMismatch, match="'lib/data' differs"):
        extract(packed(other), entries_of(MEMBERS), tmp_path / "other")


def changed(place: int, **fields) -> list[Member]:
    return [*MEMBERS[:place], MEMBERS[place]._replace(**fields), *MEMBERS[place + 1 :]]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([*MEMBERS, Member("lib/extra", b"x")], "'lib/extra' is not in the contents list"),
        (MEMBERS[:2], "'lib/data' is in the contents list and not in the archive"),
        ([*MEMBERS[:1], *MEMBERS[2:]], "'bin/python' is in the contents list and not in"),
        (changed(2, data=b"data" * 999), "'lib/data' has 3996 bytes where the .* says 4000"),
        (changed(2, data=b"DATA" * 1000), "'lib/data' differs from the contents list"),
        (changed(1, target="python3.12"), "the link 'bin/python' differs"),
        (changed(1, kind="f", data=b"python3.13"), "'bin/python' is another kind"),
        (changed(2, kind="l", target="empty"), "'lib/data' is another kind"),
        (changed(4, target="lib/empty"), "the link 'lib/hard' differs"),
    ],
)
def test_what_differs_from_the_list_is_refused(tmp_path, members, message):
    with pytest.raises((ArchiveError, DigestMismatch), match=message):
        extract(packed(members), entries_of(MEMBERS), tmp_path / "tree")


def test_what_lies_outside_of_the_top_is_refused(tmp_path):
    tar = tar_bytes([*below("python", MEMBERS), Member("other/file", b"x")])
    with pytest.raises(ArchiveError, match="'other/file' lies outside of 'python'"):
        extract(compress_tar(tar, ".tar.gz"), entries_of(MEMBERS), tmp_path / "tree")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_archive_than_promised_is_refused(tmp_path, suffix):
    members = [member for member in MEMBERS if member.kind != "h"]
    name = f"x{suffix}"
    archive = write_archive(below("python", members), tmp_path / name, suffix).read_bytes()
    entries = entries_of([member for member in members if member.kind != "d"])
    if suffix == ".zip" or suffix.startswith(".tar"):
        entries = entries_of(members)
    with pytest.raises(DigestMismatch, match=r"its sha256 is .* and not 0000"):
        extract(archive, entries, tmp_path / "tree", name=name, promised="0" * 64)


def test_links_are_made_last_and_nothing_is_written_through_them(tmp_path):
    """The list is the word: a link where it has a folder is refused before anything is made."""
    outside = tmp_path / "outside"
    outside.mkdir()
    attack = [
        Member("lib", kind="l", target="elsewhere"),
        Member("lib/data", b"x"),
    ]
    with pytest.raises(ArchiveError, match="'lib' is another kind"):
        extract(packed(attack), entries_of([Member("lib/data", b"x")]), tmp_path / "tree")
    assert os.listdir(outside) == []


def test_a_link_out_of_the_build_is_refused_even_if_the_list_has_it(tmp_path):
    """Below the archive's top folder it stays inside; below the root it would not."""
    members = [*MEMBERS, Member("bin/out", kind="l", target="../../other")]
    with pytest.raises(ArchiveError, match="out of its tree"):
        extract(packed(members), entries_of(members), tmp_path / "tree")


def test_a_destination_that_is_there_is_an_error(tmp_path):
    with pytest.raises(FileExistsError):
        extract(packed(MEMBERS), entries_of(MEMBERS), tmp_path)


def test_any_cut_of_the_archive_is_an_error_of_ours(tmp_path):
    archive = packed(MEMBERS)
    for number, length in enumerate(range(0, len(archive), 9)):
        with pytest.raises(KitbagError):
            extract(
                archive[:length],
                entries_of(MEMBERS),
                tmp_path / str(number),
                promised=sha256(archive),
            )


def test_progress_counts_the_compressed_bytes(tmp_path):
    counted = []

    class Progress:
        def __enter__(self):
            return self

        def __exit__(self, *exc: object) -> None: ...

        def advance(self, count: int) -> None:
            counted.append(count)

    archive = packed(MEMBERS)
    build = packed_build(str(host_key())).build
    payload = replace(build.payload, member="archives/x.tar.gz", sha256=sha256(archive))
    build = replace(build, payload=payload)
    with PayloadReader(build, io.BytesIO(archive), Progress()) as reader:
        extract_build(reader, entries_of(MEMBERS), str(tmp_path / "tree"))
    assert sum(counted) == len(archive)


class TestOnlySome:
    def extract(
        self, archive: bytes, destination: Path, wanted: Sequence[str], keep: Sequence[str] = ()
    ) -> dict[str, bytes]:
        build = packed_build(str(host_key())).build
        payload = replace(
            build.payload, member="archives/x.tar.gz", top="python", sha256=sha256(archive)
        )
        progress = SilentReporter().progress("", 0)
        with PayloadReader(replace(build, payload=payload), io.BytesIO(archive), progress) as one:
            return extract_files(one, entries_of(MEMBERS), str(destination), wanted, keep)

    def test_the_rest_is_left(self, tmp_path):
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib/empty").write_text("mine\n")
        kept = self.extract(packed(MEMBERS), tmp_path, ["lib/data"], ["bin/python3.13"])
        assert kept == {"bin/python3.13": b"#!/bin/sh\n"}
        assert tree_of(tmp_path) == {
            "lib": ("d", 0o755, b""),
            "lib/empty": ("f", 0o644, b"mine\n"),
            "lib/data": ("f", 0o644, b"data" * 1000),
        }

    def test_what_is_there_is_not_written_over(self, tmp_path):
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib/data").write_text("mine\n")
        with pytest.raises(FileExistsError):
            self.extract(packed(MEMBERS), tmp_path, ["lib/data"])
        assert (tmp_path / "lib/data").read_text() == "mine\n"

    def test_the_whole_archive_is_checked(self, tmp_path):
        (tmp_path / "bin").mkdir()
        for members in (MEMBERS[:2], [*MEMBERS, Member("lib/extra", b"x")]):
            with pytest.raises(ArchiveError):
                self.extract(packed(members), tmp_path, [])
        with pytest.raises(DigestMismatch):
            self.extract(packed(changed(2, data=b"DATA" * 1000)), tmp_path, [], ["lib/data"])
