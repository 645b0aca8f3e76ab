"""The codecs of Kafka's record batches, with decompression bounded while it streams.

Codec libraries are imported on first use of the codec. Nothing here trusts a size that the
compressed data claims: output stops one byte past the limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from ottla.records.errors import BatchTooLarge, CorruptBatch
from ottla.records.record import BytesLike

if TYPE_CHECKING:
    import zstandard

# Compressed input is fed in pieces, so that what a library copies aside stays small.
_INPUT_CHUNK_BYTES = 64 * 1024
_OUTPUT_CHUNK_BYTES = 256 * 1024
# The largest window Kafka's Java clients accept (zstd level 22 uses it). The library reserves the
# window's addresses but touches only what it decodes into, which the limit bounds.
_ZSTD_MAX_WINDOW_BYTES = 128 * 1024 * 1024
# A context keeps the memory of the largest window it has filled; a thread keeps no larger one.
_ZSTD_KEPT_WINDOW_BYTES = 8 * 1024 * 1024
# What SnappyOutputStream of xerial's snappy-java writes: magic, version 1, compatible with 1.
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"
_XERIAL_BLOCK_BYTES = 32 * 1024
_LZ4_MAGIC = b"\x04\x22\x4d\x18"
# Kafka's defaults (compression.*.level); its lz4 default of 9 means the fast compressor.
_LZ4_DEFAULT_LEVEL = 9
_ZSTD_DEFAULT_LEVEL = 3
# igzip knows levels 0 to 3; who asks for more wants the ratio of zlib's slower levels.
_IGZIP_MAX_LEVEL = 3


class Codec(IntEnum):
    """Compression codec, numbered as in a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def compress(codec: Codec, data: BytesLike, level: int | None = None) -> bytes:
    """Compress a batch's records as Kafka's Java clients would read them.

    ``level`` is one of Kafka's ``compression.gzip.level``, ``.lz4.level`` or ``.zstd.level``;
    snappy has none.
    """
    return _COMPRESSORS[codec](data, level)


def decompress(codec: Codec, data: BytesLike, max_bytes: int) -> BytesLike:
    """Decompress to at most ``max_bytes``.

    Raises ``BatchTooLarge`` beyond that, whatever the data says about its size, and
    ``CorruptBatch`` when the data isn't valid for the codec.
    """
    return _DECOMPRESSORS[codec](data, max_bytes)


def _too_large(max_bytes: int) -> BatchTooLarge:
    return BatchTooLarge(f"Records decompress to more than {max_bytes} bytes")


# --- none ---


def _copy(data: BytesLike, level: int | None) -> bytes:
    return bytes(data)


def _check_size(data: BytesLike, max_bytes: int) -> BytesLike:
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


# --- gzip ---


def _gzip_compress(data: BytesLike, level: int | None) -> bytes:
    if level is None or level < 0:
        from isal import igzip

        return bytes(igzip.compress(data, mtime=0))
    if level <= _IGZIP_MAX_LEVEL:
        from isal import igzip

        return bytes(igzip.compress(data, level, mtime=0))
    import gzip

    return gzip.compress(data, min(level, 9), mtime=0)


def _gzip_decompress(data: BytesLike, max_bytes: int) -> BytesLike:
    from isal import isal_zlib

    gzip_wbits = 31
    member = isal_zlib.decompressobj(wbits=gzip_wbits)
    output = bytearray()
    view = memoryview(data)
    pending: BytesLike = b""
    position = 0
    try:
        while True:
            if member.eof:
                pending = member.unused_data
                if not pending and position == len(view):
                    return output
                # Members may follow each other (RFC 1952); Java reads them as one stream.
                member = isal_zlib.decompressobj(wbits=gzip_wbits)
            if not pending:
                if position == len(view):
                    raise CorruptBatch("gzip data ends inside a member")
                pending = view[position : position + _INPUT_CHUNK_BYTES]
                position += len(pending)
            output += member.decompress(pending, max_bytes - len(output) + 1)
            if len(output) > max_bytes:
                raise _too_large(max_bytes)
            pending = member.unconsumed_tail
    except isal_zlib.error as error:  # type: ignore[misc] # its stub takes it for an instance
        raise CorruptBatch(f"gzip: {error}") from None


# --- snappy ---


def _snappy_compress(data: BytesLike, level: int | None) -> bytes:
    from cramjam import snappy

    view = memoryview(data)
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(snappy.compress_raw(view[start : start + _XERIAL_BLOCK_BYTES]))
        parts += (len(block).to_bytes(4, "big"), block)
    return b"".join(parts)


