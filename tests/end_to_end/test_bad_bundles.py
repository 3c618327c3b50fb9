"""Bundles that are not what they should be: refused with one clear line, and nothing is written.

``verify`` reads every byte and so finds everything. ``install`` checks before its first write all
that it relies on, and the archive that it unpacks while it unpacks it.
"""

from __future__ import annotations

import os
import random
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles import zipformat
from kitbag_bundles.reader import ZipContainer
from support import crafting
from support.bundles import raw_bundle, reseal, structure_offsets, with_sums
from support.cli import assert_done, assert_refused, call, run
from support.snapshots import snapshot, temporary, without_housekeeping

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEED = 20260101
FOREIGN = "cpython-3.13.5-linux-s390x-gnu"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle: a build for this machine, and one for a machine that nobody has."""
    folder = tmp_path_factory.mktemp("bundle")
    ours = crafting.tiny_build(folder)
    other = crafting.tiny_build(folder, key=FOREIGN, target="s390x-unknown-linux-gnu")
    return crafting.write(folder / "tools.kitbag", ours, other)


@pytest.fixture(scope="module")
def files(bundle: Path) -> dict[str, bytes]:
    """The members of that bundle."""
    container = ZipContainer(str(bundle))
    try:
        return {name: container.open(name).read() for name in container.names()}
    finally:
        container.close()


class Site:
    """A target with one build installed, to see that nothing of it changes."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.fresh = folder / "fresh"
        self.folder = folder / "stick"
        self.folder.mkdir()
        self.bad = self.folder / "bad.kitbag"
        assert_done(call("install", bundle, "--root", self.root, "--bin-dir", self.bin))

    def state(self) -> object:
        """Everything that must not change."""
        return snapshot(self.root, self.bin, self.fresh, self.folder)

    def refuses(self, status: int, *words: str, path: Path | None = None) -> None:
        """All three verbs refuse the bad bundle, `install` for a fresh root and for a full one."""
        path = path or self.bad
        before = self.state()
        assert_refused(call("verify", path), status, *words)
        assert_refused(call("show", path), status, *words)
        self.refuses_install(status, *words, path=path)
        assert self.state() == before

    def refuses_install(self, status: int, *words: str, path: Path | None = None) -> None:
        """`install` refuses the bad bundle before anything is written."""
        path = path or self.bad
        before = self.state()
        fresh = call("install", path, "--root", self.fresh, "--bin-dir", self.bin)
        assert_refused(fresh, status, *words)
        again = call("install", path, "--root", self.root, "--bin-dir", self.bin, "--reinstall")
        assert_refused(again, status, *words)
        assert self.state() == before


@pytest.fixture
def site(tmp_path: Path, bundle: Path) -> Site:
    return Site(tmp_path, bundle)


def test_the_sound_bundle_is_accepted(site: Site, bundle: Path) -> None:
    assert_done(call("verify", bundle))
    assert_done(call("show", bundle))
    assert_done(call("install", bundle, "--root", site.fresh, "--bin-dir", site.bin))


def test_no_such_file(site: Site) -> None:
    site.refuses(2, "no bundle", str(site.bad))


def test_a_file_in_the_place_of_a_folder(site: Site, bundle: Path) -> None:
    site.refuses(2, "no bundle", path=bundle / "inside")


@pytest.mark.parametrize("size", [0, 1, 21, 22, 100, 4096, 100_000])
def test_noise(site: Site, size: int) -> None:
    site.bad.write_bytes(random.Random(SEED).randbytes(size))
    site.refuses(3, "bad.kitbag", "is not a kitbag bundle")


def test_another_zip(site: Site) -> None:
    with zipfile.ZipFile(site.bad, "w") as archive:
        archive.writestr("manifest.toml", "format = 1\n")
    site.refuses(3, "bad.kitbag", "is not a kitbag bundle")


def test_an_archive_of_a_build(site: Site) -> None:
    with tarfile.open(site.bad, "w:gz") as archive:
        archive.add(__file__, "python/bin/python")
    site.refuses(3, "bad.kitbag", "is not a kitbag bundle")


def test_a_program(site: Site) -> None:
    shutil.copy("/bin/sh", site.bad)
    site.refuses(3, "bad.kitbag", "is not a kitbag bundle")


def test_any_folder(site: Site) -> None:
    site.bad.mkdir()
    (site.bad / "notes.txt").write_text("nothing to see\n")
    site.refuses(3, "bad.kitbag", "is not a kitbag bundle", "manifest.toml")


