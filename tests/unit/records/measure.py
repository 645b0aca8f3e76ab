"""What the room's hot paths cost on this machine: ``python tests/unit/records/measure.py``.

Best of several repeats, one core, no broker; ``OTTLA_PURE_PYTHON=1`` measures the other twin.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import crc32c as crc32c_package

from ottla.records import backend
from ottla.records.batch import HEADER_SIZE_BYTES, read_header
from ottla.records.compression import Codec, compress, decompress
from ottla.records.crc import crc32c
from ottla.records.decode import decode_records
from ottla.records.encode import BatchBuilder, encode_batch
from ottla.records.record import Headers, Record
from ottla.records.stamp import stamp, stamp_log_append_time
from ottla.records.validate import validate_batch

MEBIBYTE = 1 << 20
BUDGET_SECONDS = 0.1
TIMESTAMP_MS = 1_700_000_000_000
TWO_HEADERS: Headers = (("traceparent", b"0" * 16), ("type", b"x"))


def best_seconds(work: Callable[[], object]) -> float:
    """The quickest of at least five runs."""
    best = float("inf")
    runs = 0
    end = time.perf_counter() + BUDGET_SECONDS
    while runs < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
        runs += 1
    return best


def report(what: str, seconds: float, count: int = 1) -> None:
    each = seconds / count
    unit, factor = ("ns", 1e9) if each < 1e-6 else ("us", 1e6)
    print(f"  {what:<44}{each * factor:10.1f} {unit}")


def repeated(work: Callable[[], object], times: int = 1000) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def filled(values: list[bytes], key: bytes | None, headers: Headers) -> BatchBuilder:
    builder = BatchBuilder()
    append = builder.append
    for value in values:
        append(key, value, headers, TIMESTAMP_MS)
    return builder


def measure_records(size_bytes: int) -> None:
    count = MEBIBYTE // size_bytes
    print(f"1 MiB of {count} records of {size_bytes} bytes")
    values = [os.urandom(size_bytes) for _ in range(count)]
    report("append, per record", best_seconds(lambda: filled(values, None, ())), count)
    report("append with key", best_seconds(lambda: filled(values, b"k" * 16, ())), count)
    report("append with 2 headers", best_seconds(lambda: filled(values, None, TWO_HEADERS)), count)
    builder = filled(values, None, ())
    batch = builder.close()
    header = read_header(batch)
    report("close, per batch", best_seconds(builder.close))
    walk = backend.active.walk_records
    report("CRC, per batch", best_seconds(lambda: backend.active.check_crc(batch, 0)))
    report(
        "walk, per batch", best_seconds(lambda: walk(batch, HEADER_SIZE_BYTES, len(batch), header))
    )
    report(
        "validate (both), per batch",
        best_seconds(lambda: validate_batch(batch, max_decompressed_bytes=2 * MEBIBYTE)),
    )
    report("decode, per record", best_seconds(lambda: decode_records(batch)), count)
    some = encode_batch(Record(index, 1, None, value) for index, value in enumerate(values[:500]))
    report("decode of the first 500", best_seconds(lambda: decode_records(some)), len(values[:500]))
    records = decode_records(batch)
    report("encode_batch, per record", best_seconds(lambda: encode_batch(records)), count)


def measure_small_things() -> None:
    print("one record of 100 bytes")
    batch = bytearray(encode_batch([Record(0, TIMESTAMP_MS, b"key", bytes(100))]))
    for what, work in {
        "read_header": lambda: read_header(batch),
        "validate_batch": lambda: validate_batch(batch, max_decompressed_bytes=0),
        "decode_records": lambda: decode_records(batch),
        "stamp": lambda: stamp(batch, 0, 7, 8),
        "read_header, stamp_log_append_time": lambda: stamp_log_append_time(
            batch, 0, time.perf_counter_ns()
        ),
    }.items():
        report(what, best_seconds(repeated(work)), 1000)
    print("CRC-32C, ours and the crc32c package's")
    for size_bytes in (100, 1024, 16 * 1024, MEBIBYTE):
        data = os.urandom(size_bytes)
        times = max(1, MEBIBYTE // size_bytes // 10)
        report(
            f"{size_bytes} bytes", best_seconds(repeated(lambda d=data: crc32c(d), times)), times
        )
        theirs = repeated(lambda d=data: crc32c_package.crc32c(d), times)
        report(f"{size_bytes} bytes, package", best_seconds(theirs), times)


def measure_codecs() -> None:
    line = b'{"user": %d, "action": "click", "page": "/products/%d", "at": %d}\n'
    text = b"".join(line % (n * 7919 % 10007, n * 31 % 977, n) for n in range(2000))
    print(f"{len(text)} bytes of JSON lines: ratio, compression and decompression in MiB/s")
    for codec in Codec:
        packed = compress(codec, text)
        there = best_seconds(lambda c=codec: compress(c, text))
        back = best_seconds(lambda c=codec, p=packed: decompress(c, p, len(text)))
        speeds = [len(text) / MEBIBYTE / seconds for seconds in (there, back)]
        print(f"  {codec.name:<8}{len(text) / len(packed):6.2f}{speeds[0]:10.0f}{speeds[1]:10.0f}")


if __name__ == "__main__":
    print(f"twin: {backend.NAME}")
    for record_bytes in (100, 1024, 10 * 1024):
        measure_records(record_bytes)
    measure_small_things()
    measure_codecs()
