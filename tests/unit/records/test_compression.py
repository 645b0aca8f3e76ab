"""The codecs: what Kafka's clients write and read, and nothing beyond the limit."""

from __future__ import annotations

import gzip
import random
import struct
import subprocess
import sys
import threading

import cramjam
import lz4.frame
import pytest
import zstandard

from ottla.records.compression import Codec, compress, decompress
from ottla.records.errors import BatchTooLarge, CorruptBatch

COMPRESSING = [codec for codec in Codec if codec is not Codec.NONE]
TEXT = b"the quick brown fox jumps over the lazy dog. " * 5000
NOISE = random.Random(7).randbytes(200_000)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, NOISE], ids=["empty", "one", "text", "noise"])
def test_data_comes_back_within_its_own_size(codec: Codec, data: bytes) -> None:
    assert decompress(codec, compress(codec, data), len(data)) == data
    assert decompress(codec, memoryview(compress(codec, memoryview(data))), len(data)) == data


@pytest.mark.parametrize(
    ("codec", "levels"),
    [
        (Codec.GZIP, [-1, 1, 6, 9]),
        (Codec.SNAPPY, [None]),
        (Codec.LZ4, [1, 9, 17]),
        (Codec.ZSTD, [-5, 1, 3, 22]),
    ],
)
def test_kafkas_levels_are_accepted(codec: Codec, levels: list[int | None]) -> None:
    for level in levels:
        assert decompress(codec, compress(codec, TEXT, level), len(TEXT)) == TEXT


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("data", [TEXT, NOISE], ids=["text", "noise"])
def test_one_byte_over_the_limit_is_too_large(codec: Codec, data: bytes) -> None:
    with pytest.raises(BatchTooLarge):
        decompress(codec, compress(codec, data), len(data) - 1)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4])
def test_every_truncation_is_corrupt(codec: Codec) -> None:
    compressed = compress(codec, TEXT[:400] + NOISE[:100])
    # A snappy stream may end after its header of 16 bytes: then it is empty.
    first = 17 if codec is Codec.SNAPPY else 1
    for size in range(first, len(compressed)):
        with pytest.raises(CorruptBatch):
            decompress(codec, compressed[:size], 1 << 20)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_damage_never_escapes_as_another_error(codec: Codec) -> None:
    compressed = compress(codec, TEXT[:3000] + NOISE[:500])
    dice = random.Random(codec)
    for _ in range(300):
        damaged = bytearray(compressed)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            decompress(codec, damaged, 10_000)
        except (CorruptBatch, BatchTooLarge):
            pass


def test_gzip_members_are_one_stream() -> None:
    members = gzip.compress(TEXT[:100]) + gzip.compress(b"") + gzip.compress(TEXT[100:])
    assert decompress(Codec.GZIP, members, len(TEXT)) == TEXT
    with pytest.raises(BatchTooLarge):
        decompress(Codec.GZIP, members, len(TEXT) - 1)
    with pytest.raises(CorruptBatch):
        decompress(Codec.GZIP, members + b"rubbish", len(TEXT))


def test_many_tiny_gzip_members_cost_no_more_than_their_bytes() -> None:
    members = gzip.compress(b"") * 20_000
    assert decompress(Codec.GZIP, members, 0) == b""


def test_zstd_frames_are_one_stream() -> None:
    compressor = zstandard.ZstdCompressor()
    frames = compressor.compress(TEXT[:100]) + compressor.compress(TEXT[100:])
    assert decompress(Codec.ZSTD, frames, len(TEXT)) == TEXT
    with pytest.raises(BatchTooLarge):
        decompress(Codec.ZSTD, frames, len(TEXT) - 1)
    with pytest.raises(CorruptBatch):
        decompress(Codec.ZSTD, frames + b"rubbish", len(TEXT))


def test_zstd_streams_without_a_size_are_read() -> None:
    stream = zstandard.ZstdCompressor(level=19).compressobj()
    frame = stream.compress(TEXT) + stream.flush()
    assert decompress(Codec.ZSTD, frame, len(TEXT)) == TEXT


def test_lz4_is_framed_as_java_reads_it() -> None:
    frame = compress(Codec.LZ4, TEXT)
    information = lz4.frame.get_frame_info(frame)
    assert not information["block_linked"]
    assert information["block_size"] == 64 * 1024
    linked = lz4.frame.compress(TEXT, block_linked=True)
    # Java's reader fails on linked blocks and stops after one frame: its consumers would too.
    for refused in (linked, frame + frame, frame + b"x", frame[:4], b"\x00" * 20):
        with pytest.raises(CorruptBatch):
            decompress(Codec.LZ4, refused, 1 << 20)


