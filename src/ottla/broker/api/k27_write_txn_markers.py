"""WriteTxnMarkers: end transactions in partitions, as other brokers' coordinators and
``kafka-transactions.sh abort`` ask for (KIP-98, KIP-664)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from ottla.broker.durable_reply import DurableReply, WaitingPartition, result_of
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

# Markers that are written before other work gets its turn.
_MARKERS_PER_TURN = 100


class _AskedMarker(NamedTuple):
    """A marker for one partition, and that partition's part of the response."""

    marker: TxnMarker
    topic: str
    marked: MarkedPartition


def handle(
    context: RequestContext, request: WriteTxnMarkersRequest
) -> WriteTxnMarkersResponse | DurableReply | Awaitable[WriteTxnMarkersResponse]:
    response, asked = _unanswered(request)
    if len(asked) > _MARKERS_PER_TURN:
        return _write_in_turns(context, response, asked)
    written: list[WaitingPartition] = []
    for each in asked:
        _write(context, each, written)
    return _answer(context, response, written)


def _unanswered(
    request: WriteTxnMarkersRequest,
) -> tuple[WriteTxnMarkersResponse, list[_AskedMarker]]:
    """The response before anything is done, and what is to be done for it."""
    asked = []
    results = []
    for marker in request.markers:
        topics = []
        for topic in marker.topics:
            partitions = [
                MarkedPartition(partition_index=index, error_code=0)
                for index in topic.partition_indexes
            ]
            asked += [_AskedMarker(marker, topic.name, each) for each in partitions]
            topics.append(MarkedTopic(name=topic.name, partitions=partitions))
        results.append(TxnMarkerResult(producer_id=marker.producer_id, topics=topics))
    return WriteTxnMarkersResponse(markers=results), asked


async def _write_in_turns(
    context: RequestContext, response: WriteTxnMarkersResponse, asked: Sequence[_AskedMarker]
) -> WriteTxnMarkersResponse:
    written: list[WaitingPartition] = []
    for number, each in enumerate(asked, 1):
        _write(context, each, written)
        if number % _MARKERS_PER_TURN == 0:
            await asyncio.sleep(0)
    result = _answer(context, response, written)
    if isinstance(result, DurableReply):
        return cast(WriteTxnMarkersResponse, await result_of(result))
    return result


def _answer(
    context: RequestContext, response: WriteTxnMarkersResponse, written: list[WaitingPartition]
) -> WriteTxnMarkersResponse | DurableReply:
    if not written:
        return response
    timeout_ms = context.broker.config.integer("request.timeout.ms")
    return DurableReply(response, written, timeout_ms, context.broker.deadlines)


def _write(context: RequestContext, asked: _AskedMarker, written: list[WaitingPartition]) -> None:
    try:
        _write_to_partition(context, asked.marker, asked.topic, asked.marked, written)
    except EXPECTED_ERRORS as error:
        asked.marked.error_code = error_code_of(error)


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
