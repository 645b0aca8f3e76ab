"""Produce: append each partition's batch; with ``acks=all`` answer once it is durable."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from ottla.broker.durable_reply import DurableReply, WaitingPartition
from ottla.broker.errors import EXPECTED_ERRORS, code_of, error_code_of
from ottla.broker.produce import (
    ACKS_ALL,
    ACKS_LEADER,
    ACKS_NONE,
    append_client_batch,
)
from ottla.broker.repeated_produce import remember
from ottla.log.errors import LogDirectoryFailed
from ottla.records.errors import InvalidRecord
from ottla.wire.api.k00_produce import (
    PartitionToProduce,
    ProducedPartition,
    ProducedTopic,
    ProduceRequest,
    ProduceResponse,
    RecordError,
    TopicToProduce,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.transactional_produce import ProduceTransaction

__all__ = ["handle", "remember"]

_FIRST_VERSION_WITH_TOPIC_IDS = 13

# Partitions appended to, each with the end of its new records.
_Appended = list[WaitingPartition]


def handle(
    context: RequestContext, request: ProduceRequest
) -> ProduceResponse | DurableReply | Awaitable[ProduceResponse | None] | None:
    if request.transactional_id is None:
        return _append(context, request, None)
    from ottla.broker.transactional_produce import produce_in_transaction

    return produce_in_transaction(context, request, _append)


def _append(
    context: RequestContext, request: ProduceRequest, transaction: ProduceTransaction | None
) -> ProduceResponse | DurableReply | None:
    appended: _Appended = []
    now_ms = context.broker.clock.wall_ms()
    topics = [
        _produce_to_topic(context, request, topic, transaction, now_ms, appended)
        for topic in request.topic_data
    ]
    response = ProduceResponse(responses=topics)
    if request.acks == ACKS_NONE:
        _close_on_error(context, topics)
        return None
    if request.acks == ACKS_ALL and appended:
        return _answer_when_durable(context, response, request.timeout_ms, appended)
    return response


def _produce_to_topic(
    context: RequestContext,
    request: ProduceRequest,
    topic: TopicToProduce,
    transaction: ProduceTransaction | None,
    now_ms: int,
    appended: _Appended,
) -> ProducedTopic:
    missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    name: str | None = topic.name
    if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
        name = context.broker.partitions.topic_name(topic.topic_id)
        missing = ErrorCode.UNKNOWN_TOPIC_ID
    partitions = []
    for wanted in topic.partition_data:
        produced = ProducedPartition(index=wanted.index, error_code=0, base_offset=-1)
        try:
            if name is None:
                raise ProtocolError(missing)
            _produce_to_partition(
                context, request, name, wanted, transaction, produced, now_ms, appended
            )
        except EXPECTED_ERRORS as error:
            produced.error_code = error_code_of(error)
            produced.error_message = str(error)
            if isinstance(error, InvalidRecord):
                produced.record_errors = [
                    RecordError(batch_index=each, batch_index_error_message=str(error))
                    for each in error.record_indexes
                ]
        partitions.append(produced)
    return ProducedTopic(name=topic.name, topic_id=topic.topic_id, partition_responses=partitions)


def _produce_to_partition(
    context: RequestContext,
    request: ProduceRequest,
    topic: str,
    wanted: PartitionToProduce,
    transaction: ProduceTransaction | None,
    produced: ProducedPartition,
    now_ms: int,
    appended: _Appended,
) -> None:
    if request.acks not in (ACKS_ALL, ACKS_LEADER, ACKS_NONE):
        raise ProtocolError(ErrorCode.INVALID_REQUIRED_ACKS)
    partition = context.broker.partitions.find(topic, wanted.index)
    if partition.is_internal:
        raise ProtocolError(
            ErrorCode.INVALID_TOPIC_EXCEPTION, "clients may not write to an internal topic"
        )
    try:
        result = append_client_batch(
            partition,
            cast("memoryview | None", wanted.records),
            version=context.version,
            acks=request.acks,
            now_ms=now_ms,
            transaction=transaction,
        )
    except LogDirectoryFailed as failure:
        context.broker.storage_failed(partition, failure)
        raise
    produced.base_offset = result.first_offset
    produced.log_append_time_ms = result.log_append_time_ms
    produced.log_start_offset = partition.log.log_start_offset
    appended.append((partition, result.last_offset + 1, produced))


def _answer_when_durable(
    context: RequestContext, response: ProduceResponse, timeout_ms: int, appended: _Appended
) -> ProduceResponse | DurableReply:
    waiting = [each for each in appended if each[0].high_watermark < each[1]]
    if not waiting:
        return response
    return DurableReply(response, waiting, timeout_ms, context.broker.deadlines)


def _close_on_error(context: RequestContext, topics: list[ProducedTopic]) -> None:
    """With ``acks=0`` nothing can be answered: a closed connection makes the client refresh."""
    for topic in topics:
        for partition in topic.partition_responses:
            if partition.error_code:
                name = code_of(partition.error_code).name
                context.session.refuse(f"produce with acks=0 failed: {name}")
                return
