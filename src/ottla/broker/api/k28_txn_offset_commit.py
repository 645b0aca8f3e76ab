"""TxnOffsetCommit: remember how far a group has read, if the transaction commits (KIP-98)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.transaction_verification import ClientKnowledge, consent_of_coordinator
from ottla.coordination.groups.commands import TxnOffsetCommit
from ottla.coordination.routing import partition_for
from ottla.metadata.topic_names import GROUP_METADATA_TOPIC
from ottla.records.batch import NO_SEQUENCE
from ottla.wire.api.k28_txn_offset_commit import (
    CommittedPartition,
    CommittedTopic,
    TopicToCommit,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.partition import Partition
    from ottla.log.verification import VerificationGuard

# Older producers took a coordinator that loads for a fatal error (KAFKA-7296).
_FIRST_VERSION_WITH_LOADING = 2
_FIRST_VERSION_WITH_ABORTABLE = 4
_FIRST_VERSION_THAT_ADDS = 5


async def handle(
    context: RequestContext, request: TxnOffsetCommitRequest
) -> TxnOffsetCommitResponse:
    asked = request.topics
    known = _existing(context, asked)
    errors: dict[tuple[str, int], int] = {}
    if known:
        request.topics = known
        try:
            response = await _commit(context, request)
        except ProtocolError as error:
            code = _told(error.code, context.version)
            errors = {
                (topic.name, each.partition_index): code
                for topic in known
                for each in topic.partitions
            }
        else:
            errors = {
                (topic.name, each.partition_index): _told(each.error_code, context.version)
                for topic in response.topics
                for each in topic.partitions
            }
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return TxnOffsetCommitResponse(
        topics=[
            CommittedTopic(
                name=topic.name,
                partitions=[
                    CommittedPartition(
                        partition_index=each.partition_index,
                        error_code=errors.get((topic.name, each.partition_index), unknown),
                    )
                    for each in topic.partitions
                ],
            )
            for topic in asked
        ]
    )


def _existing(context: RequestContext, asked: list[TopicToCommit]) -> list[TopicToCommit]:
    """The topics and partitions that there are."""
    image = context.broker.cluster.image
    known = []
    for topic in asked:
        partitions = [
            each
            for each in topic.partitions
            if image.partition(topic.name, each.partition_index) is not None
        ]
        if partitions:
            known.append(TopicToCommit(name=topic.name, partitions=partitions))
    return known


async def _commit(
    context: RequestContext, request: TxnOffsetCommitRequest
) -> TxnOffsetCommitResponse:
    if not request.group_id:
        raise ProtocolError(ErrorCode.INVALID_GROUP_ID)
    broker = context.broker
    await broker.groups.ensure_topic()
    index = partition_for(request.group_id, broker.groups.partition_count)
    partition = broker.partitions.find(GROUP_METADATA_TOPIC, index)
    guard = await _verified_guard(context, request, partition)
    response: TxnOffsetCommitResponse = await broker.groups.submit_to(
        index, lambda token: TxnOffsetCommit(token, request, context.version, guard)
    )
    return response


async def _verified_guard(
    context: RequestContext,
    request: TxnOffsetCommitRequest,
    partition: Partition,
    *,
    has_waited: bool = False,
) -> VerificationGuard | None:
    """What the offsets are appended with; ``None`` where the transaction is open already.

    Raises:
        ProtocolError: the transaction coordinator does not consent.
    """
    broker = context.broker
    client = ClientKnowledge(
        knows_abortable=context.version >= _FIRST_VERSION_WITH_ABORTABLE,
        leaves_adding_to_broker=context.version >= _FIRST_VERSION_THAT_ADDS,
        retried=ErrorCode.COORDINATOR_NOT_AVAILABLE,
    )
    guard = partition.begin_verification(
        request.producer_id,
        request.producer_epoch,
        NO_SEQUENCE,
        bumps_epochs=client.leaves_adding_to_broker,
        now_ms=broker.clock.wall_ms(),
    )
    if guard is None:
        return None
    answers = await consent_of_coordinator(
        broker,
        request.transactional_id,
        request.producer_id,
        request.producer_epoch,
        frozenset({partition.name}),
        client,
    )
    error = answers[partition.name]
    if error is ErrorCode.CONCURRENT_TRANSACTIONS and not has_waited:
        # The marker still to come makes this guard worthless.
        await broker.transactions.wait_for_end(request.transactional_id)
        return await _verified_guard(context, request, partition, has_waited=True)
    if error is not ErrorCode.NONE:
        partition.refuse_verification(request.producer_id, guard, error)
        raise ProtocolError(error)
    return guard


def _told(code: int, version: int) -> int:
    if code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS and version < _FIRST_VERSION_WITH_LOADING:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return code
