"""Record batches against the codecs of kafka-python and aiokafka, both ways."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import aiokafka.codec
import aiokafka.record.default_records as aiokafka_records
import kafka.codec
import kafka.record.default_records as kafka_python_records
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.records.batch import read_header
from ottla.records.compression import Codec
from ottla.records.control import ControlType, encode_end_transaction_batch
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.records.validate import validate_batch

PRODUCER = {"producer_id": 1234, "producer_epoch": 5, "base_sequence": 42}

# Neither oracle writes null header values.
HEADERS = st.lists(st.tuples(st.text("abcé", max_size=5), st.binary(max_size=20)), max_size=3)
RECORDS = st.lists(
    st.tuples(
        st.integers(0, 2**45),
        st.none() | st.binary(max_size=100),
        st.none() | st.binary(max_size=100),
        HEADERS.map(tuple),
    ),
    min_size=1,
    max_size=10,
).map(lambda rows: [Record(offset, *row) for offset, row in enumerate(rows)])

Module = Any
ORACLES = [
    pytest.param(kafka_python_records, kafka.codec, id="kafka-python"),
    pytest.param(aiokafka_records, aiokafka.codec, id="aiokafka"),
]
CODECS = [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
HAS_CODEC: dict[Codec, Callable[[Module], bool]] = {
    Codec.NONE: lambda module: True,
    Codec.GZIP: lambda module: module.has_gzip(),
    Codec.SNAPPY: lambda module: module.has_snappy(),
    Codec.LZ4: lambda module: module.has_lz4(),
    Codec.ZSTD: lambda module: module.has_zstd(),
}


def written_by(oracle: Module, records: list[Record], codec: Codec) -> bytes:
    builder = oracle.DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=1, batch_size=1 << 20, **PRODUCER
    )
    for record in records:
        appended = builder.append(
            record.offset,
            timestamp=record.timestamp_ms,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
        assert appended
    return bytes(builder.build())


def read_by(oracle: Module, batch: bytes) -> list[Record]:
    decoded = oracle.DefaultRecordBatch(bytearray(batch))
    assert decoded.validate_crc()
    return [
        Record(
            record.offset,
            record.timestamp,
            None if record.key is None else bytes(record.key),
            None if record.value is None else bytes(record.value),
            tuple((name, value) for name, value in record.headers),
        )
        for record in decoded
    ]


@pytest.mark.parametrize(("oracle", "codecs"), ORACLES)
@settings(deadline=None)
@given(records=RECORDS)
def test_uncompressed_batches_are_identical(
    oracle: Module, codecs: Module, records: list[Record]
) -> None:
    theirs = bytearray(written_by(oracle, records, Codec.NONE))
    ours = encode_batch(records, is_transactional=True, **PRODUCER)
    # They leave leader epoch 0 for the broker to overwrite, the Java client and we -1.
    theirs[12:16] = ours[12:16]
    assert theirs == ours


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("oracle", "codecs"), ORACLES)
def test_each_reads_what_the_other_compressed(oracle: Module, codecs: Module, codec: Codec) -> None:
    if not HAS_CODEC[codec](codecs):
        pytest.skip(f"the oracle lacks its library for {codec.name}")
    dice = random.Random(codec)
    records = [
        Record(number, 1000 + number, b"key", dice.randbytes(50) * dice.randint(0, 40))
        for number in range(200)
    ]
    theirs = written_by(oracle, records, codec)
    assert read_header(theirs).codec is codec
    assert decode_records(theirs) == records
    checked = validate_batch(theirs, max_decompressed_bytes=1 << 20)
    assert checked.has_right_max_timestamp
    assert read_by(oracle, encode_batch(records, codec=codec)) == records


@pytest.mark.parametrize(("oracle", "codecs"), ORACLES)
def test_they_understand_what_compaction_and_brokers_write(oracle: Module, codecs: Module) -> None:
    gaps = [Record(100, 7, b"a", b"x"), Record(105, 3, None, None), Record(300, 9, b"", b"")]
    assert read_by(oracle, encode_batch(gaps, base_offset=90, last_offset_delta=400)) == gaps
    stamped = encode_batch(gaps, log_append_time_ms=55)
    assert read_by(oracle, stamped) == [record._replace(timestamp_ms=55) for record in gaps]


@pytest.mark.parametrize(("oracle", "codecs"), ORACLES)
def test_they_recognise_end_transaction_markers(oracle: Module, codecs: Module) -> None:
    marker = encode_end_transaction_batch(
        ControlType.ABORT,
        producer_id=7,
        producer_epoch=1,
        coordinator_epoch=0,
        timestamp_ms=1000,
    )
    batch = oracle.DefaultRecordBatch(bytearray(marker))
    assert batch.is_control_batch
    assert batch.is_transactional
    assert batch.producer_id == 7
    (record,) = batch
    assert bytes(record.key) == b"\x00\x00\x00\x00"
