"""DescribeProducers: the idempotent producers a partition remembers (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.wire.api.k61_describe_producers import (
    ActiveProducer,
    DescribeProducersRequest,
    DescribeProducersResponse,
    InspectedPartition,
    InspectedTopic,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: DescribeProducersRequest) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            InspectedTopic(
                name=topic.name,
                partitions=[
                    _inspect(context, topic.name, index) for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _inspect(context: RequestContext, topic: str, index: int) -> InspectedPartition:
    inspected = InspectedPartition(partition_index=index, error_code=0, active_producers=[])
    try:
        partition = context.broker.partitions.find(topic, index)
        inspected.active_producers = [
            ActiveProducer(
                producer_id=producer.producer_id,
                producer_epoch=producer.producer_epoch,
                last_sequence=producer.last_sequence,
                last_timestamp=producer.last_timestamp_ms,
                coordinator_epoch=producer.coordinator_epoch,
                current_txn_start_offset=producer.current_txn_first_offset,
            )
            for producer in partition.log.producers
        ]
    except EXPECTED_ERRORS as error:
        inspected.error_code = error_code_of(error)
        inspected.error_message = str(error)
    return inspected