def test_a_pipe(site: Site) -> None:
    os.mkfifo(site.bad)
    site.refuses(3, "bad.kitbag", "neither a file nor a folder")


def test_refusals_in_a_process_of_its_own(site: Site, bundle: Path) -> None:
    """The same through a real process: status, stdout, stderr."""
    data = bundle.read_bytes()
    before = site.state()
    for content, status in ((None, 2), (b"", 3), (data[:-1], 3), (data[:-500], 3)):
        if content is not None:
            site.bad.write_bytes(content)
        for verb in ("verify", "show"):
            ran = run(verb, site.bad)
            assert_refused(ran, status, "bad.kitbag")
            assert not ran.out or (verb == "verify" and "damaged" in ran.out)
        ran = run("install", site.bad, "--root", site.fresh, "--bin-dir", site.bin)
        assert_refused(ran, status, "bad.kitbag")
        assert not ran.out
    site.bad.unlink()
    assert site.state() == before


def _cuts(bundle: Path, count: int) -> list[int]:
    size = bundle.stat().st_size
    edges = {edge + step for edge in structure_offsets(bundle) for step in (-1, 0, 1)}
    tail = set(range(size - 120, size))
    sample = random.Random(SEED).sample(range(size), count)
    return sorted(cut for cut in {*edges, *tail, *sample} if 0 <= cut < size)


