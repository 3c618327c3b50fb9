"""Hostile cases: the compressed stream around the members."""

from __future__ import annotations

import functools
import lzma
import struct
import zlib
from typing import TYPE_CHECKING

from support import rawtar
from support.members import compress_tar, gzip_bytes, zstd_bytes
from support.rawtar import END, member

from .base import ACCEPT, EITHER, LIBRARY, REFUSE, Cases, base_contents, base_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOMB_SIZE = 1 << 30  # bytes


def streams(cases: Cases) -> None:
    """Add streams that are cut, flipped, followed by something or far too long."""

    whole = functools.cache(lambda: base_tar() + END)
    packed = functools.cache(lambda: gzip_bytes(whole()))

    def stream(
        name: str, verdict: str, why: str, chunks: Callable[[], bytes], suffix: str = ".tar.gz"
    ) -> None:
        contents = base_contents() if verdict != REFUSE else None
        cases.add(name, verdict, why, lambda: [chunks()], suffix=suffix, contents=contents)

    def inner(name: str, verdict: str, why: str, tar: Callable[[], bytes]) -> None:
        stream(name, verdict, why, lambda: gzip_bytes(tar()))

    inner("truncated-in-data", REFUSE, "the tar ends inside a file", lambda: base_tar()[:3000])
    inner(
        "truncated-in-header", REFUSE, "the tar ends inside a header", lambda: base_tar() + b"pyth"
    )
    inner("no-end", EITHER, "the tar ends without its two empty blocks", base_tar)
    inner(
        "one-end-block",
        EITHER,
        "the tar ends with one empty block",
        lambda: base_tar() + bytes(512),
    )
    inner("empty-tar", REFUSE, "a tar without members", lambda: END)
    inner("nothing", REFUSE, "an empty tar stream", lambda: b"")
    inner(
        "garbage-after-tar",
        EITHER,
        "data behind the end of the tar",
        lambda: whole() + b"\xa5" * 700,
    )
    behind = member(LIBRARY + b"behind", b"behind the end\n")
    inner("member-after-end", EITHER, "a member behind the end", lambda: whole() + behind + END)
    inner(
        "blocking",
        ACCEPT,
        "filled up to a 10 kB record",
        lambda: whole() + bytes(-len(whole()) % 10240),
    )
    stream(
        "two-gzip-members",
        EITHER,
        "two gzip members, cut inside a file",
        lambda: gzip_bytes(whole()[:3000]) + gzip_bytes(whole()[3000:]),
    )
    stream(
        "garbage-after-gzip", EITHER, "bytes behind the gzip stream", lambda: packed() + b"garbage"
    )
    stream(
        "zeros-after-gzip", EITHER, "zeros behind the gzip stream", lambda: packed() + bytes(512)
    )
    stream("gzip-truncated", REFUSE, "half a gzip stream", lambda: packed()[: len(packed()) // 2])
    stream("gzip-no-trailer", REFUSE, "a gzip stream without its trailer", lambda: packed()[:-8])
    stream(
        "gzip-bad-crc",
        REFUSE,
        "a wrong CRC in the gzip trailer",
        lambda: packed()[:-8] + bytes(4) + packed()[-4:],
    )
    stream(
        "gzip-bad-length",
        REFUSE,
        "a wrong length in the gzip trailer",
        lambda: packed()[:-4] + bytes(4),
    )
    stream(
        "gzip-flipped", REFUSE, "one bit of the deflated data is wrong", lambda: _flipped(packed())
    )
    stream("not-gzip", REFUSE, "no gzip stream at all", lambda: b"<html>Not found</html>\n")
    stream("empty-file", REFUSE, "an empty file", lambda: b"")
    stream(
        "gzip-with-name", ACCEPT, "a gzip header with name and comment", lambda: _named(packed())
    )
    zst, xz, bz2 = ".tar.zst", ".tar.xz", ".tar.bz2"
    stream("zstd-frames", ACCEPT, "several zstd frames", lambda: zstd_bytes(whole(), frames=5), zst)
    skippable = struct.pack("<II", 0x184D2A50, 8) + b"skipped!"
    stream(
        "zstd-skippable",
        EITHER,
        "a skippable zstd frame",
        lambda: skippable + zstd_bytes(whole()),
        zst,
    )
    stream("zstd-truncated", REFUSE, "half a zstd frame", lambda: zstd_bytes(whole())[:900], zst)
    stream(
        "zstd-flipped",
        REFUSE,
        "one bit of a zstd frame is wrong",
        lambda: _flipped(zstd_bytes(whole())),
        zst,
    )
    stream(
        "zstd-window",
        EITHER,
        "a zstd frame that asks for a 2 GiB window",
        lambda: _window(zstd_bytes(whole()), 31),
        zst,
    )
    stream(
        "garbage-after-zstd",
        REFUSE,
        "bytes behind the zstd frame",
        lambda: zstd_bytes(whole()) + b"garbage",
        zst,
    )
    stream("xz-truncated", REFUSE, "half an xz stream", lambda: lzma.compress(whole())[:900], xz)
    stream(
        "xz-flipped",
        REFUSE,
        "one bit of an xz stream is wrong",
        lambda: _flipped(lzma.compress(whole())),
        xz,
    )
    stream(
        "bz2-truncated",
        REFUSE,
        "half a bzip2 stream",
        lambda: compress_tar(whole(), bz2)[:900],
        bz2,
    )
    stream(
        "wrong-suffix", EITHER, "a zstd stream in a file named .tar.gz", lambda: zstd_bytes(whole())
    )
    cases.add("bomb", EITHER, "a gigabyte of zeros in a megabyte", _bomb)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def _named(data: bytes) -> bytes:
    """Return a gzip stream with the optional header fields: extra, name, comment."""
    extra = b"AB\x02\x00xy"
    fields = struct.pack("<H", len(extra)) + extra + b"python.tar\0" + b"a comment\0"
    return data[:3] + bytes([4 | 8 | 16]) + data[4:10] + fields + data[10:]


def _window(data: bytes, log: int) -> bytes:
    """Return a zstd frame whose header asks for a window of 2**`log` bytes."""
    return data[:5] + bytes([(log - 10) << 3]) + data[6:]


def _bomb() -> Iterator[bytes]:
    """Yield a gzip stream; a full flush forgets what came before, so one piece serves for all."""
    encoder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)

    def piece(data: bytes) -> bytes:
        return encoder.compress(data) + encoder.flush(zlib.Z_FULL_FLUSH)

    front = base_tar() + rawtar.header(LIBRARY + b"bomb", size=BOMB_SIZE)
    zeros = bytes(1 << 20)
    yield b"\x1f\x8b\x08" + bytes(6) + b"\xff" + piece(front)
    yield piece(zeros) * (BOMB_SIZE >> 20)
    yield encoder.compress(END) + encoder.flush()
    crc = zlib.crc32(front)
    for _ in range(BOMB_SIZE >> 20):
        crc = zlib.crc32(zeros, crc)
    size = len(front) + BOMB_SIZE + len(END)
    yield struct.pack("<II", zlib.crc32(END, crc), size & 0xFFFFFFFF)
