"""ListOffsets: the start, the end, the newest record, or the first record at or after a time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.broker.partition import Partition
from ottla.wire.api.k02_list_offsets import (
    ListedPartition,
    ListedTopic,
    ListOffsetsRequest,
    ListOffsetsResponse,
    PartitionToList,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6

_FIRST_VERSION_OF_NAME = {
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}

_READ_COMMITTED = 1
_FIRST_VERSION_WITH_LEADER_EPOCH = 4
_DEBUGGING_CONSUMER = -2


def handle(context: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    asked = Counter(
        (topic.name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    )
    topics = []
    for topic in request.topics:
        partitions = []
        for wanted in topic.partitions:
            listed = ListedPartition(partition_index=wanted.partition_index, error_code=0)
            try:
                if asked[topic.name, wanted.partition_index] > 1:
                    raise ProtocolError(ErrorCode.INVALID_REQUEST)
                _list(context, request, topic.name, wanted, listed)
            except EXPECTED_ERRORS as error:
                listed.error_code = error_code_of(error)
            if context.version < _FIRST_VERSION_WITH_LEADER_EPOCH:
                listed.leader_epoch = -1
            partitions.append(listed)
        topics.append(ListedTopic(name=topic.name, partitions=partitions))
    return ListOffsetsResponse(topics=topics)


def _list(
    context: RequestContext,
    request: ListOffsetsRequest,
    topic: str,
    wanted: PartitionToList,
    listed: ListedPartition,
) -> None:
    version = context.version
    partition = context.broker.partitions.find(topic, wanted.partition_index)
    partition.check_leader_epoch(wanted.current_leader_epoch)
    log = partition.log
    if version < _FIRST_VERSION_OF_NAME.get(wanted.timestamp, 0):
        raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION)
    if wanted.timestamp == LATEST:
        listed.offset = _end_offset(partition, request)
        listed.leader_epoch = partition.leader_epoch
    elif wanted.timestamp in (EARLIEST, EARLIEST_LOCAL):
        listed.offset = log.log_start_offset
        listed.leader_epoch = log.leader_epochs.epoch_of(log.log_start_offset)
    elif wanted.timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        # Nothing is ever tiered here, which Kafka says with -1.
        return
    elif wanted.timestamp == MAX_TIMESTAMP:
        _fill(listed, log.max_timestamp_offset(), _end_offset(partition, request))
    elif wanted.timestamp < 0:
        raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION)
    else:
        _fill(listed, log.offset_for_timestamp(wanted.timestamp), _end_offset(partition, request))


def _fill(listed: ListedPartition, found: tuple[int, int, int] | None, end_offset: int) -> None:
    if found is not None and found[0] < end_offset:
        listed.offset, listed.timestamp, listed.leader_epoch = found


def _end_offset(partition: Partition, request: ListOffsetsRequest) -> int:
    if request.replica_id == _DEBUGGING_CONSUMER:
        return partition.log.log_end_offset
    if request.isolation_level == _READ_COMMITTED:
        return partition.last_stable_offset
    return partition.high_watermark
