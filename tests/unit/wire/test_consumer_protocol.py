"""Subscriptions and assignments as consumers embed them in JoinGroup and SyncGroup."""

from __future__ import annotations

import io

import pytest
from kafka.protocol.consumer import ConsumerProtocolAssignment as KafkaPythonAssignment
from kafka.protocol.consumer import ConsumerProtocolSubscription as KafkaPythonSubscription
from kio.schema.consumer_protocol_assignment.v3.data import (
    ConsumerProtocolAssignment as KioAssignment,
)
from kio.schema.consumer_protocol_assignment.v3.data import TopicPartition as KioAssigned
from kio.schema.consumer_protocol_subscription.v3.data import (
    ConsumerProtocolSubscription as KioSubscription,
)
from kio.schema.consumer_protocol_subscription.v3.data import TopicPartition as KioOwned
from kio.schema.types import TopicName
from kio.serial import entity_writer
from kio.static.primitive import i32

from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartitions,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from ottla.wire.errors import Malformed, ProtocolError, Truncated

SUBSCRIPTION = ConsumerProtocolSubscription(
    topics=["a", "bc"],
    user_data=b"\xee",
    owned_partitions=[TopicPartitions(topic="a", partitions=[0, 3])],
    generation_id=8,
    rack_id="r1",
)
ASSIGNMENT = ConsumerProtocolAssignment(
    assigned_partitions=[TopicPartitions(topic="a", partitions=[0, 3])], user_data=b"\xee"
)

TOPICS = "00000002 0001 61 0002 6263"
USER_DATA = "00000001 ee"
PARTITIONS = "00000001 0001 61 00000002 00000000 00000003"
GENERATION = "00000008"
RACK = "0002 7231"


class TestSubscriptions:
    @pytest.mark.parametrize(
        ("version", "body"),
        [
            (0, TOPICS + USER_DATA),
            (1, TOPICS + USER_DATA + PARTITIONS),
            (2, TOPICS + USER_DATA + PARTITIONS + GENERATION),
            (3, TOPICS + USER_DATA + PARTITIONS + GENERATION + RACK),
        ],
    )
    def test_each_version_leaves_out_what_it_lacks(self, version: int, body: str) -> None:
        data = version.to_bytes(2, "big") + bytes.fromhex(body)
        assert encode_subscription(SUBSCRIPTION, version) == data
        known = ConsumerProtocolSubscription(topics=["a", "bc"], user_data=b"\xee")
        if version >= 1:
            known.owned_partitions = SUBSCRIPTION.owned_partitions
        if version >= 2:
            known.generation_id = 8
        if version >= 3:
            known.rack_id = "r1"
        assert decode_subscription(data) == known

    def test_the_newest_version_is_written_unless_another_is_asked_for(self) -> None:
        assert encode_subscription(SUBSCRIPTION) == encode_subscription(SUBSCRIPTION, version=3)

    def test_user_data_may_be_null(self) -> None:
        data = bytes.fromhex("0000 00000001 0001 61 ffffffff")
        assert decode_subscription(data) == ConsumerProtocolSubscription(topics=["a"])
        assert encode_subscription(ConsumerProtocolSubscription(topics=["a"]), version=0) == data

    def test_a_newer_version_is_read_as_the_newest_known(self) -> None:
        newer = b"\x00\x09" + encode_subscription(SUBSCRIPTION)[2:] + b"fields to come"
        assert decode_subscription(newer) == SUBSCRIPTION

    def test_a_negative_version_is_malformed(self) -> None:
        with pytest.raises(Malformed):
            decode_subscription(b"\xff\xff" + encode_subscription(SUBSCRIPTION)[2:])

    def test_every_prefix_is_truncated(self) -> None:
        data = encode_subscription(SUBSCRIPTION)
        for size in range(len(data)):
            with pytest.raises(Truncated):
                decode_subscription(data[:size])

    def test_there_is_no_fifth_version_to_write(self) -> None:
        with pytest.raises(ProtocolError):
            encode_subscription(SUBSCRIPTION, version=4)


class TestAssignments:
    @pytest.mark.parametrize("version", range(4))
    def test_all_versions_look_alike(self, version: int) -> None:
        data = version.to_bytes(2, "big") + bytes.fromhex(PARTITIONS + USER_DATA)
        assert encode_assignment(ASSIGNMENT, version) == data
        assert decode_assignment(data) == ASSIGNMENT

    def test_nothing_assigned(self) -> None:
        data = bytes.fromhex("0003 00000000 ffffffff")
        assert decode_assignment(data) == ConsumerProtocolAssignment(assigned_partitions=[])

    def test_a_newer_version_is_read_as_the_newest_known(self) -> None:
        newer = b"\x7f\xff" + encode_assignment(ASSIGNMENT)[2:] + b"fields to come"
        assert decode_assignment(newer) == ASSIGNMENT

    def test_an_empty_assignment_has_no_version(self) -> None:
        with pytest.raises(Truncated):
            decode_assignment(b"")

    def test_a_count_that_the_bytes_cannot_hold_is_truncated(self) -> None:
        with pytest.raises(Truncated):
            decode_assignment(bytes.fromhex("0000 7fffffff"))


class TestOtherLibrariesAgree:
    @pytest.mark.parametrize("version", range(4))
    def test_kafka_python_on_subscriptions(self, version: int) -> None:
        theirs = KafkaPythonSubscription(
            version=version,
            topics=["a", "bc"],
            user_data=b"\xee",
            owned_partitions=[("a", [0, 3])],
            generation_id=8,
            rack_id="r1",
        ).encode()
        assert bytes(theirs) == encode_subscription(SUBSCRIPTION, version)

    @pytest.mark.parametrize("version", range(4))
    def test_kafka_python_on_assignments(self, version: int) -> None:
        read = KafkaPythonAssignment.decode(encode_assignment(ASSIGNMENT, version))
        assert [(one.topic, one.partitions) for one in read.assigned_partitions] == [("a", [0, 3])]
        assert bytes(read.user_data) == b"\xee"

    def test_kio_on_subscriptions(self) -> None:
        theirs = io.BytesIO()
        entity_writer(KioSubscription)(
            theirs,
            KioSubscription(
                topics=("a", "bc"),
                user_data=b"\xee",
                owned_partitions=(KioOwned(topic=TopicName("a"), partitions=(i32(0), i32(3))),),
                generation_id=i32(8),
                rack_id="r1",
            ),
        )
        assert b"\0\3" + theirs.getvalue() == encode_subscription(SUBSCRIPTION)

    def test_kio_on_assignments(self) -> None:
        theirs = io.BytesIO()
        entity_writer(KioAssignment)(
            theirs,
            KioAssignment(
                assigned_partitions=(
                    KioAssigned(topic=TopicName("a"), partitions=(i32(0), i32(3))),
                ),
                user_data=b"\xee",
            ),
        )
        assert b"\0\3" + theirs.getvalue() == encode_assignment(ASSIGNMENT)
