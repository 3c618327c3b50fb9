"""Bundles inside of a ``.7z``: found without a copy, and every other file refused."""

from __future__ import annotations

import os
import random
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import sevenzip
from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import BundleError, KitbagError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.sevenzip import COPY, FRAME, MAGIC, NEXT, START, Inner, look, unwrapped
from kitbag_bundles.volumes import Volumes
from kitbag_packer.sevenzip import spell_header
from support.bundled import tiny_bundle
from support.require import require_command


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("b") / "tools.kitbag", "3.13.5", "3.12.1")


def framed(data, header, *, after=b"", offset=None):
    following = NEXT.pack(len(data) if offset is None else offset, len(header), zlib.crc32(header))
    start = START.pack(MAGIC, 0, 4, zlib.crc32(following)) + following
    return start + data + header + after


def stored(data):
    return framed(data, spell_header("x.kitbag", len(data), zlib.crc32(data)))


def volumes_of(path, data):
    path.write_bytes(data)
    return Volumes.of_file(str(path))


def seven_zip(*arguments, cwd=None):
    program = require_command("7z")
    return subprocess.run(
        [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_a_stored_bundle_is_read_in_place(bundle, tmp_path):
    (tmp_path / "t.7z").write_bytes(stored(bundle.read_bytes()))
    with Bundle.open(bundle) as plain, Bundle.open(tmp_path / "t.7z") as inner:
        assert inner.manifest == plain.manifest
        assert inner.promised == plain.promised
        assert inner.verify(SilentReporter()).sha256 == plain.verify(SilentReporter()).sha256
        for build in inner.manifest.builds:
            with inner.open_payload(build) as one, plain.open_payload(build) as other:
                assert one.read() == other.read()


def test_so_is_one_in_volumes(bundle, tmp_path):
    data = stored(bundle.read_bytes())
    for number in range(0, len(data), 1 << 16):
        name = f"t.7z.{number // (1 << 16) + 1:03}"
        (tmp_path / name).write_bytes(data[number : number + (1 << 16)])
    with Bundle.open(tmp_path / "t.7z.001") as inner:
        assert len(inner.verify(SilentReporter()).members) > 5


@pytest.mark.parametrize("options", [("-mx=0",), ("-mx=0", "-mtc=on", "-mta=on"), ("-m0=Copy",)])
def test_so_is_one_that_7zip_stored(bundle, tmp_path, options):
    done = seven_zip("a", *options, tmp_path / "t.7z", bundle)
    assert done.returncode == 0, done.stdout
    with Bundle.open(tmp_path / "t.7z") as inner:
        assert len(inner.manifest.builds) == 2


def test_a_stream_over_the_run_ends_with_it(tmp_path):
    volumes = volumes_of(tmp_path / "f", b"abcdefghij")
    inner = Inner(volumes, 2, 5)
    with inner.open() as stream:
        assert stream.read() == b"cdefg"
        assert stream.seek(-2, os.SEEK_END) == 3
        assert stream.read(10) == b"fg"
        assert stream.tell() == 5
        stream.seek(1)
        assert stream.seek(1, os.SEEK_CUR) == 2
        assert stream.read(1) == b"e"
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)
    assert [piece[1:] for piece in inner.pieces(1, 100)] == [(3, 4)]


def test_another_file_is_itself(bundle):
    volumes = Volumes.of_file(str(bundle))
    assert unwrapped(volumes) is volumes


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: stored(d)[:-1], "does not end where it says"),
        (lambda d: stored(d) + b"x", "does not end where it says"),
        (lambda d: stored(d)[:20], "too short"),
        (lambda d: stored(d)[:13] + b"\xff" + stored(d)[14:], "its CRC"),
        (lambda d: stored(d)[:-3] + b"\xff" + stored(d)[-2:], "its CRC"),
        (lambda d: framed(b"", b""), "holds nothing"),
        (lambda d: framed(d, bytes(70000)), "holds many members"),
        (lambda d: framed(d, b"\x01\x05\x00\x00\x00"), "no file with content"),
        (lambda d: framed(d, b"\x01\x04"), "cannot be read"),
        (lambda d: framed(d, b"\x99"), "cannot be read"),
        (lambda d: framed(d, spell_header("x", len(d) + 1, 0)), "does not fit"),
        (lambda d: framed(d, spell_header("x", 1 << 62, 0)), "does not fit"),
        (lambda d: framed(d, spell_header("x", len(d), 0).replace(b"\x05\x01", b"\x05\x02")),
         "several members"),
        (lambda d: framed(d, spell_header("x", len(d), 0).replace(b"\x0b\x01", b"\x0b\x7f")),
         "several members"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, make, words):
    with pytest.raises(BundleError, match=words) as caught:
        look(volumes_of(tmp_path / "t.7z", make(b"0123456789")))
    assert str(tmp_path / "t.7z") in str(caught.value)


