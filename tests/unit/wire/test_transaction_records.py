"""The records of ``__transaction_state``, byte by byte, in both versions Kafka ever wrote."""

from __future__ import annotations

import copy

import pytest

from ottla.wire.errors import ErrorCode, Malformed, ProtocolError, Truncated
from ottla.wire.transaction_records import (
    TransactionLogValue,
    TransactionPartitions,
    UnknownKeyVersion,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)

KEY = bytes.fromhex("0000 0004 6d6f7665")


def value(**changed: object) -> TransactionLogValue:
    fields: dict[str, object] = {
        "producer_id": 258,
        "producer_epoch": 3,
        "transaction_timeout_ms": 60_000,
        "transaction_status": 1,
        "transaction_partitions": [
            TransactionPartitions(topic="in", partition_ids=[0, 7]),
            TransactionPartitions(topic="out", partition_ids=[1]),
        ],
        "transaction_last_update_timestamp_ms": 4096,
        "transaction_start_timestamp_ms": 4095,
    }
    return TransactionLogValue(**{**fields, **changed})  # type: ignore[arg-type]


START = "0000000000000102 0003 0000ea60 01"
TIMES = "0000000000001000 0000000000000fff"


class TestKeys:
    def test_a_key_is_the_transactional_id(self) -> None:
        assert encode_key("move") == KEY
        assert decode_key(KEY) == "move"

    @pytest.mark.parametrize("version", [-1, 1, 32767])
    def test_another_version_is_named(self, version: int) -> None:
        with pytest.raises(UnknownKeyVersion) as raised:
            decode_key(version.to_bytes(2, "big", signed=True) + KEY[2:])
        assert raised.value.version == copy.copy(raised.value).version == version

    def test_every_prefix_is_truncated(self) -> None:
        for size in range(len(KEY)):
            with pytest.raises(Truncated):
                decode_key(KEY[:size])

    def test_bytes_after_the_key_are_malformed(self) -> None:
        with pytest.raises(Malformed):
            decode_key(KEY + b"\0")


class TestValues:
    def test_version_0(self) -> None:
        partitions = "00000002 0002 696e 00000002 00000000 00000007 0003 6f7574 00000001 00000001"
        data = bytes.fromhex("0000" + START + partitions + TIMES)
        assert encode_value(value(), 0) == data
        assert decode_value(data) == value()

    def test_version_1_is_flexible(self) -> None:
        partitions = "03 03 696e 03 00000000 00000007 00 04 6f7574 02 00000001 00"
        data = bytes.fromhex("0001" + START + partitions + TIMES + "00")
        assert encode_value(value()) == data
        assert decode_value(data) == value()

    def test_what_transaction_version_2_needs_is_tagged(self) -> None:
        rotated = value(
            transaction_partitions=None,
            previous_producer_id=5,
            next_producer_id=6,
            next_producer_epoch=9,
            client_transaction_version=2,
        )
        tags = "04 00 08 0000000000000005 01 08 0000000000000006 02 02 0002 03 02 0009"
        data = bytes.fromhex("0001" + START + "00" + TIMES + tags)
        assert encode_value(rotated) == data
        assert decode_value(data) == rotated

    def test_version_0_has_no_room_for_it(self) -> None:
        rotated = value(next_producer_id=6, client_transaction_version=2)
        assert decode_value(encode_value(rotated, 0)) == value()

    @pytest.mark.parametrize("version", [0, 1])
    def test_no_partitions_are_null(self, version: int) -> None:
        empty = value(transaction_partitions=None)
        assert decode_value(encode_value(empty, version)) == empty

    def test_an_unknown_tag_of_a_newer_kafka_is_kept(self) -> None:
        data = encode_value(value())[:-1] + bytes.fromhex("01 1f 02 abcd")
        decoded = decode_value(data)
        assert decoded.producer_id == 258
        assert encode_value(decoded) == data

    @pytest.mark.parametrize("version", [0, 1])
    def test_every_prefix_is_truncated(self, version: int) -> None:
        data = encode_value(value(), version)
        for size in range(len(data)):
            with pytest.raises(Truncated):
                decode_value(data[:size])

    def test_a_newer_version_is_refused(self) -> None:
        with pytest.raises(ProtocolError) as refusal:
            decode_value(b"\0\2" + encode_value(value())[2:])
        assert refusal.value.code is ErrorCode.UNSUPPORTED_VERSION