@pytest.mark.parametrize(
    "count", [60, pytest.param(3000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_cut_at_any_byte(site: Site, bundle: Path, count: int) -> None:
    """At every edge of the structure, in the whole end record, and at random places."""
    shutil.copy(bundle, site.bad)
    before = site.root, snapshot(site.root, site.bin, site.fresh)
    for cut in sorted(_cuts(bundle, count), reverse=True):
        os.truncate(site.bad, cut)
        for arguments in (
            ["verify", site.bad],
            ["install", site.bad, "--root", site.fresh, "--bin-dir", site.bin],
        ):
            assert_refused(call(*arguments), 3, "bad.kitbag")
    assert (site.root, snapshot(site.root, site.bin, site.fresh)) == before


def _structure_bytes(bundle: Path) -> Iterable[int]:
    """The positions of all bytes that belong to no member's data."""
    container = ZipContainer(str(bundle))
    container.close()
    data = {
        position
        for record in container.records
        for position in range(
            zipformat.data_offset(record), zipformat.data_offset(record) + record.size
        )
    }
    return (position for position in range(bundle.stat().st_size) if position not in data)


def _flip(path: Path, data: bytes, position: int, bit: int) -> None:
    changed = bytes([data[position] ^ (1 << bit & 0xFF)])
    with path.open("r+b") as file:
        file.seek(position)
        file.write(changed)


def _flips(bundle: Path, count: int) -> list[tuple[int, int]]:
    """Positions and bits: `count` in the structure, as many anywhere."""
    generator = random.Random(SEED)
    structure = list(_structure_bytes(bundle))
    chosen = generator.sample(structure, min(count, len(structure)))
    chosen += generator.sample(range(bundle.stat().st_size), count)
    return [(position, generator.randrange(8)) for position in sorted(chosen)]


@pytest.mark.parametrize(
    "count", [150, pytest.param(4000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_verify_finds_any_flipped_bit(tmp_path: Path, bundle: Path, count: int) -> None:
    data = bundle.read_bytes()
    bad = tmp_path / "bad.kitbag"
    bad.write_bytes(data)
    for position, bit in _flips(bundle, count):
        _flip(bad, data, position, bit)
        assert_refused(call("verify", bad), 3, "bad.kitbag")
        _flip(bad, data, position, 8)
    assert bad.read_bytes() == data
    assert_done(call("verify", bad))


def _spans(bundle: Path) -> dict[str, tuple[int, int]]:
    container = ZipContainer(str(bundle))
    container.close()
    starts = {record.name: zipformat.data_offset(record) for record in container.records}
    return {name: (start, start + container.size_of(name)) for name, start in starts.items()}


RELIED_ON = ("SHA256SUMS", "manifest.toml", "kitbag.pyz", "list", "structure")


@pytest.mark.parametrize("part", RELIED_ON)
def test_install_refuses_a_flipped_bit_before_the_first_write(
    site: Site, bundle: Path, part: str
) -> None:
    data = bundle.read_bytes()
    site.bad.write_bytes(data)
    before = site.state()
    generator = random.Random(SEED)
    if part == "structure":
        # The comment's digest is of the whole file, and only `verify` reads that.
        positions = [p for p in _structure_bytes(bundle) if p < len(data) - 64]
        positions = generator.sample(positions, 60)
    else:
        name = f"contents/{crafting.host_key()}.tsv" if part == "list" else part
        start, end = _spans(bundle)[name]
        positions = [start, end - 1, *generator.sample(range(start, end), 30)]
    for position in positions:
        _flip(site.bad, data, position, generator.randrange(8))
        ran = call("install", site.bad, "--root", site.fresh, "--bin-dir", site.bin)
        assert_refused(ran, 3, "bad.kitbag")
        _flip(site.bad, data, position, 8)
    assert site.state() == before


def test_install_refuses_a_flipped_bit_of_the_archive(site: Site, bundle: Path) -> None:
    """That shows while it is unpacked: nothing is committed, what was there stays."""
    data = bundle.read_bytes()
    site.bad.write_bytes(data)
    before = site.state()
    generator = random.Random(SEED)
    name = next(n for n in _spans(bundle) if n.startswith("archives/") and "s390x" not in n)
    start, end = _spans(bundle)[name]
    for position in [start, start + 4, end - 1, *generator.sample(range(start, end), 40)]:
        _flip(site.bad, data, position, generator.randrange(8))
        ran = call("install", site.bad, "--root", site.root, "--bin-dir", site.bin, "--reinstall")
        assert_refused(ran, 3, name.partition("/")[2])
        assert not temporary(site.root)
        ran = call("install", site.bad, "--root", site.fresh, "--bin-dir", site.bin)
        assert_refused(ran, 3, name.partition("/")[2])
        assert not without_housekeeping(snapshot(site.fresh), site.fresh)
        shutil.rmtree(site.fresh, ignore_errors=True)
        _flip(site.bad, data, position, 8)
    assert site.state() == before


def test_install_does_not_mind_what_it_does_not_use(site: Site, bundle: Path) -> None:
    """A damaged archive of another build is `verify`'s to find; this install never reads it."""
    data = bundle.read_bytes()
    site.bad.write_bytes(data)
    spans = _spans(bundle)
    start, end = spans[next(n for n in spans if n.startswith("archives/") and "s390x" in n)]
    _flip(site.bad, data, (start + end) // 2, 3)
    assert_refused(call("verify", site.bad), 3, "bad.kitbag")
    assert_done(call("install", site.bad, "--root", site.fresh, "--bin-dir", site.bin))
    assert_done(call("verify", "--root", site.fresh))


@pytest.mark.parametrize("extra", [b"\n", b"\0", b"x" * 5000, b"PK\x05\x06" + bytes(18)])
def test_bytes_appended(site: Site, bundle: Path, extra: bytes) -> None:
    site.bad.write_bytes(bundle.read_bytes() + extra)
    site.refuses(3, "bad.kitbag", "copy it again")


@pytest.mark.parametrize("extra", [b"\n", b"#!/bin/sh\n", bytes(4096)])
def test_bytes_in_front(site: Site, bundle: Path, extra: bytes) -> None:
    site.bad.write_bytes(extra + bundle.read_bytes())
    site.refuses(3, "bad.kitbag")


def test_two_bundles_in_one_file(site: Site, bundle: Path) -> None:
    site.bad.write_bytes(bundle.read_bytes() * 2)
    site.refuses(3, "bad.kitbag")


@pytest.mark.parametrize("name", ["manifest.toml", "kitbag.pyz", "SHA256SUMS"])
def test_a_member_twice(site: Site, files: dict[str, bytes], name: str) -> None:
    members = [pair for one in files.items() for pair in ([one, one] if one[0] == name else [one])]
    site.bad.write_bytes(raw_bundle(members))
    site.refuses(3, name)


def test_a_member_twice_but_for_case(site: Site, files: dict[str, bytes]) -> None:
    members = with_sums(files | {"licenses/a.txt": b"one\n"})
    raw = [*members.items(), ("licenses/A.txt", b"two\n")]
    site.bad.write_bytes(raw_bundle(raw))
    site.refuses(3, "licenses/", "case")


def test_a_member_that_is_not_in_the_sums(site: Site, files: dict[str, bytes]) -> None:
    members = dict(files)
    sums = members.pop("SHA256SUMS")
    site.bad.write_bytes(raw_bundle({**members, "meta/note.txt": b"hello\n", "SHA256SUMS": sums}))
    site.refuses(3, "meta/note.txt", "is not in SHA256SUMS")


def test_sums_of_a_member_that_is_not_there(site: Site, files: dict[str, bytes]) -> None:
    members = with_sums(files | {"meta/note.txt": b"hello\n"})
    del members["meta/note.txt"]
    site.bad.write_bytes(raw_bundle(members))
    site.refuses(3, "meta/note.txt", "is missing")


def test_a_wrong_sum(site: Site, files: dict[str, bytes]) -> None:
    """The structure's digest is right, but a member is not what `SHA256SUMS` says."""
    text = files["manifest.toml"] + b"# added\n"
    site.bad.write_bytes(raw_bundle(files | {"manifest.toml": text}))
    site.refuses(3, "manifest.toml", "SHA-256")


def test_a_member_that_does_not_belong(site: Site, files: dict[str, bytes]) -> None:
    members = with_sums(files)
    members = {"setup.exe": b"MZ", **members}
    site.bad.write_bytes(raw_bundle(with_sums({"setup.exe": b"MZ", **files})))
    site.refuses(3, "setup.exe")


@pytest.mark.parametrize("name", ["../escape", "/escape", "meta/../../escape", "C:/escape"])
def test_a_member_that_leaves(site: Site, files: dict[str, bytes], name: str) -> None:
    site.bad.write_bytes(raw_bundle([*files.items(), (name, b"harmless\n")]))
    site.refuses(3, "escape")
    assert not (site.folder / "escape").exists()


def test_a_member_is_missing(site: Site, files: dict[str, bytes]) -> None:
    members = dict(files)
    del members["kitbag.pyz"]
    site.bad.write_bytes(raw_bundle(with_sums(members)))
    site.refuses(3, "kitbag.pyz")


def test_no_members_at_all(site: Site) -> None:
    site.bad.write_bytes(raw_bundle({}))
    site.refuses(3, "is not a kitbag bundle", "manifest.toml")


def _with_manifest(files: dict[str, bytes], old: bytes, new: bytes) -> bytes:
    text = files["manifest.toml"]
    assert old in text
    return raw_bundle(with_sums(files | {"manifest.toml": text.replace(old, new)}))


def test_a_newer_format(site: Site, files: dict[str, bytes]) -> None:
    site.bad.write_bytes(_with_manifest(files, b"format = 1", b"format = 2"))
    site.refuses(3, "format 2", "use kitbag >=")


def test_a_newer_container(site: Site, bundle: Path) -> None:
    data = bundle.read_bytes()
    site.bad.write_bytes(data.replace(b"kitbag1 sha256 ", b"kitbag2 sha256 "))
    site.refuses(3, "bad.kitbag", "newer kitbag")


def test_an_unknown_requirement(site: Site, files: dict[str, bytes]) -> None:
    site.bad.write_bytes(_with_manifest(files, b"requires = []", b'requires = ["deltas"]'))
    site.refuses(3, "requires deltas", "use kitbag >=")


def test_an_unknown_encoding(site: Site, files: dict[str, bytes]) -> None:
    old, new = b'encoding = "verbatim"', b'encoding = "delta"'
    site.bad.write_bytes(_with_manifest(files, old, new))
    site.refuses(3, "'delta'", "newer kitbag")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"format = 1", b"format = 0"),
        (b"format = 1", b'format = "1"'),
        (b"format = 1", b"format = 1\nformat = 1"),
        (b"requires = []", b"requires = 1"),
        (b"[bundle]", b"[Bundle]"),
        (b'key = "cpython', b'key = "cython'),
        (b'member = "archives/', b'member = "../archives/'),
        (b'member = "archives/', b'member = "archives/no'),
        (b'top = "python"', b'top = "../python"'),
        (b"files = ", b"files = 9"),
        (b"unpacked-size = ", b"unpacked-size = -"),
        (b'version = "3.13.5"', b'version = "3.13.6"'),
        (b"[[build]]", b"[[build]"),
        (b'name = "', b'name = "\\u001b[2J'),
    ],
)
def test_a_manifest_that_makes_no_sense(
    site: Site, files: dict[str, bytes], old: bytes, new: bytes
) -> None:
    site.bad.write_bytes(_with_manifest(files, old, new))
    before = site.state()
    assert_refused(call("verify", site.bad), 3)
    site.refuses_install(3)
    assert site.state() == before


def test_a_list_that_is_not_the_manifests(site: Site, files: dict[str, bytes]) -> None:
    name = f"contents/{crafting.host_key()}.tsv"
    shorter = b"".join(files[name].splitlines(keepends=True)[:-1])
    site.bad.write_bytes(raw_bundle(with_sums(files | {name: shorter})))
    assert_refused(call("verify", site.bad), 3, name)
    site.refuses_install(3, name)


@pytest.mark.parametrize(
    "line",
    [
        b"f\t644\t1\t" + b"0" * 64 + b"\t../escape\n",
        b"f\t644\t1\t" + b"0" * 64 + b"\t/escape\n",
        b"l\t777\t-\t../../escape\tzzz\n",
        b"l\t777\t-\t/etc/passwd\tzzz\n",
        b"h\t644\t-\t../escape\tzzz\n",
        b"f\t4755\t1\t" + b"0" * 64 + b"\tzzz\n",
        b"p\t644\t-\t-\tzzz\n",
        b"c\t644\t-\t-\tzzz\n",
        b"zzz\n",
    ],
)
def test_a_list_that_no_packer_writes(site: Site, files: dict[str, bytes], line: bytes) -> None:
    """Paths and links that leave, devices, odd modes: refused from the list alone."""
    name = f"contents/{crafting.host_key()}.tsv"
    site.bad.write_bytes(raw_bundle(with_sums(files | {name: files[name] + line})))
    assert_refused(call("verify", site.bad), 3, name)
    site.refuses_install(3, name)


def test_a_wrong_digest_in_the_comment(site: Site, bundle: Path) -> None:
    """Only `verify` reads the whole file; what `install` relies on is right all the same."""
    data = bundle.read_bytes()
    digit = b"0" if data[-1:] != b"0" else b"1"
    site.bad.write_bytes(data[:-1] + digit)
    assert_refused(call("verify", site.bad), 3, "bad.kitbag", "copy it again")
    assert reseal(site.bad.read_bytes()) == data


def _unzip(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def test_a_folder_is_accepted(site: Site, bundle: Path) -> None:
    _unzip(bundle, site.bad)
    assert_done(call("verify", site.bad))
    assert_done(call("install", site.bad, "--root", site.fresh, "--bin-dir", site.bin))
    assert_done(call("verify", "--root", site.fresh))


@pytest.mark.parametrize(
    "name", ["kitbag.pyz", "manifest.toml", "SHA256SUMS", "__main__.py", "list", "archive"]
)
def test_a_folder_misses_a_file(site: Site, bundle: Path, name: str) -> None:
    _unzip(bundle, site.bad)
    gone = _named(site.bad, name)
    gone.unlink()
    site.refuses(3, gone.name)


@pytest.mark.parametrize("name", ["kitbag.pyz", "manifest.toml", "SHA256SUMS", "list"])
def test_a_folder_has_a_changed_file(site: Site, bundle: Path, name: str) -> None:
    _unzip(bundle, site.bad)
    changed = _named(site.bad, name)
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    before = site.state()
    assert_refused(call("verify", site.bad), 3)
    site.refuses_install(3)
    assert site.state() == before


def test_a_folder_has_a_changed_archive(site: Site, bundle: Path) -> None:
    _unzip(bundle, site.bad)
    changed = _named(site.bad, "archive")
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    before = site.state()
    assert_refused(call("verify", site.bad), 3, changed.name)
    ran = call("install", site.bad, "--root", site.root, "--bin-dir", site.bin, "--reinstall")
    assert_refused(ran, 3, changed.name)
    assert site.state() == before


@pytest.mark.parametrize("name", ["extra.txt", "meta/extra.txt", "archives/extra.tar.gz"])
def test_a_folder_has_an_extra_file(site: Site, bundle: Path, name: str) -> None:
    _unzip(bundle, site.bad)
    place = site.bad / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("extra\n")
    site.refuses(3, "extra")


def test_a_folder_has_an_extra_folder(site: Site, bundle: Path) -> None:
    _unzip(bundle, site.bad)
    (site.bad / "more").mkdir()
    site.refuses(3, "more")


def test_a_folder_has_a_link(site: Site, bundle: Path) -> None:
    """A link is no member, wherever it leads: to the very file that should be there, even."""
    _unzip(bundle, site.bad)
    archive = _named(site.bad, "archive")
    moved = archive.rename(site.folder / "elsewhere.tar.gz")
    archive.symlink_to(moved)
    site.refuses(3, archive.name)


def _named(folder: Path, name: str) -> Path:
    key = crafting.host_key()
    if name == "list":
        return folder / "contents" / f"{key}.tsv"
    if name == "archive":
        return next(p for p in (folder / "archives").iterdir() if "s390x" not in p.name)
    return folder / name
