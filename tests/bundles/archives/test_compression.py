import bz2
import gzip
import hashlib
import importlib.util
import io
import lzma
import os
import random
import subprocess
import sys
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kitbag_bundles.archives import compression
from kitbag_bundles.archives.compression import decompressed
from kitbag_bundles.errors import ArchiveError, DoesNotFit, FileSystemError
from support.members import compress_tar, gzip_bytes, zstd_bytes
from support.outcome import outcome
from support.require import require_command

ZSTD = ["compression.zstd", "backports.zstd", "zstandard"]


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


# Each decoder that this Python has, and the modules that must be out of sight for it.
DECODERS = [
    pytest.param(".tar.gz", [], id="gzip-best"),
    pytest.param(".tar.gz", ["isal.isal_zlib"], id="gzip-zlib"),
    pytest.param(".tgz", ["isal.isal_zlib"], id="tgz"),
    pytest.param(".tar.bz2", [], id="bz2"),
    pytest.param(".tar.xz", [], id="xz"),
    *(
        pytest.param(".tar.zst", [other for other in ZSTD if other != name], id=f"zst-{name}")
        for name in ZSTD
        if _is_there(name)
    ),
]
ZSTD_DECODERS = [case.values[1] for case in DECODERS if case.values[0] == ".tar.zst"]
DATA = random.Random(7).randbytes(70_000) + b"python " * 40_000 + bytes(50_000)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch):
    """Hide modules, so that one certain decoder is left."""

    def choose(suffix: str, hidden: list[str]) -> None:
        for name in hidden:
            monkeypatch.setitem(sys.modules, name, None)

    return choose


