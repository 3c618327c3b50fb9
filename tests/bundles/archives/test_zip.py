import io
import os
import random
import stat
import struct
import subprocess
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitbag_bundles.archives import Member, open_archive
from kitbag_bundles.archives.compression import CHUNK_SIZE
from kitbag_bundles.errors import ArchiveError
from support.hostile import REFUSE, hostile_archives
from support.members import Member as Given
from support.members import zip_bytes
from support.outcome import outcome
from support.require import require_command

NAME = "pypy3.11-v7.3.19-win64.zip"


def read_from(stream: io.BytesIO) -> list[tuple[Member, bytes]]:
    with open_archive(stream, NAME) as members:
        return [(member, b"".join(chunks)) for member, chunks in members]


def read(data: bytes) -> list[tuple[Member, bytes]]:
    return read_from(io.BytesIO(data))


def one(info: zipfile.ZipInfo, data: bytes = b"data") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, data)
    return buffer.getvalue()


def entry(name: str, mode: int = 0, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = system, mode << 16
    return info


def test_all_that_a_member_is():
    members = [
        Given("python", b"", 0o755, "d"),
        Given("python/bin/python", b"#!", 0o755),
        Given("python/LICENSE", b"free", 0o664),
        Given("python/link", kind="l", target="bin/python"),
        Given("python/empty", b""),
    ]
    assert read(zip_bytes(members)) == [
        (Member("python", "d", 0o755, 0, ""), b""),
        (Member("python/bin/python", "f", 0o755, 2, ""), b"#!"),
        (Member("python/LICENSE", "f", 0o664, 4, ""), b"free"),
        (Member("python/link", "l", 0o777, 0, "bin/python"), b""),
        (Member("python/empty", "f", 0o664, 0, ""), b""),
    ]


def test_a_zip_from_windows_has_no_modes():
    assert read(one(entry("python.exe", 0o777, system=0))) == [
        (Member("python.exe", "f", 0o644, 4, ""), b"data")
    ]


def test_members_come_in_the_order_of_their_data():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in "cab":
            archive.writestr(name, name)
        archive.filelist.reverse()
    assert [member.path for member, _ in read(buffer.getvalue())] == ["c", "a", "b"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_members_come_in_chunks(method):
    data = random.Random(1).randbytes(3 * CHUNK_SIZE + 5)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("big", data)
    with open_archive(buffer, NAME) as members:
        for member, chunks in members:
            found = list(chunks)
            assert member.size == len(data)
            assert b"".join(found) == data
            assert max(map(len, found)) <= CHUNK_SIZE


def test_what_is_not_read_is_skipped():
    data = zip_bytes([Given("a", b"1" * 100), Given("b", b"2")])
    with open_archive(io.BytesIO(data), NAME) as members:
        assert [member.path for member, _ in members] == ["a", "b"]


def test_what_info_zip_writes(tmp_path):
    command = require_command("zip")
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "file").write_bytes(b"data" * 100)
    (tmp_path / "python" / "file").chmod(0o750)
    (tmp_path / "python" / "link").symlink_to("file")
    subprocess.run([command, "-qry", "x.zip", "python"], cwd=tmp_path, check=True)
    assert sorted(read((tmp_path / "x.zip").read_bytes())) == [
        (Member("python", "d", 0o755, 0, ""), b""),
        (Member("python/file", "f", 0o750, 400, ""), b"data" * 100),
        (Member("python/link", "l", 0o777, 0, "file"), b""),
    ]


@pytest.mark.parametrize(
    ("info", "data", "message"),
    [
        (entry("../escape"), b"", "forbidden name"),
        (entry("/escape"), b"", "forbidden name"),
        (entry("link", stat.S_IFLNK | 0o777), b"/etc/passwd", "out of its tree"),
        (entry("link", stat.S_IFLNK | 0o777), b"", "out of its tree"),
        (entry(".", stat.S_IFLNK | 0o777), b"/etc", "out of its tree"),
        (entry("link", stat.S_IFLNK | 0o777), b"x" * 5000, "a target of 5000 bytes"),
        (entry("pipe", stat.S_IFIFO | 0o644), b"", "neither a file"),
        (entry("null", stat.S_IFCHR | 0o644), b"", "neither a file"),
        (entry("."), b"", "neither a file"),
        (entry("su", stat.S_IFREG | 0o4755), b"", "setuid, setgid or sticky bit"),
    ],
)
def test_refusals_say_what_is_wrong(info, data, message):
    with pytest.raises(ArchiveError) as caught:
        read(one(info, data))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{NAME}: ")


def test_a_name_behind_a_nul_is_not_lost():
    data = one(entry("python/okX../../escape")).replace(b"okX..", b"ok\0..")
    with pytest.raises(ArchiveError, match="forbidden name"):
        read(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_upstream_does_not_use_are_refused(method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("x", b"data" * 100)
    with pytest.raises(ArchiveError, match="'x' is packed by the method"):
        read(buffer.getvalue())


def test_an_encrypted_member_is_told_as_such():
    data = bytearray(one(entry("x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(ArchiveError, match="is encrypted; unpack and repack it plainly"):
        read(bytes(data))


def test_a_bomb_is_refused_by_its_own_figures():
    data = bytearray(one(entry("x")))
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 1 << 30)
    with pytest.raises(ArchiveError, match="200 times its size"):
        read(bytes(data))


_ONLY_TOGETHER = {"zip-drive", "zip-repeated"}


@pytest.mark.parametrize(
    "name", sorted(name for name, case in hostile_archives().items() if case.suffix == ".zip")
)
def test_hostile_archives(name, tmp_path):
    case = hostile_archives()[name]
    archive = case(tmp_path)

    def read_all() -> bool:
        with archive.open("rb") as stream, open_archive(stream, archive.name) as members:
            for _, chunks in members:
                for _ in chunks:
                    pass
        return True

    accepted, error = outcome(read_all, ArchiveError)
    assert "\n" not in error
    if accepted:
        assert case.verdict != REFUSE or name in _ONLY_TOGETHER, case.why


SEED = zip_bytes(
    [
        Given("python/bin/python", b"#!" + bytes(range(256)), 0o755),
        Given("python/link", kind="l", target="bin/python"),
        Given("python/caf\xe9/data", b"data" * 200),
    ]
)


@settings(max_examples=500)
@given(
    st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=5)
)
def test_nothing_but_archive_errors_for_mutated_bytes(changes):
    data = bytearray(SEED)
    for place, value in changes:
        data[place] = value
    found, error = outcome(lambda: read(bytes(data)), ArchiveError)
    assert found is not None or error.startswith(NAME)
    assert all(len(content) == member.size for member, content in found or ())


def test_a_zip_that_is_cut_anywhere_is_refused():
    for length in range(len(SEED)):
        with pytest.raises(ArchiveError):
            read(SEED[:length])


@given(st.binary(max_size=300))
def test_noise_is_no_zip(data):
    with pytest.raises(ArchiveError):
        read(data)


def test_a_medium_that_fails_is_not_a_damaged_archive():
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if 30 < self.tell() < 200:
                raise OSError(5, os.strerror(5))
            return super().read(size)

    with pytest.raises(OSError, match="Errno 5"):
        read_from(Failing(SEED))
