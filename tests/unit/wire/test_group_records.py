"""The records of ``__consumer_offsets``, byte by byte, in all versions Kafka ever wrote."""

from __future__ import annotations

import copy
import subprocess
import sys
import uuid

import pytest

from ottla.wire.errors import ErrorCode, Malformed, ProtocolError, Truncated
from ottla.wire.group_records import (
    GroupMember,
    GroupMetadataKey,
    GroupMetadataValue,
    GroupRecordKey,
    GroupRecordValue,
    OffsetCommitKey,
    OffsetCommitValue,
    UnknownRecordType,
    consumer,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)

TOPIC_ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
COMMIT_KEY = OffsetCommitKey(group="crew", topic="log", partition=7)
COMMIT_KEY_BYTES = bytes.fromhex("0001 0004 63726577 0003 6c6f67 00000007")
GROUP_KEY = GroupMetadataKey(group="crew")


def commit(**changed: object) -> OffsetCommitValue:
    values: dict[str, object] = {"offset": 513, "metadata": "hi", "commit_timestamp": 4096}
    return OffsetCommitValue(**{**values, **changed})  # type: ignore[arg-type]


class TestKeys:
    def test_a_commit_is_record_type_1(self) -> None:
        assert encode_key(COMMIT_KEY) == COMMIT_KEY_BYTES
        assert decode_key(COMMIT_KEY_BYTES) == COMMIT_KEY

    def test_the_old_record_type_0_is_read_as_a_commit_too(self) -> None:
        assert decode_key(b"\0\0" + COMMIT_KEY_BYTES[2:]) == COMMIT_KEY

    def test_a_classic_group_is_record_type_2(self) -> None:
        assert encode_key(GROUP_KEY) == bytes.fromhex("0002 0004 63726577")
        assert decode_key(encode_key(GROUP_KEY)) == GROUP_KEY

    @pytest.mark.parametrize("record_type", [-1, 9, 17, 32767])
    def test_an_unknown_record_type_is_named(self, record_type: int) -> None:
        data = record_type.to_bytes(2, "big", signed=True) + b"whatever"
        with pytest.raises(UnknownRecordType) as raised:
            decode_key(data)
        assert raised.value.record_type == record_type
        assert copy.copy(raised.value).record_type == record_type

    def test_every_prefix_is_truncated(self) -> None:
        for size in range(len(COMMIT_KEY_BYTES)):
            with pytest.raises(Truncated):
                decode_key(COMMIT_KEY_BYTES[:size])

    def test_bytes_after_the_key_are_malformed(self) -> None:
        with pytest.raises(Malformed):
            decode_key(COMMIT_KEY_BYTES + b"\0")

    def test_a_key_is_read_out_of_a_larger_buffer(self) -> None:
        view = memoryview(b"--" + COMMIT_KEY_BYTES)[2:]
        assert decode_key(view) == COMMIT_KEY


class TestOffsetCommitValues:
    OFFSET = "0000000000000201"
    EPOCH = "00000005"
    METADATA = "0002 6869"
    COMMITTED = "0000000000001000"
    EXPIRES = "0000000000002000"

    @pytest.mark.parametrize(
        ("version", "body", "value"),
        [
            (0, OFFSET + METADATA + COMMITTED, commit()),
            (1, OFFSET + METADATA + COMMITTED + EXPIRES, commit(expire_timestamp=8192)),
            (2, OFFSET + METADATA + COMMITTED, commit()),
            (3, OFFSET + EPOCH + METADATA + COMMITTED, commit(leader_epoch=5)),
            (4, OFFSET + EPOCH + "03 6869" + COMMITTED + "00", commit(leader_epoch=5)),
            (
                4,
                OFFSET + EPOCH + "03 6869" + COMMITTED + "01 00 10" + TOPIC_ID.hex,
                commit(leader_epoch=5, topic_id=TOPIC_ID),
            ),
        ],
    )
    def test_each_version(self, version: int, body: str, value: OffsetCommitValue) -> None:
        data = version.to_bytes(2, "big") + bytes.fromhex(body)
        assert encode_value(value, version) == data
        assert decode_value(COMMIT_KEY, data) == value

    def test_kafka_writes_version_4(self) -> None:
        assert encode_value(commit(topic_id=TOPIC_ID)) == encode_value(
            commit(topic_id=TOPIC_ID), version=4
        )

    def test_kafka_writes_version_1_for_a_commit_with_its_own_retention(self) -> None:
        value = commit(expire_timestamp=8192, leader_epoch=5, topic_id=TOPIC_ID)
        decoded = decode_value(COMMIT_KEY, encode_value(value))
        assert decoded == commit(expire_timestamp=8192)

    def test_a_newer_kafka_may_add_tagged_fields(self) -> None:
        data = bytes.fromhex(f"0004 {self.OFFSET}{self.EPOCH} 03 6869 {self.COMMITTED} 01 05 01 ff")
        value = decode_value(COMMIT_KEY, data)
        assert value.unknown_tagged_fields == ((5, b"\xff"),)
        assert encode_value(value) == data

    @pytest.mark.parametrize("version", [-1, 5])
    def test_an_unknown_version_is_refused(self, version: int) -> None:
        data = version.to_bytes(2, "big", signed=True) + encode_value(commit())[2:]
        with pytest.raises(ProtocolError) as raised:
            decode_value(COMMIT_KEY, data)
        assert raised.value.code is ErrorCode.UNSUPPORTED_VERSION

    def test_every_prefix_is_truncated(self) -> None:
        data = encode_value(commit(topic_id=TOPIC_ID))
        for size in range(len(data)):
            with pytest.raises(Truncated):
                decode_value(COMMIT_KEY, data[:size])


