"""WriteTxnMarkers: end transactions in partitions, as other brokers' coordinators and
``kafka-transactions.sh abort`` ask for (KIP-98, KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.durable_reply import DurableReply, WaitingPartition
from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.log.errors import LogDirectoryFailed
from ottla.wire.api.k27_write_txn_markers import (
    MarkedPartition,
    MarkedTopic,
    TxnMarker,
    TxnMarkerResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(
    context: RequestContext, request: WriteTxnMarkersRequest
) -> WriteTxnMarkersResponse | DurableReply:
    written: list[WaitingPartition] = []
    response = WriteTxnMarkersResponse(
        markers=[_write(context, marker, written) for marker in request.markers]
    )
    if not written:
        return response
    timeout_ms = context.broker.config.integer("request.timeout.ms")
    return DurableReply(response, written, timeout_ms, context.broker.deadlines)


def _write(
    context: RequestContext, marker: TxnMarker, written: list[WaitingPartition]
) -> TxnMarkerResult:
    topics = []
    for topic in marker.topics:
        partitions = []
        for index in topic.partition_indexes:
            marked = MarkedPartition(partition_index=index, error_code=0)
            try:
                _write_to_partition(context, marker, topic.name, marked, written)
            except EXPECTED_ERRORS as error:
                marked.error_code = error_code_of(error)
            partitions.append(marked)
        topics.append(MarkedTopic(name=topic.name, partitions=partitions))
    return TxnMarkerResult(producer_id=marker.producer_id, topics=topics)


def _write_to_partition(
    context: RequestContext,
    marker: TxnMarker,
    topic: str,
    marked: MarkedPartition,
    written: list[WaitingPartition],
) -> None:
    if marker.producer_id < 0 or marker.producer_epoch < 0:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "a marker needs a producer")
    partition = context.broker.partitions.find(topic, marked.partition_index)
    try:
        appended = partition.append_end_marker(
            marker.producer_id,
            marker.producer_epoch,
            marker.coordinator_epoch,
            marker.transaction_result,
            context.broker.clock.wall_ms(),
            marker.transaction_version,
        )
    except LogDirectoryFailed as failure:
        context.broker.storage_failed(partition, failure)
        raise
    written.append((partition, appended.last_offset + 1, marked))
