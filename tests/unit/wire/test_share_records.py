"""The records of share groups, byte by byte: in ``__share_group_state`` and among other groups'."""

from __future__ import annotations

import uuid

import pytest

from ottla.wire import group_records, share_state_records
from ottla.wire.errors import ErrorCode, ProtocolError, Truncated
from ottla.wire.group_records.share import (
    ShareDeletingTopic,
    ShareGroupCurrentMemberAssignmentKey,
    ShareGroupMemberMetadataKey,
    ShareGroupMemberMetadataValue,
    ShareGroupMetadataKey,
    ShareGroupMetadataValue,
    ShareGroupStatePartitionMetadataKey,
    ShareGroupStatePartitionMetadataValue,
    ShareGroupTargetAssignmentMemberKey,
    ShareGroupTargetAssignmentMetadataKey,
    ShareGroupTargetAssignmentMetadataValue,
    ShareStateTopic,
)
from ottla.wire.share_state_records import (
    RecordedBatch,
    ShareSnapshotKey,
    ShareSnapshotValue,
    ShareUpdateKey,
    ShareUpdateValue,
)

TOPIC_ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
KEY = {"group_id": "crew", "topic_id": TOPIC_ID, "partition": 7}
KEY_BYTES = bytes.fromhex("0004 63726577 00112233445566778899aabbccddeeff 00000007")
BATCH = RecordedBatch(first_offset=3, last_offset=5, delivery_state=2, delivery_count=1)
BATCH_BYTES = bytes.fromhex("0000000000000003 0000000000000005 02 0001 00")


@pytest.mark.parametrize(("key", "number"), [(ShareSnapshotKey, 0), (ShareUpdateKey, 1)])
def test_keys_of_share_state(key: type, number: int) -> None:
    data = number.to_bytes(2) + KEY_BYTES
    assert share_state_records.encode_key(key(**KEY)) == data
    assert share_state_records.decode_key(data) == key(**KEY)


def test_a_snapshot_says_everything() -> None:
    value = ShareSnapshotValue(
        snapshot_epoch=1,
        state_epoch=2,
        leader_epoch=3,
        start_offset=4,
        delivery_complete_count=6,
        create_timestamp=256,
        write_timestamp=257,
        state_batches=[BATCH],
    )
    data = share_state_records.encode_value(value)
    assert data == bytes.fromhex(
        "0000 00000001 00000002 00000003 0000000000000004 0000000000000100 0000000000000101 02"
    ) + BATCH_BYTES + bytes.fromhex("01 00 04 00000006")
    assert share_state_records.decode_value(ShareSnapshotKey(**KEY), data) == value


def test_an_update_says_what_changed() -> None:
    value = ShareUpdateValue(
        snapshot_epoch=1, leader_epoch=3, start_offset=-1, state_batches=[BATCH]
    )
    data = share_state_records.encode_value(value)
    assert data == bytes.fromhex("0000 00000001 00000003 ffffffffffffffff 02") + (
        BATCH_BYTES + b"\0"
    )
    assert share_state_records.decode_value(ShareUpdateKey(**KEY), data) == value


def test_unknown_and_cut_records_are_told_apart() -> None:
    with pytest.raises(ProtocolError) as unknown:
        share_state_records.decode_key(b"\0\x05" + KEY_BYTES)
    assert unknown.value.code is ErrorCode.UNSUPPORTED_VERSION
    with pytest.raises(Truncated):
        share_state_records.decode_key(b"\0")
    with pytest.raises(Truncated):
        share_state_records.decode_key(b"\0\0" + KEY_BYTES[:9])


@pytest.mark.parametrize(
    ("key", "number"),
    [
        (ShareGroupMemberMetadataKey, 10),
        (ShareGroupMetadataKey, 11),
        (ShareGroupTargetAssignmentMetadataKey, 12),
        (ShareGroupTargetAssignmentMemberKey, 13),
        (ShareGroupCurrentMemberAssignmentKey, 14),
        (ShareGroupStatePartitionMetadataKey, 15),
    ],
)
def test_keys_of_share_groups(key: type, number: int) -> None:
    has_member = "member_id" in key.__slots__
    made = key(group_id="crew", **({"member_id": "m"} if has_member else {}))
    data = number.to_bytes(2) + bytes.fromhex("0004 63726577") + b"\0\x01m" * has_member
    assert group_records.encode_key(made) == data
    assert group_records.decode_key(data) == made


def test_values_of_share_groups() -> None:
    epoch = ShareGroupMetadataValue(epoch=5, metadata_hash=-2)
    assert group_records.encode_value(epoch) == bytes.fromhex("0000 00000005 fffffffffffffffe 00")
    target = ShareGroupTargetAssignmentMetadataValue(assignment_epoch=5, assignment_timestamp=9)
    assert group_records.encode_value(target) == bytes.fromhex(
        "0000 00000005 01 00 08 0000000000000009"
    )
    member = ShareGroupMemberMetadataValue(
        rack_id=None, client_id="c", client_host="h", subscribed_topic_names=["t"]
    )
    assert group_records.encode_value(member) == bytes.fromhex("0000 00 0263 0268 02 0274 00")
    state = ShareGroupStatePartitionMetadataValue(
        initializing_topics=[],
        initialized_topics=[ShareStateTopic(topic_id=TOPIC_ID, topic_name="t", partitions=[0, 1])],
        deleting_topics=[ShareDeletingTopic(topic_id=TOPIC_ID, topic_name="t")],
    )
    topic = TOPIC_ID.bytes + b"\x02t"
    assert group_records.encode_value(state) == (
        bytes.fromhex("0000 01 02")
        + topic
        + bytes.fromhex("03 00000000 00000001 00 02")
        + topic
        + bytes.fromhex("00 00")
    )
