"""Control records: the keys, and the markers that end transactions."""

from __future__ import annotations

import pytest

from ottla.records.batch import read_header
from ottla.records.control import (
    ControlType,
    EndTransactionMarker,
    decode_control_key,
    decode_end_transaction_marker,
    encode_control_key,
    encode_end_transaction_batch,
    encode_end_transaction_value,
)
from ottla.records.decode import decode_records
from ottla.records.errors import InvalidRecord


@pytest.mark.parametrize("control_type", set(ControlType) - {ControlType.UNKNOWN})
def test_keys_come_back(control_type: ControlType) -> None:
    key = encode_control_key(control_type)
    assert key == bytes([0, 0, 0, control_type])
    assert decode_control_key(key) is control_type


def test_types_and_versions_of_the_future_are_read() -> None:
    assert decode_control_key(b"\x00\x00\x00\x63") is ControlType.UNKNOWN
    assert decode_control_key(b"\x00\x01\x00\x01more") is ControlType.COMMIT
    marker = decode_end_transaction_marker(b"\x00\x00\x00\x01", b"\x00\x09\x00\x00\x00\x05more")
    assert marker == EndTransactionMarker(ControlType.COMMIT, 5)


@pytest.mark.parametrize("key", [None, b"", b"\x00\x00\x00", b"\xff\xff\x00\x01"])
def test_a_key_without_a_type_is_invalid(key: bytes | None) -> None:
    with pytest.raises(InvalidRecord):
        decode_control_key(key)


@pytest.mark.parametrize("control_type", [ControlType.ABORT, ControlType.COMMIT])
def test_a_marker_batch_says_who_ended_what(control_type: ControlType) -> None:
    batch = encode_end_transaction_batch(
        control_type,
        producer_id=77,
        producer_epoch=3,
        coordinator_epoch=12,
        timestamp_ms=1000,
        base_offset=50,
        leader_epoch=4,
    )
    header = read_header(batch)
    assert header.is_control
    assert header.is_transactional
    assert header.has_producer_id
    assert not header.is_idempotent
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (77, 3, -1)
    (record,) = decode_records(batch)
    assert (record.offset, record.timestamp_ms) == (50, 1000)
    marker = decode_end_transaction_marker(record.key, record.value)
    assert marker == EndTransactionMarker(control_type, 12)
    # As large as the markers of Apache Kafka.
    assert len(batch) == 78


@pytest.mark.parametrize("value", [None, b"\x00\x00\x00\x00\x05", b"\xff\xff\x00\x00\x00\x05"])
def test_a_marker_without_an_epoch_is_invalid(value: bytes | None) -> None:
    with pytest.raises(InvalidRecord):
        decode_end_transaction_marker(encode_control_key(ControlType.ABORT), value)


def test_other_control_records_end_no_transaction() -> None:
    key = encode_control_key(ControlType.LEADER_CHANGE)
    with pytest.raises(InvalidRecord):
        decode_end_transaction_marker(key, encode_end_transaction_value(1))
    with pytest.raises(ValueError, match="ends no transaction"):
        encode_end_transaction_batch(
            ControlType.LEADER_CHANGE,
            producer_id=1,
            producer_epoch=1,
            coordinator_epoch=1,
            timestamp_ms=1,
        )
    with pytest.raises(ValueError, match="unknown"):
        encode_control_key(ControlType.UNKNOWN)
