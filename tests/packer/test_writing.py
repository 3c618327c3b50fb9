from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import (
    BundleError,
    DigestMismatch,
    FileSystemError,
    KitbagError,
    UsageError,
)
from kitbag_bundles.reporting import Progress, SilentReporter
from kitbag_packer import safefiles, writing
from kitbag_packer.volumes import outputs
from kitbag_packer.writing import (
    MemberSource,
    Placed,
    bytes_member,
    file_member,
    lay_out,
    write_bundle,
    write_directory,
)
from support.bundles import HEADER, bundle_members, packed_build, small_members
from support.require import require, require_command

SILENT = SilentReporter()


def replaced(members: tuple[MemberSource, ...], new: MemberSource) -> list[MemberSource]:
    return [new if member.name == new.name else member for member in members]


def with_archive(source: MemberSource) -> list[MemberSource]:
    """A bundle's members with one whose bytes are not what its facts say."""
    return replaced(small_members(), dataclasses.replace(source, name=packed_build().source.name))


def lying(promised: bytes, actual: bytes) -> MemberSource:
    """A source that changed after it was looked at."""
    honest = bytes_member("x", promised)
    return dataclasses.replace(honest, opener=lambda: io.BytesIO(actual))


class Counter:
    """A reporter that adds up progress."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def info(self, message: str) -> None:
        raise AssertionError(message)

    warn = info

    def progress(self, label: str, total: int) -> Progress:
        self.total = total
        return self

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, count: int) -> None:
        self.done += count


def test_the_layout_is_that_of_the_file(tmp_path: Path) -> None:
    members = small_members()
    placed = lay_out(members, len(HEADER))
    write_bundle(tmp_path / "x", members, header=HEADER, reporter=SILENT)
    data = (tmp_path / "x").read_bytes()
    assert placed[0].header_offset == len(HEADER)
    for each, following in pairwise(placed):
        assert data[each.header_offset :].startswith(b"PK\x03\x04")
        assert data[each.data_offset : each.end] == each.source.open().read()
        assert following.header_offset == each.end
        assert each.blocks * 4096 + each.tail == each.source.size
    aligned = [each for each in placed if each.record.aligned]
    assert [each.source.name.split("/")[0] for each in aligned] == ["kitbag.pyz", *["archives"] * 2]
    for each in aligned:
        # What the shell does: dd bs=4096 skip=BLOCK count=BLOCKS, then TAIL bytes of the next one.
        start = each.block * 4096
        assert data[start : start + each.blocks * 4096 + each.tail] == each.source.open().read()


def test_members_that_make_no_bundle() -> None:
    with pytest.raises(BundleError, match="fixed order"):
        lay_out(small_members()[::-1], 0)
    with pytest.raises(BundleError, match="two members"):
        lay_out([bytes_member("a", b""), bytes_member("a", b"")], 0)
    with pytest.raises(BundleError, match="multiple of 4096"):
        lay_out(small_members(), 100)


def test_same_members_same_bytes(tmp_path: Path) -> None:
    one = write_bundle(tmp_path / "one", small_members(), header=HEADER, reporter=SILENT)
    (tmp_path / "sub").mkdir()
    before = os.umask(0o077)
    try:
        two = write_bundle(
            tmp_path / "sub" / "2.zip", small_members(), header=HEADER, reporter=SILENT
        )
    finally:
        os.umask(before)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "sub" / "2.zip").read_bytes()
    assert (one.size, one.sha256) == (two.size, two.sha256)
    assert one.sha256 == hashlib.sha256((tmp_path / "one").read_bytes()).hexdigest()
    assert one.path == str(tmp_path / "one")


def test_progress_ends_where_it_said(tmp_path: Path) -> None:
    counter = Counter()
    write_directory(tmp_path / "dir", small_members(), reporter=counter)
    assert counter.done == counter.total
    counter = Counter()
    members = bundle_members([packed_build(archive=bytes(3 << 20))])
    written = write_bundle(tmp_path / "x", members, reporter=counter)
    assert written.size <= counter.done <= counter.total == 2 * written.size


def test_the_header_may_depend_on_the_layout(tmp_path: Path) -> None:
    seen: list[tuple[Placed, ...]] = []

    def header(placed: tuple[Placed, ...]) -> bytes:
        seen.append(placed)
        pyz = next(each for each in placed if each.source.name == "kitbag.pyz")
        text = f"#!/bin/sh\n# {pyz.block:10} {pyz.source.sha256}\n".encode()
        return text.ljust(8192, b"\n")

    write_bundle(tmp_path / "x", small_members(), header=header, reporter=SILENT)
    with Bundle.open(tmp_path / "x") as bundle:
        assert bundle.header_size == 8192
        _, offset, _ = bundle._container.location("kitbag.pyz")
    line = (tmp_path / "x").read_bytes().splitlines()[1].decode()
    assert line.split()[1] == str(offset // 4096)
    assert seen[-1][0].header_offset == 8192


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (lambda placed: HEADER * (1 + placed[0].header_offset // 4096), "depends on the offsets"),
        (b"#!/bin/sh\n", "multiple of 4096"),
        (b"\n" * 4096, "does not begin with"),
    ],
)
def test_unfit_headers(tmp_path: Path, header: bytes, why: str) -> None:
    with pytest.raises(BundleError, match=why):
        write_bundle(tmp_path / "x", small_members(), header=header, reporter=SILENT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("archive", [b"", b"x", bytes(4095), bytes(4096), bytes((1 << 20) + 1)])
def test_sizes_around_the_edges(tmp_path: Path, archive: bytes) -> None:
    members = bundle_members([packed_build(archive=archive)])
    write_bundle(tmp_path / "x", members, header=HEADER, reporter=SILENT)
    with Bundle.open(tmp_path / "x") as bundle:
        bundle.verify(SILENT)
        with bundle.open_payload(bundle.manifest.builds[0]) as stream:
            assert stream.read() == archive


def test_an_earlier_file_is_replaced_and_leftovers_go(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"earlier")
    (tmp_path / "x.partial").write_bytes(b"left by a killed run")
    write_bundle(tmp_path / "x", small_members(), reporter=SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    Bundle.open(tmp_path / "x").close()


def test_a_link_at_the_partial_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "x.partial").symlink_to(tmp_path / "precious")
    write_bundle(tmp_path / "x", small_members(), reporter=SILENT)
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "actual", [b"changed!", b"shorter", b"longer and longer", b"", bytes(3 << 20)]
)
@pytest.mark.parametrize("form", [write_bundle, write_directory])
def test_a_source_that_changed_leaves_nothing(tmp_path: Path, form: object, actual: bytes) -> None:
    members = with_archive(lying(b"promised", actual))
    with pytest.raises(DigestMismatch, match="is not what it was said to be"):
        form(tmp_path / "x", members, reporter=SILENT)  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", [write_bundle, write_directory])
def test_a_digest_that_was_never_right_leaves_nothing(tmp_path: Path, form: object) -> None:
    wrong = dataclasses.replace(bytes_member("x", b"x"), sha256="0" * 64)
    with pytest.raises(DigestMismatch, match="nothing was kept"):
        form(tmp_path / "x", with_archive(wrong), reporter=SILENT)  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


def test_an_earlier_file_survives_every_failure(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"earlier")
    with pytest.raises(DigestMismatch):
        write_bundle(tmp_path / "x", with_archive(lying(b"a", b"b")), reporter=SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"earlier"


def test_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            raise OSError(5, "Input/output error")

    source = dataclasses.replace(bytes_member("x", b"x"), origin="/media/stick/a", opener=Failing)
    with pytest.raises(FileSystemError, match="cannot read /media/stick/a: Input/output error"):
        write_bundle(tmp_path / "x", with_archive(source), reporter=SILENT)
    (tmp_path / "gone").write_bytes(b"x")
    gone = file_member("x", tmp_path / "gone")
    (tmp_path / "gone").unlink()
    with pytest.raises(FileSystemError, match=r"cannot read .*gone: No such file"):
        write_bundle(tmp_path / "x", with_archive(gone), reporter=SILENT)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> BinaryIO:
        raise KeyboardInterrupt

    source = dataclasses.replace(bytes_member("x", b"x"), opener=interrupted)
    for form in (write_bundle, write_directory):
        with pytest.raises(KeyboardInterrupt):
            form(tmp_path / "x", with_archive(source), reporter=SILENT)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", [0, 5000, -1, -80, -150])
def test_a_drive_that_gives_other_bytes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The one thing that has no real stand-in here: a byte changes right after the fsync."""
    (tmp_path / "x").write_bytes(b"earlier")

    def flush(output: BinaryIO) -> None:
        safefiles.flush(output)
        path = Path(str(output.name))
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= 1
        path.write_bytes(data)

    for module in (outputs, writing):
        monkeypatch.setattr(module, "flush", flush)
    with pytest.raises(DigestMismatch, match=r"x was written, but other bytes came back"):
        write_bundle(tmp_path / "x", small_members(), header=HEADER, reporter=SILENT)
    assert (tmp_path / "x").read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 1
    members = [member for member in small_members() if member.size]
    with pytest.raises(DigestMismatch, match=r"dir was written, but other bytes came back"):
        write_directory(tmp_path / "dir", members, reporter=SILENT)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for form in (write_bundle, write_directory):
        with pytest.raises(UsageError, match="there is no folder"):
            form(tmp_path / "missing" / "x", small_members(), reporter=SILENT)