def test_snappy_is_framed_as_java_writes_it() -> None:
    framed = compress(Codec.SNAPPY, TEXT)
    assert framed[:16] == b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    (size,) = struct.unpack_from(">i", framed, 16)
    assert bytes(cramjam.snappy.decompress_raw(framed[20 : 20 + size])) == TEXT[: 32 * 1024]


def test_snappy_is_read_with_and_without_framing() -> None:
    raw = bytes(cramjam.snappy.compress_raw(TEXT))
    assert decompress(Codec.SNAPPY, raw, len(TEXT)) == TEXT
    framed = compress(Codec.SNAPPY, TEXT[:50_000]) + compress(Codec.SNAPPY, TEXT[50_000:])
    assert decompress(Codec.SNAPPY, framed, len(TEXT)) == TEXT


@pytest.mark.parametrize("declared", [2**32 - 1, 2**31, 1001])
def test_snappy_believes_no_declared_length(declared: int) -> None:
    length = bytearray()
    while declared > 0x7F:
        length.append(declared & 0x7F | 0x80)
        declared >>= 7
    block = bytes([*length, declared]) + b"\x00x"
    header = compress(Codec.SNAPPY, b"")
    for bomb in (block, header + struct.pack(">i", len(block)) + block):
        with pytest.raises(BatchTooLarge):
            decompress(Codec.SNAPPY, bomb, 1000)


@pytest.mark.parametrize("size", [-1, 100, 2**31 - 1])
def test_snappy_blocks_stay_inside_the_data(size: int) -> None:
    with pytest.raises(CorruptBatch):
        decompress(Codec.SNAPPY, compress(Codec.SNAPPY, b"") + struct.pack(">i", size), 1000)


# The peak is that of the address space: getrusage's would begin with the parent's.
DECOMPRESS_IN_CHILD = """
import pathlib, sys
from ottla.records.compression import Codec, compress, decompress
from ottla.records.errors import BatchTooLarge

def peak_kib():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

codec = Codec[sys.argv[1]]
decompress(codec, compress(codec, bytes(1000)), 1000)
bomb = sys.stdin.buffer.read()
before = peak_kib()
refused = 0
for _ in range(3):
    try:
        decompress(codec, bomb, int(sys.argv[2]))
    except BatchTooLarge:
        refused += 1
print(refused, peak_kib() - before)
"""
BOMB_BYTES = 100 << 20


def decompress_in_child(codec: Codec, bomb: bytes, max_bytes: int) -> tuple[int, int]:
    """How often the bomb was refused, of three times, and how many bytes the peak grew."""
    command = [sys.executable, "-c", DECOMPRESS_IN_CHILD, codec.name, str(max_bytes)]
    result = subprocess.run(command, input=bomb, capture_output=True, check=True)
    refused, grown_kib = map(int, result.stdout.split())
    return refused, grown_kib * 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("framing", [*COMPRESSING, "raw snappy", "zstd with a 128 MiB window"])
def test_a_bomb_takes_no_more_memory_than_the_limit(framing: Codec | str, twin: str) -> None:
    if twin != "_native":
        pytest.skip("decompression is the same on both twins")
    codec = framing if isinstance(framing, Codec) else Codec.SNAPPY
    if framing == "raw snappy":
        bomb = bytes(cramjam.snappy.compress_raw(bytes(BOMB_BYTES)))
    elif framing == "zstd with a 128 MiB window":
        codec = Codec.ZSTD
        parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
        stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        bomb = stream.compress(bytes(BOMB_BYTES)) + stream.flush()
    else:
        bomb = compress(codec, bytes(BOMB_BYTES))
    limit = 8 << 20
    refused, grown = decompress_in_child(codec, bomb, limit)
    assert refused == 3
    # Twice: a codec's own window or buffer, and what it has given out.
    assert grown < 2 * limit + (4 << 20)
    # Without the limit the same measurement sees the bomb go off.
    refused, grown = decompress_in_child(codec, bomb, BOMB_BYTES)
    assert refused == 0
    assert grown > BOMB_BYTES * 0.9


def test_threads_do_not_share_zstd_contexts() -> None:
    codec = Codec.ZSTD
    failures: list[bytes] = []

    def work(seed: int) -> None:
        data = random.Random(seed).randbytes(2000) * 20
        back = {bytes(decompress(codec, compress(codec, data), len(data))) for _ in range(50)}
        failures.extend(back - {data})

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
