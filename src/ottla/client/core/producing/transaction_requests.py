"""What a transactional producer asks of coordinators, and how the errors of answers are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.core.producing.partition import Identity
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ottla.wire.api.k24_add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    TopicToAdd,
)
from ottla.wire.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from ottla.wire.api.k26_end_txn import EndTxnRequest, EndTxnResponse
from ottla.wire.api.k28_txn_offset_commit import (
    PartitionToCommit,
    TopicToCommit,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from ottla.wire.declare import Message

# The first version of TxnOffsetCommit that says which member commits (KIP-447).
_KNOWS_MEMBERS = 3

TopicPartitionKey: TypeAlias = tuple[str, int]


class GroupOffset(NamedTuple):
    """An offset to commit with the transaction."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str | None = None


class Ask(NamedTuple):
    """A request for the transaction's coordinator, or for that of a group.

    It may depend on the version in which it is asked.
    """

    request: Message | Callable[[int], Message]
    answer: type[Message]
    at_least: int
    at_most: int
    group_id: str | None = None
    """The coordinator of this group is asked; None: the transaction's."""


class Ids(NamedTuple):
    """What every request of a transactional producer says."""

    transactional_id: str
    identity: Identity


def init_producer_id(ids: Ids, timeout_ms: int, *, keeps_id: bool) -> Ask:
    """Get an id and epoch; with ``keeps_id`` only another epoch (KIP-360)."""
    identity = ids.identity if keeps_id else Identity()
    request = InitProducerIdRequest(
        transactional_id=ids.transactional_id,
        transaction_timeout_ms=timeout_ms,
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
    )
    return Ask(request, InitProducerIdResponse, 3 if keeps_id else 0, 5)


def add_partitions(ids: Ids, partitions: Iterable[TopicPartitionKey]) -> Ask:
    """Make partitions part of the transaction; not needed in transactions of version 2."""
    topics: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        topics.setdefault(topic, []).append(number)
    request = AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=ids.transactional_id,
        v3_and_below_producer_id=ids.identity.producer_id,
        v3_and_below_producer_epoch=ids.identity.epoch,
        v3_and_below_topics=[
            TopicToAdd(name=topic, partitions=numbers) for topic, numbers in topics.items()
        ],
    )
    return Ask(request, AddPartitionsToTxnResponse, 0, 3)


def add_offsets(ids: Ids, group_id: str) -> Ask:
    """Make a group's offsets part of the transaction; not needed in version 2."""
    request = AddOffsetsToTxnRequest(
        transactional_id=ids.transactional_id,
        producer_id=ids.identity.producer_id,
        producer_epoch=ids.identity.epoch,
        group_id=group_id,
    )
    return Ask(request, AddOffsetsToTxnResponse, 0, 3)


def commit_offsets(
    ids: Ids, group: GroupMetadata, offsets: Sequence[GroupOffset], *, is_version_2: bool
) -> Ask:
    """Store offsets when the transaction commits.

    A broker older than KIP-447 is not told who the member is, and so fences none.
    """
    topics: dict[str, list[PartitionToCommit]] = {}
    for topic, partition, offset, leader_epoch, metadata in offsets:
        topics.setdefault(topic, []).append(
            PartitionToCommit(
                partition_index=partition,
                committed_offset=offset,
                committed_leader_epoch=leader_epoch,
                committed_metadata=metadata,
            )
        )

    def request(version: int) -> TxnOffsetCommitRequest:
        message = TxnOffsetCommitRequest(
            transactional_id=ids.transactional_id,
            group_id=group.group_id,
            producer_id=ids.identity.producer_id,
            producer_epoch=ids.identity.epoch,
            topics=[TopicToCommit(name=topic, partitions=parts) for topic, parts in topics.items()],
        )
        if version >= _KNOWS_MEMBERS:
            message.generation_id = group.generation_id
            message.member_id = group.member_id
            message.group_instance_id = group.group_instance_id
        return message

    oldest, newest = (5, 5) if is_version_2 else (0, 4)
    return Ask(request, TxnOffsetCommitResponse, oldest, newest, group.group_id)


def end(ids: Ids, *, is_committed: bool, is_version_2: bool) -> Ask:
    """Commit or abort."""
    request = EndTxnRequest(
        transactional_id=ids.transactional_id,
        producer_id=ids.identity.producer_id,
        producer_epoch=ids.identity.epoch,
        committed=is_committed,
    )
    return Ask(request, EndTxnResponse, 5 if is_version_2 else 0, 5 if is_version_2 else 3)


def error_codes(answer: Message) -> list[int]:
    """The codes in an answer that are errors."""
    if isinstance(answer, AddPartitionsToTxnResponse):
        codes = [
            partition.partition_error_code
            for topic in answer.results_by_topic_v3_and_below
            for partition in topic.results_by_partition
        ]
    elif isinstance(answer, TxnOffsetCommitResponse):
        codes = [partition.error_code for topic in answer.topics for partition in topic.partitions]
    else:
        assert isinstance(answer, InitProducerIdResponse | AddOffsetsToTxnResponse | EndTxnResponse)
        codes = [answer.error_code]
    return [code for code in codes if code]