def test_something_else_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "fifo"):
        with pytest.raises(UsageError, match="something else than a file is there"):
            write_bundle(tmp_path / name, small_members(), reporter=SILENT)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"")
    (tmp_path / "link").symlink_to("folder")
    for name in ("file", "full", "link"):
        with pytest.raises(UsageError, match="is there and is no empty folder"):
            write_directory(tmp_path / name, small_members(), reporter=SILENT)
    (tmp_path / "new.partial").mkdir()
    with pytest.raises(UsageError, match="left from an earlier run"):
        write_directory(tmp_path / "new", small_members(), reporter=SILENT)
    (tmp_path / "other.partial").mkdir()
    with pytest.raises(FileSystemError, match=r"cannot write .*other: Is a directory"):
        write_bundle(tmp_path / "other", small_members(), reporter=SILENT)


@pytest.mark.parametrize("existing", [True, False])
def test_a_folder_is_written_whole(tmp_path: Path, existing: bool) -> None:
    if existing:
        (tmp_path / "x").mkdir()
    written = write_directory(tmp_path / "x", small_members(), reporter=SILENT)
    assert written.sha256 == ""
    assert written.size == sum(member.size for member in small_members())
    with Bundle.open(tmp_path / "x") as bundle:
        bundle.verify(SILENT)
    assert os.access(tmp_path / "x" / "install.sh", os.X_OK)
    assert not (tmp_path / "x" / "manifest.toml").stat().st_mode & 0o111
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_sha256sum_checks_a_folder(tmp_path: Path) -> None:
    write_directory(tmp_path / "x", small_members(), reporter=SILENT)
    subprocess.run(
        [require_command("sha256sum"), "--strict", "--quiet", "-c", "SHA256SUMS"],
        cwd=tmp_path / "x",
        check=True,
    )