class TestGroupMetadataValues:
    MEMBER_ID = "0002 6d31"
    STATIC = "0003 626f62"
    CLIENT = "0001 63 0002 2f68"
    REBALANCE = "0000ea60"
    SESSION = "00002710"
    BLOBS = "00000002 abcd 00000001 ef"
    HEAD = "0008 636f6e73756d6572 00000003 0005 72616e6765 0002 6d31"
    CHANGED = "0000000000001000"
    ONE = "00000001"

    @pytest.mark.parametrize(
        ("version", "body"),
        [
            (0, HEAD + ONE + MEMBER_ID + CLIENT + SESSION + BLOBS),
            (1, HEAD + ONE + MEMBER_ID + CLIENT + REBALANCE + SESSION + BLOBS),
            (2, HEAD + CHANGED + ONE + MEMBER_ID + CLIENT + REBALANCE + SESSION + BLOBS),
            (3, HEAD + CHANGED + ONE + MEMBER_ID + STATIC + CLIENT + REBALANCE + SESSION + BLOBS),
            (
                4,
                "09 636f6e73756d6572 00000003 06 72616e6765 03 6d31" + CHANGED + "02"
                "03 6d31 04 626f62 02 63 03 2f68" + REBALANCE + SESSION + "03 abcd 02 ef 00 00",
            ),
        ],
    )
    def test_each_version(self, version: int, body: str) -> None:
        data = version.to_bytes(2, "big") + bytes.fromhex(body)
        value = GroupMetadataValue(
            protocol_type="consumer",
            generation=3,
            protocol="range",
            leader="m1",
            current_state_timestamp=4096 if version >= 2 else -1,
            members=[
                GroupMember(
                    member_id="m1",
                    group_instance_id="bob" if version >= 3 else None,
                    client_id="c",
                    client_host="/h",
                    rebalance_timeout=60_000 if version >= 1 else -1,
                    session_timeout=10_000,
                    subscription=b"\xab\xcd",
                    assignment=b"\xef",
                )
            ],
        )
        assert encode_value(value, version) == data
        assert decode_value(GROUP_KEY, data) == value

    def test_an_empty_group_has_neither_protocol_nor_leader(self) -> None:
        value = GroupMetadataValue(
            protocol_type="consumer", generation=4, protocol=None, leader=None, members=[]
        )
        data = bytes.fromhex(
            "0003 0008 636f6e73756d6572 00000004 ffff ffff ffffffffffffffff 00000000"
        )
        assert encode_value(value) == data
        assert decode_value(GROUP_KEY, data) == value

    def test_what_an_old_version_lacks_is_left_out(self) -> None:
        value = GroupMetadataValue(
            protocol_type="", generation=0, protocol="p", leader=None,
            current_state_timestamp=1, members=[],
        )  # fmt: skip
        decoded = decode_value(GROUP_KEY, encode_value(value, version=0))
        assert isinstance(decoded, GroupMetadataValue)
        assert decoded.current_state_timestamp == -1

    def test_a_count_that_the_bytes_cannot_hold_is_truncated(self) -> None:
        data = bytes.fromhex("0003 0000 00000000 ffff ffff ffffffffffffffff 7fffffff")
        with pytest.raises(Truncated):
            decode_value(GROUP_KEY, data)


MEMBER_KEY = consumer.ConsumerGroupMemberMetadataKey(group_id="g", member_id="m")


def subscription(classic: consumer.ClassicMemberMetadata | None) -> GroupRecordValue:
    return consumer.ConsumerGroupMemberMetadataValue(
        instance_id=None,
        rack_id="r",
        client_id="c",
        client_host="/h",
        subscribed_topic_names=["t"],
        subscribed_topic_regex=None,
        rebalance_timeout_ms=300,
        server_assignor=None,
        classic_member_metadata=classic,
    )


