"""Wheels read in one pass: what comes out is what `zipfile` says, and bad ones are refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments import archives
from kitbag_installer.environments.archives import WheelStream, digest_of, read_directory

NAME = "x-1-py3-none-any.whl"


def read(data: bytes) -> tuple[dict[str, bytes], str, int]:
    """All files, the digest, and how many bytes it was told were read."""
    counted: list[int] = []
    stream = io.BytesIO(data)
    members = read_directory(stream, len(data), NAME)
    source = WheelStream(stream, len(data), NAME, counted.append)
    files = {each.path: b"".join(source.content(each)) for each in members}
    return files, source.finish(), sum(counted)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **more: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, **more) as archive:  # type: ignore[arg-type]
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


FILES = {
    "a.py": b"x = 1\n",
    "empty": b"",
    "ü/東.txt": b"text",
    "zeros": bytes(3_000_000),
    "dense": hashlib.shake_128(b"x").digest(700_000),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("inflater", ["here", "zlib"])
def test_all_files_come_out_and_every_byte_is_hashed(monkeypatch, method, inflater):
    if inflater == "zlib":
        monkeypatch.setattr(archives, "_inflater", lambda: zlib)
    data = zipped(FILES, method)
    files, digest, counted = read(data)
    assert files == FILES
    assert digest == hashlib.sha256(data).hexdigest() == digest_of(io.BytesIO(data))
    assert counted == len(data)


@given(
    st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1), st.binary()),
    st.integers(0, 9),
)
def test_whatever_is_in_it_comes_out(files, level):
    data = zipped(files, compresslevel=level)
    assert read(data)[0] == files


class Unseekable(io.BytesIO):
    """What makes `zipfile` write data descriptors."""

    def seekable(self):
        return False

    def tell(self):
        raise io.UnsupportedOperation

    def seek(self, *_):
        raise io.UnsupportedOperation


def test_data_descriptors_and_comments_are_nothing_special():
    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"a comment"
        for name, content in FILES.items():
            archive.writestr(name, content)
    data = out.getvalue()
    files, digest, _ = read(data)
    assert (files, digest) == (FILES, hashlib.sha256(data).hexdigest())


def test_sizes_in_the_fields_of_zip64():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(zipfile.ZipInfo("large"), "w", force_zip64=True) as member:
            member.write(b"large" * 1000)
        archive.writestr("small", b"small")
    assert read(out.getvalue())[0] == {"large": b"large" * 1000, "small": b"small"}


def test_more_members_than_a_plain_directory_counts():
    names = [f"f{number}" for number in range(66_000)]
    data = zipped(dict.fromkeys(names, b""), zipfile.ZIP_STORED)
    members = read_directory(io.BytesIO(data), len(data), NAME)
    assert [each.path for each in members] == names


def test_executables_are_those_of_unix():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, system, mode in (("a", 3, 0o755), ("b", 3, 0o644), ("c", 0, 0o755)):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = system, mode << 16
            archive.writestr(info, b"")
    data = out.getvalue()
    members = read_directory(io.BytesIO(data), len(data), NAME)
    assert [each.executable for each in members] == [True, False, False]


def test_directories_are_left_out():
    data = zipped({"a/": b"", "a/b": b"b"})
    assert read(data)[0] == {"a/b": b"b"}


def _patched(at: int, new: bytes) -> bytes:
    data = bytearray(zipped({"a.py": b"x = 1\n" * 50}))
    data[at : at + len(new)] = new
    return bytes(data)


def _central(offset: int, new: bytes) -> bytes:
    data = zipped({"a.py": b"x = 1\n" * 50})
    return _patched(data.index(b"PK\1\2") + offset, new)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has no zip directory"),
        (b"PK" * 100, "has no zip directory"),
        (zipped(FILES)[:-30], "has no zip directory"),
        (zipped(FILES) + b"more", "something behind its zip directory"),
        (_central(0, b"XX"), "broken entry"),
        (_central(8, b"\1\0"), "encrypted"),
        (_central(10, b"\x0c\0"), "packed in a rare way"),
        (_central(24, b"\x01\0\0\0"), "wrong size"),
        (_central(24, b"\xff\0\0\1"), "wrong size"),
        (_central(20, b"\3\0\0\0"), "wrong size"),
        (_central(42, b"\3\0\0\0"), "something in front of the zip"),
        (_central(46, b"b.py"), "another name"),
        (_patched(0, b"XX"), "no header"),
        (_patched(34, b"\xff\xff\xff"), "can't be unpacked"),
    ],
)
def test_what_is_no_sound_zip_file_is_refused(data, said):
    with pytest.raises(ArchiveError, match=said) as caught:
        read(data)
    assert str(caught.value).startswith(NAME)


def test_two_members_in_one_place_are_refused():
    data = bytearray(zipped({"a": b"x" * 100, "b": b"x" * 100}))
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    data[second + 42 : second + 46] = bytes(4)
    with pytest.raises(ArchiveError, match=r"something else|another name"):
        read(bytes(data))


@given(st.data())
def test_no_damage_ends_in_another_error(data):
    wheel = bytearray(zipped({"a.py": b"x = 1\n" * 9, "b/c": b"", "d": b"d" * 99}))
    for _ in range(data.draw(st.integers(1, 4))):
        wheel[data.draw(st.integers(0, len(wheel) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ArchiveError):
        read(bytes(wheel))
