"""OffsetForLeaderEpoch: where a leader epoch ends, so that a client can tell whether the log was
truncated behind its back (KIP-320)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.wire.api.k23_offset_for_leader_epoch import (
    CheckedPartition,
    CheckedTopic,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    PartitionToCheck,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(
    context: RequestContext, request: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            CheckedTopic(
                topic=topic.topic,
                partitions=[_check(context, topic.topic, each) for each in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _check(context: RequestContext, topic: str, wanted: PartitionToCheck) -> CheckedPartition:
    checked = CheckedPartition(error_code=0, partition=wanted.partition)
    try:
        partition = context.broker.partitions.find(topic, wanted.partition)
        partition.check_leader_epoch(wanted.current_leader_epoch)
        if wanted.leader_epoch == partition.leader_epoch:
            # The current epoch has no end yet: as far as consumers are concerned it is here.
            checked.leader_epoch = partition.leader_epoch
            checked.end_offset = partition.high_watermark
        else:
            end = partition.log.end_offset_for_epoch(wanted.leader_epoch)
            checked.leader_epoch, checked.end_offset = end
    except EXPECTED_ERRORS as error:
        checked.error_code = error_code_of(error)
    return checked