def test_several_members_are_refused(bundle, tmp_path):
    (tmp_path / "other").write_text("other")
    for options in (("-mx=0",), ("-mx=0", "-ms=off")):
        seven_zip("a", *options, tmp_path / "t.7z", bundle, tmp_path / "other")
        with pytest.raises(KitbagError, match=r"7z x FILE"):
            Bundle.open(tmp_path / "t.7z")
        (tmp_path / "t.7z").unlink()


@pytest.mark.parametrize(
    ("options", "kind"),
    [(("-mx=1",), "compressed"), (("-mx=0", "-ps3cret"), "encrypted"),
     (("-mx=0", "-ps3cret", "-mhe=on"), "encrypted"), (("-mx=1", "-ps3cret"), "encrypted")],
)  # fmt: skip
def test_what_must_be_converted_first(bundle, tmp_path, options, kind):
    seven_zip("a", *options, tmp_path / "t.7z", bundle)
    with pytest.raises(UsageError, match=f"is {kind}.*kitbag convert"):
        Bundle.open(tmp_path / "t.7z")


def test_any_flipped_byte_of_the_frame_is_noticed(bundle, tmp_path):
    data = stored(bundle.read_bytes())
    end = FRAME + bundle.stat().st_size
    # Nobody needs the version, at 6 and 7.
    for position in (*range(8, FRAME), *range(end, len(data))):
        changed = bytearray(data)
        changed[position] ^= 0x10
        with pytest.raises(BundleError):
            look(volumes_of(tmp_path / "t.7z", bytes(changed)))


@given(st.binary(max_size=120))
def test_no_header_gets_past(tmp_path_factory, header):
    path = tmp_path_factory.getbasetemp() / "fuzzed.7z"
    for start in (b"", b"\x01\x04", b"\x01\x04\x06\x00\x01\x09\x0a\x00\x07\x0b\x01\x00"):
        volumes = volumes_of(path, framed(b"0123456789", start + header))
        try:
            found = look(volumes)
        except BundleError:
            continue
        assert found.kind != sevenzip.STORED or found.offset + found.size <= volumes.size


def test_mutations_of_a_good_header(tmp_path):
    good = spell_header("x.kitbag", 10, 0)
    numbers = random.Random(7)
    for _ in range(500):
        header = bytearray(good)
        for _ in range(numbers.randrange(1, 4)):
            header[numbers.randrange(len(header))] = numbers.randrange(256)
        try:
            found = look(volumes_of(tmp_path / "t.7z", framed(b"0123456789", bytes(header))))
        except BundleError:
            continue
        assert found.kind != sevenzip.STORED or (found.offset, found.size) == (FRAME, 10)
    assert COPY == b"\0"


def test_damage_inside_is_named(bundle, tmp_path):
    from kitbag_bundles.damage import diagnose

    with Bundle.open(bundle) as opened:
        build = opened.manifest.builds[0]
        offset = opened.payload_location(build).offset
    data = bytearray(stored(bundle.read_bytes()))
    data[FRAME + offset + 7] ^= 1
    (tmp_path / "t.7z").write_bytes(data)
    (found,) = [
        each
        for each in diagnose(tmp_path / "t.7z", SilentReporter())
        if each.name == build.payload.member
    ]
    assert found.offset == offset
