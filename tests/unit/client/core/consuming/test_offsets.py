"""Requests that commit and look up offsets, and what answers mean."""

from __future__ import annotations

import pytest

from ottla.client.core.consuming.offsets import (
    Outcome,
    Retry,
    commit_error_codes,
    commit_request,
    looked_up,
    lookup_request,
    retry,
)
from ottla.client.core.consuming.partition import Stored
from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.group_metadata import decode_group_metadata, encode_group_metadata
from ottla.wire.api.k08_offset_commit import (
    CommittedPartition,
    CommittedTopic,
    OffsetCommitRequest,
    OffsetCommitResponse,
)
from ottla.wire.api.k09_offset_fetch import (
    FoundGroup,
    FoundGroupPartition,
    FoundGroupTopic,
    FoundPartition,
    FoundTopic,
    OffsetFetchRequest,
    OffsetFetchResponse,
)
from ottla.wire.errors import ErrorCode

GROUP = GroupMetadata("g", 4, "m", "i")
KEYS = [("t", 0), ("t", 1), ("u", 0)]


@pytest.mark.parametrize("version", range(2, 10))
def test_a_commit_can_be_said_in_every_version(version: int) -> None:
    make = commit_request(GROUP, {("t", 0): Stored(5, 2, "m"), ("u", 0): Stored(7)})
    request = OffsetCommitRequest.decode(make(version).encode(version), version)
    assert (request.group_id, request.generation_id_or_member_epoch, request.member_id) == (
        "g",
        4,
        "m",
    )
    assert request.group_instance_id == ("i" if version >= 7 else None)
    assert [(t.name, t.partitions[0].committed_offset) for t in request.topics] == [
        ("t", 5),
        ("u", 7),
    ]


@pytest.mark.parametrize("version", range(1, 10))
def test_a_look_up_can_be_said_in_every_version(version: int) -> None:
    make = lookup_request(GROUP, KEYS, require_stable=True)
    request = OffsetFetchRequest.decode(make(version).encode(version), version)
    assert request.require_stable == (version >= 7)
    topics = (
        [(t.name, t.partition_indexes) for t in request.topics or ()]
        if version < 8
        else [(t.name, t.partition_indexes) for t in request.groups[0].topics or ()]
    )
    assert topics == [("t", [0, 1]), ("u", [0])]


def test_offsets_found_by_old_and_new_brokers() -> None:
    old = OffsetFetchResponse(
        topics=[
            FoundTopic(
                name="t",
                partitions=[
                    FoundPartition(
                        partition_index=0, committed_offset=5, metadata="m", error_code=0
                    ),
                    FoundPartition(
                        partition_index=1,
                        committed_offset=-1,
                        metadata="",
                        error_code=ErrorCode.UNSTABLE_OFFSET_COMMIT,
                    ),
                ],
            )
        ]
    )
    code, found = looked_up(old, KEYS)
    assert code == 0
    assert found["t", 0] == Outcome(5, None, -1, "m")
    error = found["t", 1].error
    assert error is not None
    assert retry(error.code()) is Retry.LATER
    assert found["u", 0] == Outcome(-1001)
    new = OffsetFetchResponse(
        groups=[
            FoundGroup(
                group_id="g",
                topics=[
                    FoundGroupTopic(
                        name="t",
                        partitions=[
                            FoundGroupPartition(
                                partition_index=0,
                                committed_offset=5,
                                committed_leader_epoch=2,
                                metadata="",
                                error_code=0,
                            )
                        ],
                    )
                ],
                error_code=ErrorCode.NOT_COORDINATOR,
            )
        ]
    )
    code, found = looked_up(new, KEYS)
    assert retry(code) is Retry.ELSEWHERE
    assert found["t", 0] == Outcome(5, None, 2, None)


def test_error_codes_of_a_commit() -> None:
    partition = CommittedPartition(partition_index=1, error_code=22)
    response = OffsetCommitResponse(topics=[CommittedTopic(name="t", partitions=[partition])])
    assert commit_error_codes(response) == {("t", 1): 22}
    assert retry(22) is Retry.NO


@pytest.mark.parametrize("metadata", [GROUP, GroupMetadata("g"), GroupMetadata("g", 1, "m", "")])
def test_group_metadata_as_bytes(metadata: GroupMetadata) -> None:
    assert decode_group_metadata(encode_group_metadata(metadata)) == metadata


def test_group_metadata_are_librdkafkas() -> None:
    confluent_kafka = pytest.importorskip("confluent_kafka")
    consumer = confluent_kafka.Consumer({"group.id": "g", "group.instance.id": "i"})
    try:
        theirs = consumer.consumer_group_metadata()
    finally:
        consumer.close()
    assert theirs == encode_group_metadata(GroupMetadata("g", -1, "", "i"))


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"CGMDv2:", b"CGMDv2:\0\0\0\0", b"CGMDv2:\0\0\0\0g\0m\0\2"]
)
def test_junk_is_no_group_metadata(junk: bytes) -> None:
    with pytest.raises(KafkaException) as caught:
        decode_group_metadata(junk)
    assert caught.value.args[0] == KafkaError._BAD_MSG