def _snappy_decompress(data: BytesLike, max_bytes: int) -> BytesLike:
    view = memoryview(data)
    if view[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        return _snappy_block(view, max_bytes)
    output = bytearray()
    position = 0
    while position < len(view):
        if view[position : position + len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:
            # Streams may follow each other, each with its header; versions aren't checked there.
            position += len(_XERIAL_HEADER)
            if position > len(view):
                raise CorruptBatch("snappy data ends inside a stream header")
            continue
        size = int.from_bytes(view[position : position + 4], "big", signed=True)
        position += 4
        if size < 0 or size > len(view) - position:
            raise CorruptBatch("snappy block is longer than the data")
        output += _snappy_block(view[position : position + size], max_bytes - len(output))
        position += size
    return output


def _snappy_block(block: memoryview, max_bytes: int) -> bytes:
    import cramjam

    # The length stands before the data and the library allocates it at once: ask first.
    if _snappy_declared_bytes(block) > max_bytes:
        raise _too_large(max_bytes)
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise CorruptBatch(f"snappy: {error}") from None


def _snappy_declared_bytes(block: memoryview) -> int:
    size = 0
    for index, byte in enumerate(block[:5]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return size
    raise CorruptBatch("snappy data has no valid length")


# --- lz4 ---


def _lz4_compress(data: BytesLike, level: int | None) -> bytes:
    from lz4 import frame

    fast = level is None or level == _LZ4_DEFAULT_LEVEL
    compressed: bytes = frame.compress(
        data,
        compression_level=0 if fast else level,
        block_size=frame.BLOCKSIZE_MAX64KB,
        block_linked=False,  # Java's reader supports independent blocks only
        store_size=False,
    )
    return compressed


def _lz4_decompress(data: BytesLike, max_bytes: int) -> BytesLike:
    from lz4 import frame

    view = memoryview(data)
    _check_lz4_descriptor(view)
    context = frame.LZ4FrameDecompressor()
    output = bytearray()
    position = 0
    try:
        while not context.eof:
            piece = view[position : position + _INPUT_CHUNK_BYTES] if context.needs_input else b""
            if context.needs_input and not piece:
                raise CorruptBatch("lz4 data ends inside a frame")
            position += len(piece)
            # The library sets aside all of max_length each time.
            max_length = min(max_bytes - len(output) + 1, _OUTPUT_CHUNK_BYTES)
            output += context.decompress(piece, max_length=max_length)
            if len(output) > max_bytes:
                raise _too_large(max_bytes)
    except RuntimeError as error:
        raise CorruptBatch(f"lz4: {error}") from None
    if context.unused_data or position < len(view):
        # Java's reader stops after one frame, so its consumers would never see the rest.
        raise CorruptBatch("lz4 data goes on after its frame")
    return output


def _check_lz4_descriptor(view: memoryview) -> None:
    """Refuse what Java's reader refuses: other versions, linked blocks, dictionaries."""
    if view[:4] != _LZ4_MAGIC or len(view) < 5:
        raise CorruptBatch("lz4 data has no frame header")
    flags = view[4]
    version, independent_blocks, reserved = flags >> 6, flags & 0x20, flags & 0x03
    if version != 1 or not independent_blocks or reserved:
        raise CorruptBatch(f"Unsupported lz4 frame flags {flags:#04x}")


# --- zstd ---


class _ThreadContexts(threading.local):
    """A zstd context belongs to one thread: sharing one crashes the process."""

    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor: zstandard.ZstdDecompressor | None = None


_contexts = _ThreadContexts()


def _zstd_compress(data: BytesLike, level: int | None) -> bytes:
    level = _ZSTD_DEFAULT_LEVEL if level is None else level
    compressor = _contexts.compressors.get(level)
    if compressor is None:
        import zstandard

        compressor = _contexts.compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressor.compress(data)


def _zstd_decompress(data: BytesLike, max_bytes: int) -> BytesLike:
    import zstandard

    if _contexts.decompressor is None:
        _contexts.decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW_BYTES)
    output = bytearray()
    try:
        with _contexts.decompressor.stream_reader(data, read_across_frames=True) as reader:
            while chunk := reader.read(min(max_bytes - len(output) + 1, _OUTPUT_CHUNK_BYTES)):
                output += chunk
                if len(output) > max_bytes:
                    raise _too_large(max_bytes)
    except zstandard.ZstdError as error:
        raise CorruptBatch(f"zstd: {error}") from None
    finally:
        if len(output) > _ZSTD_KEPT_WINDOW_BYTES:
            _contexts.decompressor = None
    return output


_COMPRESSORS: dict[int, Callable[[Any, int | None], bytes]] = {
    Codec.NONE: _copy,
    Codec.GZIP: _gzip_compress,
    Codec.SNAPPY: _snappy_compress,
    Codec.LZ4: _lz4_compress,
    Codec.ZSTD: _zstd_compress,
}
_DECOMPRESSORS: dict[int, Callable[[Any, int], BytesLike]] = {
    Codec.NONE: _check_size,
    Codec.GZIP: _gzip_decompress,
    Codec.SNAPPY: _snappy_decompress,
    Codec.LZ4: _lz4_decompress,
    Codec.ZSTD: _zstd_decompress,
}