def _in_mount(script: str, size: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a mount namespace of its own, where ``mount`` is a small tmpfs."""
    unshare = require_command("unshare")
    mount = tmp_path / "mount"
    mount.mkdir()
    probe = [unshare, "-m", "mount", "-t", "tmpfs", "-o", f"size={size}", "kitbag", str(mount)]
    require(
        subprocess.run(probe, capture_output=True, check=False).returncode == 0,
        "mounting a tmpfs in a mount namespace needs to be root",
    )
    shell = f'mount -t tmpfs -o size={size} kitbag "$1" && exec "$2" -c "$3" "$1"'
    return subprocess.run(
        [unshare, "-m", "sh", "-c", shell, "sh", str(mount), sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


FILL = """
import os, shutil, sys
from pathlib import Path
from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer import safefiles
from kitbag_packer.writing import write_bundle, write_directory
from support.bundles import bundle_members, packed_build
folder = Path(sys.argv[1])
members = bundle_members([packed_build(archive=os.urandom(4 << 20))])
(folder / "x").write_bytes(b"earlier")
free = shutil.disk_usage(folder).free
for form, name in ((write_bundle, "x"), (write_directory, "dir")):
    for check in (True, False):
        if not check:
            # As if another program took the space meanwhile.
            shutil.disk_usage = lambda path: type("Usage", (), {"free": 1 << 40})
        try:
            form(folder / name, members, reporter=SilentReporter())
        except FileSystemError as error:
            print(error)
        assert [path.name for path in folder.iterdir()] == ["x"]
assert (folder / "x").read_bytes() == b"earlier"
"""


def test_a_full_drive(tmp_path: Path) -> None:
    done = _in_mount(FILL, "1m", tmp_path)
    assert done.returncode == 0, done.stderr
    early, late, other, last = done.stdout.splitlines()
    assert "it needs 42" in early
    assert "No space left on device; free some space" in late
    assert "No space left on device" in other
    assert "No space left on device" in last


def test_a_read_only_drive(tmp_path: Path) -> None:
    script = FILL.replace("free = ", "os.system(f'mount -o remount,ro {folder}'); free = ")
    done = _in_mount(script, "64m", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Read-only file system; write elsewhere") == 4


def test_a_file_that_may_not_grow_so_large(tmp_path: Path) -> None:
    """FAT32 ends at 4 GiB and says EFBIG, as a resource limit does."""
    members = bundle_members([packed_build(archive=bytes(1 << 20))])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, hard))
        with pytest.raises(KitbagError) as caught:
            write_bundle(tmp_path / "x", members, reporter=SILENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert isinstance(caught.value, FileSystemError)
    assert "File too large; its file system cannot hold" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_without_permission() -> None:
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder, "closed")
        closed.mkdir()
        closed.chmod(0o555)
        Path(folder).chmod(0o755)
        # Made beforehand: somebody else may not read this checkout.
        members = small_members()
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            for form in (write_bundle, write_directory):
                with pytest.raises(FileSystemError, match="Permission denied; write elsewhere, or"):
                    form(closed / "x", members, reporter=SILENT)
        finally:
            if root:
                os.seteuid(0)
