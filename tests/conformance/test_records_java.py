"""Apache Kafka's own log reader on batches of ours, under every codec."""

from __future__ import annotations

import pathlib
import re

import pytest

from ottla.records.compression import Codec
from ottla.records.control import ControlType, encode_end_transaction_batch
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.apache_kafka import run_tool

pytestmark = pytest.mark.jvm


def dump(path: pathlib.Path, batches: list[bytes]) -> tuple[list[str], list[str]]:
    """What DumpLogSegments says about each batch, and about each record."""
    segment = path / "00000000000000000000.log"
    segment.write_bytes(b"".join(batches))
    arguments = ["--files", str(segment), "--deep-iteration", "--print-data-log"]
    printed = run_tool("org.apache.kafka.tools.DumpLogSegments", arguments).stdout.decode()
    lines = printed.splitlines()
    return (
        [line for line in lines if line.startswith("baseOffset:")],
        [line for line in lines if line.startswith("| offset:")],
    )


def test_every_codec_is_read_to_the_last_record(tmp_path: pathlib.Path) -> None:
    words = [f"word{number} " * 5000 for number in range(3)]
    batches = []
    for codec in Codec:
        records = [
            Record(10 * codec + number, 1000 + number, b"key", word.encode(), (("name", b"x"),))
            for number, word in enumerate(words)
        ]
        records.append(Record(10 * codec + 9, 900, None, None, (("null", None),)))
        batches.append(
            encode_batch(records, codec=codec, producer_id=5, producer_epoch=0, base_sequence=7)
        )
    headers, records_seen = dump(tmp_path, batches)
    assert [re.search(r"compresscodec: (\w+)", line)[1] for line in headers] == [
        codec.name.lower() for codec in Codec
    ]
    assert all("isvalid: true" in line and "lastSequence: 16" in line for line in headers)
    assert len(records_seen) == 4 * len(Codec)
    for index, line in enumerate(records_seen):
        codec, number = divmod(index, 4)
        if number == 3:
            assert f"offset: {10 * codec + 9} CreateTime: 900 keySize: -1 valueSize: -1" in line
            assert "headerKeys: [null]" in line
        else:
            assert f"offset: {10 * codec + number} CreateTime: {1000 + number} " in line
            assert line.endswith(f"headerKeys: [name] key: key payload: {words[number]}")


def test_what_brokers_write_is_read_too(tmp_path: pathlib.Path) -> None:
    tombstone = [Record(3, 50, b"key", None)]
    headers, records_seen = dump(
        tmp_path,
        [
            encode_batch([], base_offset=0, last_offset_delta=1, max_timestamp_ms=40),
            encode_batch(tombstone, base_offset=2, last_offset_delta=4, delete_horizon_ms=999),
            encode_batch([Record(10, 5, b"k", b"v")], log_append_time_ms=1234),
            encode_end_transaction_batch(
                ControlType.COMMIT,
                producer_id=5,
                producer_epoch=1,
                coordinator_epoch=9,
                timestamp_ms=77,
                base_offset=20,
                leader_epoch=3,
            ),
        ],
    )
    assert all("isvalid: true" in line for line in headers)
    empty, horizon, appended, marker = headers
    assert "baseOffset: 0 lastOffset: 1 count: 0" in empty
    assert "baseOffset: 2 lastOffset: 6 count: 1" in horizon
    assert "deleteHorizonMs: OptionalLong[999]" in horizon
    assert "LogAppendTime: 1234" in appended
    assert "partitionLeaderEpoch: 3 isTransactional: true isControl: true" in marker
    assert "offset: 3 CreateTime: 50 keySize: 3 valueSize: -1" in records_seen[0]
    assert "offset: 10 LogAppendTime: 1234" in records_seen[1]
    assert records_seen[2].endswith("endTxnMarker: COMMIT coordinatorEpoch: 9")
