"""Turns a compressed stream into chunks of the tar inside, with what this Python has at hand.

Accelerators are looked for here and nowhere else: ``isal`` for gzip; for zstd the standard
library's ``compression.zstd`` (3.14), ``backports.zstd`` or ``zstandard``. Without the first gzip
is slower, without any of the others ``.tar.zst`` can't be read.

A stream that swells beyond all reason is stopped: see :func:`check_growth`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from kitbag_bundles.archives.members import check_growth
from kitbag_bundles.errors import ArchiveError, DoesNotFit, FileSystemError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

READ_SIZE = 128 * 1024
CHUNK_SIZE = 512 * 1024
ZSTD_WINDOW_LOG = 27
"""128 MiB: what ``zstd -22`` uses for a whole archive, and the most that stock decoders accept."""
LZMA_MEMORY = 512 * 1024 * 1024


class _Source:
    """The compressed stream, counting what was read of it."""

    def __init__(self, stream: BinaryIO, filename: str) -> None:
        self._stream = stream
        self._filename = filename
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(READ_SIZE if size < 0 else size)
        except OSError as error:
            raise FileSystemError(
                f"{self._filename}: can't be read ({error.strerror}); check the medium"
            ) from None
        self.count += len(data)
        return data


class _Codec(NamedTuple):
    """How to decode: a producer of chunks, and the errors by which it says that data is bad."""

    chunks: Callable[[_Source], Iterator[bytes]]
    errors: tuple[type[BaseException], ...]


def decompressed(
    stream: BinaryIO, filename: str, suffix: str, digest: Any = None
) -> Generator[bytes, None, None]:
    """Yield the uncompressed bytes of ``stream``; feed them to ``digest`` too.

    Several gzip members, zstd frames, xz or bz2 streams in a row are one stream, as their formats
    say; anything else behind the last is refused. Raises :class:`ArchiveError`, and
    :class:`DoesNotFit` if the decoder is missing.
    """
    codec = _CODECS[suffix](filename)
    source = _Source(stream, filename)
    produced = 0
    try:
        for chunk in codec.chunks(source):
            produced += len(chunk)
            check_growth(produced, source.count, filename)
            if digest is not None:
                digest.update(chunk)
            yield chunk
    except codec.errors as error:
        raise ArchiveError(f"{filename}: damaged archive ({error}); fetch it again") from None


def _pushed(source: _Source, new_decoder: Callable[[], Any], feed: Any) -> Iterator[bytes]:
    """Decode stream after stream with decoders that know where their stream ends."""
    data = source.read()
    if not data:
        raise EOFError("it is empty")
    while data:
        decoder = new_decoder()
        while True:
            yield from feed(decoder, data)
            if decoder.eof:
                data = decoder.unused_data or source.read()
                break
            data = source.read()
            if not data:
                raise EOFError("it is cut short")


def _feed_bounded(decoder: Any, data: bytes) -> Iterator[bytes]:
    """zlib and isal hand back the input for which the output had no room."""
    while True:
        chunk = decoder.decompress(data, CHUNK_SIZE)
        if chunk:
            yield chunk
        data = decoder.unconsumed_tail
        if decoder.eof or (not data and len(chunk) < CHUNK_SIZE):
            return


def _feed_buffering(decoder: Any, data: bytes) -> Iterator[bytes]:
    """bz2, lzma and the standard library's zstd keep such input themselves."""
    while True:
        chunk = decoder.decompress(data, CHUNK_SIZE)
        if chunk:
            yield chunk
        if decoder.eof or decoder.needs_input:
            return
        data = b""


def _gzip(filename: str) -> _Codec:
    import zlib

    module = inflating()
    return _Codec(
        lambda source: _pushed(source, lambda: module.decompressobj(31), _feed_bounded),
        (zlib.error, module.error, EOFError),
    )


def inflating() -> Any:
    """The module that unpacks deflated data here: isal's, two to three times as fast, or zlib."""
    import zlib

    return _first_of("isal.isal_zlib") or zlib


def _bzip2(filename: str) -> _Codec:
    import bz2

    return _Codec(
        lambda source: _pushed(source, bz2.BZ2Decompressor, _feed_buffering),
        (OSError, EOFError),
    )


def _xz(filename: str) -> _Codec:
    module: Any = _first_of("lzma")
    if module is None:
        raise DoesNotFit(f"{filename}: this Python has no lzma module; use a Python that has one")
    return _Codec(
        lambda source: _pushed(
            source,
            lambda: module.LZMADecompressor(module.FORMAT_XZ, memlimit=LZMA_MEMORY),
            _feed_buffering,
        ),
        (module.LZMAError, EOFError),
    )


def _zstd(filename: str) -> _Codec:
    module: Any = _first_of("compression.zstd", "backports.zstd")
    if module is not None:
        options = {module.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
        return _Codec(
            lambda source: _pushed(
                source, lambda: module.ZstdDecompressor(options=options), _feed_buffering
            ),
            (module.ZstdError, EOFError),
        )
    library: Any = _first_of("zstandard")
    if library is None:
        raise DoesNotFit(
            f"{filename}: .tar.zst needs Python 3.14, or the zstandard package beside this Python"
        )
    return _Codec(lambda source: _zstandard(source, library), (library.ZstdError, EOFError))


def _zstandard(source: _Source, library: Any) -> Iterator[bytes]:
    """zstandard's push decoder has no bound for its output, so its reader is used.

    That reader takes the end of its input for the end of a frame; a cut shows in the tar inside.
    """
    decoder = library.ZstdDecompressor(max_window_size=1 << ZSTD_WINDOW_LOG)
    with decoder.stream_reader(source, read_size=READ_SIZE, read_across_frames=True) as reader:
        while chunk := reader.read(CHUNK_SIZE):
            yield chunk
    if not source.count:
        raise EOFError("it is empty")


def _first_of(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_CODECS: dict[str, Callable[[str], _Codec]] = {
    ".tar.gz": _gzip,
    ".tgz": _gzip,
    ".tar.bz2": _bzip2,
    ".tar.xz": _xz,
    ".tar.zst": _zstd,
}
