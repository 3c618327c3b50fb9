import io
import os
import random
import stat
import subprocess
import sys
import threading

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitbag_bundles.archives import Member, open_archive
from kitbag_bundles.errors import ArchiveError, DoesNotFit
from support.members import Member as Given
from support.members import write_7z
from support.outcome import outcome
from support.require import require_command

NAME = "python.7z"


@pytest.fixture(autouse=True)
def _no_thread_stays():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "kitbag-7z"]


def read_from(stream: io.BytesIO) -> list[tuple[Member, bytes]]:
    with open_archive(stream, NAME) as members:
        return [(member, b"".join(chunks)) for member, chunks in members]


def read(data: bytes) -> list[tuple[Member, bytes]]:
    return read_from(io.BytesIO(data))


def packed(tmp_path, members, name="x.7z") -> bytes:
    staging = tmp_path / f"{name}.staging"
    staging.mkdir()
    write_7z(members, tmp_path / name, staging)
    return (tmp_path / name).read_bytes()


MEMBERS = [
    Given("python", b"", 0o755, "d"),
    Given("python/bin/python", b"#!" * 1000, 0o755),
    Given("python/LICENSE", b"free", 0o644),
    Given("python/empty", b"", 0o644),
    Given("python/link", kind="l", target="bin/python"),
]
READ = [
    (Member("python", "d", 0o755, 0, ""), b""),
    (Member("python/LICENSE", "f", 0o644, 4, ""), b"free"),
    (Member("python/bin/python", "f", 0o755, 2000, ""), b"#!" * 1000),
    (Member("python/empty", "f", 0o644, 0, ""), b""),
    (Member("python/link", "l", 0o777, 0, "bin/python"), b""),
]


def test_all_that_a_member_is(tmp_path):
    assert sorted(read(packed(tmp_path, MEMBERS))) == READ


def test_what_the_real_7z_writes(tmp_path):
    command = require_command("7z")
    packed(tmp_path, MEMBERS)
    subprocess.run(
        [command, "a", "-snl", "-bso0", "../y.7z", "python"],
        cwd=tmp_path / "x.7z.staging",
        check=True,
    )
    found = sorted(read((tmp_path / "y.7z").read_bytes()))
    assert [entry for entry in found if entry[0].path != "python/bin"] == READ


def test_py7zr_sees_the_same(tmp_path):
    data = packed(tmp_path, MEMBERS)
    with py7zr.SevenZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path / "out")
    for member, content in read(data):
        place = tmp_path / "out" / member.path
        if member.kind == "f":
            assert place.read_bytes() == content
        elif member.kind == "l":
            assert os.readlink(place) == member.target


def test_large_members_come_in_bounded_chunks(tmp_path):
    data = random.Random(4).randbytes(3 << 20)
    archive = packed(tmp_path, [Given("big", data), Given("small", b"x")])
    with open_archive(io.BytesIO(archive), NAME) as members:
        for member, chunks in members:
            found = list(chunks)
            assert b"".join(found) == (data if member.path == "big" else b"x")
            assert max(map(len, found)) <= 4 << 20


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_it_can_be_left_early(tmp_path, taken):
    members = [Given(f"f{number}", os.urandom(200_000)) for number in range(12)]
    data = packed(tmp_path, members)
    with open_archive(io.BytesIO(data), NAME) as found:
        for _ in range(taken):
            next(iter(found))


def test_what_is_not_read_is_skipped(tmp_path):
    with open_archive(io.BytesIO(packed(tmp_path, MEMBERS)), NAME) as members:
        paths = sorted(member.path for member, _ in members)
    assert paths == [member.path for member, _ in READ]


def test_an_empty_archive(tmp_path):
    assert read(packed(tmp_path, [])) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside", "out of its tree"),
        ("/etc/passwd", "out of its tree"),
        ("", "out of its tree"),
        ("x" * 5000, "has a very long target"),
    ],
)
def test_links_that_could_leave_are_refused(target, message):
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(target.encode(), "link")
        _set_mode(archive, stat.S_IFLNK | 0o777)
    with pytest.raises(ArchiveError, match=message):
        read(buffer.getvalue())


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (stat.S_IFREG | 0o4755, "setuid, setgid or sticky bit"),
        (stat.S_IFIFO | 0o644, "neither a file, folder nor link"),
        (stat.S_IFCHR | 0o644, "neither a file, folder nor link"),
    ],
)
def test_kinds_and_bits_that_no_python_needs_are_refused(mode, message):
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(b"data", "odd")
        _set_mode(archive, mode)
    with pytest.raises(ArchiveError, match=message):
        read(buffer.getvalue())


def _set_mode(archive: py7zr.SevenZipFile, mode: int) -> None:
    """As a 7-Zip on Unix keeps it: in the upper half of the attributes, and a bit says so."""
    archive.header.files_info.files[0]["attributes"] = 0x8000 | 0x20 | mode << 16


def test_a_name_that_leaves_the_tree_is_refused():
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(b"data", "xx/escape")
        archive.header.files_info.files[0]["filename"] = "../escape"
    with pytest.raises(ArchiveError, match="forbidden name"):
        read(buffer.getvalue())


def test_a_name_that_is_there_twice_is_refused():
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(b"data", "one")
        archive.writestr(b"other", "one")
    with pytest.raises(ArchiveError, match="is there twice"):
        read(buffer.getvalue())


def test_an_encrypted_archive_is_told_as_such():
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", password="secret") as archive:
        archive.writestr(b"data", "one")
    with pytest.raises(ArchiveError, match="encrypted; unpack and repack it plainly"):
        read(buffer.getvalue())


def test_a_bomb_is_refused_by_its_own_figures():
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", filters=[{"id": py7zr.FILTER_ZSTD}]) as archive:
        archive.writestr(bytes(300 << 20), "bomb")
    with pytest.raises(ArchiveError, match="200 times its size"):
        read(buffer.getvalue())


def test_without_py7zr_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(DoesNotFit, match=r"python\.7z: \.7z needs the py7zr package"):
        read(b"anything")


@pytest.fixture(scope="module")
def seed(tmp_path_factory) -> bytes:
    return packed(tmp_path_factory.mktemp("seed"), MEMBERS)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_nothing_but_archive_errors_for_mutated_bytes(seed, data):
    mutated = bytearray(seed)
    places = st.one_of(st.integers(0, 40), st.integers(len(seed) - 250, len(seed) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(places)] = data.draw(st.integers(0, 255))
    found, error = outcome(lambda: read(bytes(mutated)), ArchiveError)
    assert found is not None or error.startswith(NAME)
    assert "\n" not in error


def test_an_archive_that_is_cut_is_refused(seed):
    for length in range(0, len(seed), 3):
        with pytest.raises(ArchiveError):
            read(seed[:length])


def test_a_medium_that_fails_is_not_a_damaged_archive(seed):
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if 30 < self.tell() < 300:
                raise OSError(5, os.strerror(5))
            return super().read(size)

    with pytest.raises(OSError, match="Errno 5"):
        read_from(Failing(seed))