class Dribble(io.BytesIO):
    """A stream that gives one byte at a time, as a slow pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1, size if size is not None and size >= 0 else 1))


def unpacked(data: bytes, suffix: str, stream: type[io.BytesIO] = io.BytesIO) -> bytes:
    return b"".join(decompressed(stream(data), f"x{suffix}", suffix))


@pytest.mark.parametrize(("suffix", "hidden"), [case.values for case in DECODERS])
class TestEveryDecoder:
    @pytest.mark.parametrize("size", [0, 1, 4096, len(DATA)])
    def test_round_trip(self, decoder, suffix, hidden, size):
        decoder(suffix, hidden)
        assert unpacked(compress_tar(DATA[:size], suffix), suffix) == DATA[:size]

    def test_a_stream_that_comes_byte_by_byte(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        data = DATA[:3000] + DATA[-3000:]
        assert unpacked(compress_tar(data, suffix), suffix, Dribble) == data

    def test_the_digest_sees_every_byte(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        digest = hashlib.sha256()
        stream = io.BytesIO(compress_tar(DATA, suffix))
        for _ in decompressed(stream, f"x{suffix}", suffix, digest):
            pass
        assert digest.digest() == hashlib.sha256(DATA).digest()

    def test_several_streams_are_one(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        pieces = [DATA[:100], DATA[100:90_000], b"", DATA[90_000:]]
        data = b"".join(compress_tar(piece, suffix) for piece in pieces)
        assert unpacked(data, suffix) == DATA

    def test_a_cut_anywhere_is_noticed(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        original = random.Random(1).randbytes(500) + b"python " * 200
        data = compress_tar(original, suffix)
        for length in range(len(data)):
            found, error = outcome(lambda: unpacked(data[:length], suffix), ArchiveError)  # noqa: B023
            if found is None:
                assert error.startswith(f"x{suffix}: damaged archive (")
                continue
            # Only zstandard's reader takes a cut for an end; the tar inside tells then.
            assert "backports.zstd" in hidden
            assert "zstandard" not in hidden
            assert length
            assert original.startswith(found)

    @pytest.mark.parametrize("garbage", [b"garbage", bytes(700), b"\x1f", b"\xff" * 9])
    def test_what_stands_behind_the_end_is_refused(self, decoder, suffix, hidden, garbage):
        decoder(suffix, hidden)
        with pytest.raises(ArchiveError, match="damaged archive"):
            unpacked(compress_tar(DATA, suffix) + garbage, suffix)

    def test_an_empty_file_is_refused(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        with pytest.raises(ArchiveError, match="it is empty"):
            unpacked(b"", suffix)

    def test_nothing_but_archive_errors_for_mutated_bytes(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        chance = random.Random(3)
        data = compress_tar(DATA[60_000:90_000], suffix)
        for _ in range(150):
            mutated = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                mutated[chance.randrange(min(len(data), 400))] = chance.randrange(256)
            try:
                unpacked(bytes(mutated), suffix)
            except ArchiveError:
                continue

    def test_a_bomb_is_stopped_early_in_little_memory(self, decoder, suffix, hidden):
        decoder(suffix, hidden)
        produced = 0

        def consume() -> None:
            nonlocal produced
            for chunk in decompressed(io.BytesIO(_bomb(suffix)), f"x{suffix}", suffix):
                assert len(chunk) <= compression.CHUNK_SIZE
                produced += len(chunk)

        with pytest.raises(ArchiveError, match="200 times its size"):
            consume()
        assert produced <= (256 << 20) + compression.CHUNK_SIZE

    def test_a_medium_that_fails_is_not_a_damaged_archive(self, decoder, suffix, hidden):
        decoder(suffix, hidden)

        class Failing(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                if self.tell() > 1000:
                    raise OSError(5, os.strerror(5))
                return super().read(1000)

        with pytest.raises(FileSystemError, match=r"can't be read .*; check the medium"):
            unpacked(compress_tar(DATA, suffix), suffix, Failing)

    @settings(max_examples=15, deadline=None)
    @given(data=st.data())
    def test_any_bytes_are_the_stream_or_an_error(self, suffix, hidden, data):
        noise = data.draw(st.binary(min_size=1, max_size=200))
        with pytest.raises(ArchiveError):
            unpacked(noise, suffix)


_BOMBS: dict[str, bytes] = {}


def _bomb(suffix: str) -> bytes:
    """300 to 600 MiB of zeros, in far less than a hundredth of that."""
    if suffix not in _BOMBS:
        zeros = bytes(1 << 20)
        if suffix == ".tar.bz2":
            # One compressed part, many times: bzip2 itself is slow.
            _BOMBS[suffix] = bz2.compress(bytes(10 << 20)) * 60
        elif suffix == ".tar.zst":
            _BOMBS[suffix] = zstandard.compress(bytes(10 << 20)) * 60
        elif suffix == ".tar.xz":
            _BOMBS[suffix] = lzma.compress(bytes(10 << 20), preset=0) * 60
        else:
            encoder = zlib.compressobj(6, zlib.DEFLATED, 31)
            pieces = [encoder.compress(zeros) for _ in range(300)]
            _BOMBS[suffix] = b"".join(pieces) + encoder.flush()
    return _BOMBS[suffix]


@pytest.mark.parametrize("hidden", ZSTD_DECODERS)
def test_zstd_frames_may_ask_for_the_window_of_level_22(decoder, hidden):
    decoder(".tar.zst", hidden)
    assert unpacked(zstd_bytes(DATA, window_log=27), ".tar.zst") == DATA


@pytest.mark.parametrize("hidden", ZSTD_DECODERS)
def test_zstd_frames_may_not_ask_for_more(decoder, hidden):
    decoder(".tar.zst", hidden)
    with pytest.raises(ArchiveError, match="damaged archive"):
        unpacked(zstd_bytes(DATA, window_log=28), ".tar.zst")


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ZSTD_DECODERS)
def test_a_match_across_128_mib_is_found(decoder, hidden):
    """What level 22 makes of a repeat that lies almost a whole window back."""
    decoder(".tar.zst", hidden)
    block = random.Random(5).randbytes(1 << 20)
    filler = bytes(126 << 20)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        1, window_log=27, enable_ldm=True, write_content_size=False
    )
    encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = encoder.compress(block + filler + block) + encoder.flush()
    assert len(data) < 1_200_000
    digest = hashlib.sha256()
    for _ in decompressed(io.BytesIO(data), "x.tar.zst", ".tar.zst", digest):
        pass
    assert digest.digest() == hashlib.sha256(block + filler + block).digest()


def test_without_any_zstd_the_way_out_is_told(decoder, monkeypatch):
    for name in ZSTD:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DoesNotFit, match=r"x\.tar\.zst: .* needs Python 3\.14, or the zstandard"):
        unpacked(b"anything", ".tar.zst")


def test_without_lzma_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(DoesNotFit, match=r"x\.tar\.xz: this Python has no lzma"):
        unpacked(b"anything", ".tar.xz")


@pytest.mark.parametrize(
    ("suffix", "command"),
    [
        (".tar.gz", ["gzip", "-9c"]),
        (".tar.zst", ["zstd", "-19", "--long=27", "-qc"]),
        (".tar.xz", ["xz", "-6c"]),
        (".tar.bz2", ["bzip2", "-c"]),
    ],
)
def test_what_the_usual_tools_write(suffix, command):
    require_command(command[0])
    done = subprocess.run(command, input=DATA, capture_output=True, check=True)
    assert unpacked(done.stdout, suffix) == DATA


def test_a_gzip_header_with_all_its_fields():
    buffer = io.BytesIO()
    with gzip.GzipFile("python.tar", "wb", fileobj=buffer, mtime=1) as stream:
        stream.write(DATA)
    assert unpacked(buffer.getvalue(), ".tgz") == DATA


def test_memory_is_bounded_by_the_chunks_and_not_by_the_archive():
    data = gzip_bytes(bytes(64 << 20) + DATA)
    tracemalloc.start()
    try:
        for _ in decompressed(io.BytesIO(data), "x.tar.gz", ".tar.gz"):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