class TestConsumerGroups:
    CASES: tuple[tuple[GroupRecordKey, str, GroupRecordValue, str], ...] = (
        (
            consumer.ConsumerGroupMetadataKey(group_id="g"),
            "0003 0001 67",
            consumer.ConsumerGroupMetadataValue(epoch=9, metadata_hash=1),
            "0000 00000009 01 00 08 0000000000000001",
        ),
        (
            consumer.ConsumerGroupPartitionMetadataKey(group_id="g"),
            "0004 0001 67",
            consumer.ConsumerGroupPartitionMetadataValue(
                topics=[
                    consumer.SubscribedTopic(
                        topic_id=TOPIC_ID,
                        topic_name="t",
                        num_partitions=1,
                        partition_metadata=[consumer.PartitionRacks(partition=0, racks=["r"])],
                    )
                ]
            ),
            f"0000 02 {TOPIC_ID.hex} 02 74 00000001 02 00000000 02 02 72 00 00 00",
        ),
        (
            MEMBER_KEY,
            "0005 0001 67 0001 6d",
            # A member of the consumer protocol: null, and it must be said.
            subscription(None),
            "0000 00 02 72 02 63 03 2f68 02 02 74 00 0000012c 00 01 00 01 00",
        ),
        (
            MEMBER_KEY,
            "0005 0001 67 0001 6d",
            subscription(
                consumer.ClassicMemberMetadata(
                    session_timeout_ms=5,
                    supported_protocols=[consumer.ClassicProtocol(name="p", metadata=b"\xaa")],
                )
            ),
            "0000 00 02 72 02 63 03 2f68 02 02 74 00 0000012c 00"
            "01 00 0c 01 00000005 02 02 70 02 aa 00 00",
        ),
        (
            consumer.ConsumerGroupTargetAssignmentMetadataKey(group_id="g"),
            "0006 0001 67",
            consumer.ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=9),
            "0000 00000009 00",
        ),
        (
            consumer.ConsumerGroupTargetAssignmentMemberKey(group_id="g", member_id="m"),
            "0007 0001 67 0001 6d",
            consumer.ConsumerGroupTargetAssignmentMemberValue(
                topic_partitions=[consumer.TargetTopic(topic_id=TOPIC_ID, partitions=[0, 2])]
            ),
            f"0000 02 {TOPIC_ID.hex} 03 00000000 00000002 00 00",
        ),
        (
            consumer.ConsumerGroupCurrentMemberAssignmentKey(group_id="g", member_id="m"),
            "0008 0001 67 0001 6d",
            consumer.ConsumerGroupCurrentMemberAssignmentValue(
                member_epoch=9,
                previous_member_epoch=8,
                state=1,
                assigned_partitions=[
                    consumer.CurrentTopic(topic_id=TOPIC_ID, partitions=[4], assignment_epochs=[6])
                ],
                partitions_pending_revocation=[
                    consumer.CurrentTopic(topic_id=TOPIC_ID, partitions=[5])
                ],
            ),
            f"0000 00000009 00000008 01 02 {TOPIC_ID.hex} 02 00000004 01 00 05 02 00000006"
            f"02 {TOPIC_ID.hex} 02 00000005 00 00",
        ),
        (
            consumer.ConsumerGroupRegularExpressionKey(group_id="g", regular_expression="t.*"),
            "0010 0001 67 0003 742e2a",
            consumer.ConsumerGroupRegularExpressionValue(topics=["t1"], version=3, timestamp=4),
            "0000 02 03 7431 0000000000000003 0000000000000004 00",
        ),
    )

    @pytest.mark.parametrize(("key", "key_bytes", "value", "value_bytes"), CASES)
    def test_each_record(
        self, key: GroupRecordKey, key_bytes: str, value: GroupRecordValue, value_bytes: str
    ) -> None:
        assert encode_key(key) == bytes.fromhex(key_bytes)
        assert decode_key(bytes.fromhex(key_bytes)) == key
        assert encode_value(value) == bytes.fromhex(value_bytes)
        assert decode_value(key, bytes.fromhex(value_bytes)) == value

    def test_a_member_without_classic_metadata_is_a_classic_one_as_kafka_reads_it(self) -> None:
        data = bytes.fromhex("0000 00 00 01 01 01 00 ffffffff 00 00")
        value = decode_value(MEMBER_KEY, data)
        assert isinstance(value, consumer.ConsumerGroupMemberMetadataValue)
        assert value.classic_member_metadata == consumer.ClassicMemberMetadata()


def test_brokers_with_classic_groups_only_need_not_load_the_other_records() -> None:
    code = (
        "import sys\n"
        "from ottla.wire.group_records import decode_key\n"
        f"decode_key({COMMIT_KEY_BYTES!r})\n"
        "assert 'ottla.wire.group_records.consumer' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
