"""Produce: append each partition's batch; with ``acks=all`` answer once it is durable."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, cast

from ottla.broker.durable_reply import DurableReply, WaitingPartition, result_of
from ottla.broker.errors import EXPECTED_ERRORS, code_of, error_code_of
from ottla.broker.produce import (
    ACKS_ALL,
    ACKS_LEADER,
    ACKS_NONE,
    CheckedRecords,
    LargeBatchError,
    append_client_batch,
    check_records,
    keep_records,
)
from ottla.broker.repeated_produce import remember
from ottla.broker.worker import result_of_work
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


class _Progress:
    """What became of a request's records so far."""

    __slots__ = ("appended", "large", "now_ms", "transaction")

    def __init__(self, transaction: ProduceTransaction | None, now_ms: int) -> None:
        self.transaction = transaction
        self.now_ms = now_ms
        self.appended: list[WaitingPartition] = []
        """Partitions appended to, each with the end of its new records."""
        self.large: list[tuple[str, PartitionToProduce, ProducedPartition]] = []
        """Topics and partitions whose batches are yet to be looked through, in a thread."""


def handle(
    context: RequestContext, request: ProduceRequest
) -> ProduceResponse | DurableReply | Awaitable[ProduceResponse | None] | None:
    if request.transactional_id is None:
        return _append(context, request, None)
    from ottla.broker.transactional_produce import produce_in_transaction

    return produce_in_transaction(context, request, _append)


def _append(
    context: RequestContext, request: ProduceRequest, transaction: ProduceTransaction | None
) -> ProduceResponse | DurableReply | Awaitable[ProduceResponse | None] | None:
    progress = _Progress(transaction, context.broker.clock.wall_ms())
    topics = [_produce_to_topic(context, request, topic, progress) for topic in request.topic_data]
    response = ProduceResponse(responses=topics)
    if progress.large:
        keep_records(request)
        return _append_large(context, request, response, progress)
    return _answer(context, request, response, progress)


async def _append_large(
    context: RequestContext, request: ProduceRequest, response: ProduceResponse, progress: _Progress
) -> ProduceResponse | None:
    """Append what unpacks to so much that it has to be looked through in a thread."""
    for name, wanted, produced in progress.large:
        try:
            settings = context.broker.partitions.find(name, wanted.index).settings
            records = cast("memoryview", wanted.records)
            checked = await result_of_work(
                context.broker.unpacking, partial(check_records, records, settings)
            )
            _produce_to_partition(context, request, name, wanted, produced, progress, checked)
        except EXPECTED_ERRORS as error:
            _refuse(produced, error)
    result = _answer(context, request, response, progress)
    return await result_of(result) if isinstance(result, DurableReply) else result


def _answer(
    context: RequestContext, request: ProduceRequest, response: ProduceResponse, progress: _Progress
) -> ProduceResponse | DurableReply | None:
    if request.acks == ACKS_NONE:
        _close_on_error(context, response.responses)
        return None
    if request.acks == ACKS_ALL and progress.appended:
        return _answer_when_durable(context, response, request.timeout_ms, progress.appended)
    return response


def _produce_to_topic(
    context: RequestContext,
    request: ProduceRequest,
    topic: TopicToProduce,
    progress: _Progress,
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
            _produce_to_partition(context, request, name, wanted, produced, progress)
        except LargeBatchError:
            assert name is not None
            progress.large.append((name, wanted, produced))
        except EXPECTED_ERRORS as error:
            _refuse(produced, error)
        partitions.append(produced)
    return ProducedTopic(name=topic.name, topic_id=topic.topic_id, partition_responses=partitions)


def _refuse(produced: ProducedPartition, error: Exception) -> None:
    produced.error_code = error_code_of(error)
    produced.error_message = str(error)
    if isinstance(error, InvalidRecord):
        produced.record_errors = [
            RecordError(batch_index=each, batch_index_error_message=str(error))
            for each in error.record_indexes
        ]


def _produce_to_partition(
    context: RequestContext,
    request: ProduceRequest,
    topic: str,
    wanted: PartitionToProduce,
    produced: ProducedPartition,
    progress: _Progress,
    checked_records: CheckedRecords | None = None,
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
            now_ms=progress.now_ms,
            transaction=progress.transaction,
            checked_records=checked_records,
        )
    except LogDirectoryFailed as failure:
        context.broker.storage_failed(partition, failure)
        raise
    produced.base_offset = result.first_offset
    produced.log_append_time_ms = result.log_append_time_ms
    produced.log_start_offset = partition.log.log_start_offset
    progress.appended.append((partition, result.last_offset + 1, produced))


def _answer_when_durable(
    context: RequestContext,
    response: ProduceResponse,
    timeout_ms: int,
    appended: list[WaitingPartition],
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
