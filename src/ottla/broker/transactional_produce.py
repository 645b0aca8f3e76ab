"""Producing within a transaction: the coordinator consents to its first batch in each partition.

Where the transaction has records already, it isn't asked again (KIP-890).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from ottla.broker.durable_reply import DurableReply, result_of
from ottla.broker.produce import keep_records
from ottla.broker.transaction_verification import ClientKnowledge, consent_of_coordinator
from ottla.log.names import TopicPartition
from ottla.records.batch import BatchHeader, read_header
from ottla.records.errors import RecordsError
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.partition import Partition
    from ottla.log.verification import VerificationGuard
    from ottla.wire.api.k00_produce import ProduceRequest, ProduceResponse

_FIRST_VERSION_WITH_TOPIC_IDS = 13
_FIRST_VERSION_WITH_ABORTABLE = 11
_FIRST_VERSION_THAT_ADDS = 12


class _Consent(NamedTuple):
    """What the coordinator said of one partition."""

    partition: Partition
    producer_id: int
    guard: VerificationGuard
    error: ErrorCode = ErrorCode.NONE


class ProduceTransaction:
    """The transaction a produce request belongs to, and where its records may go."""

    __slots__ = ("_consents",)

    def __init__(self) -> None:
        self._consents: dict[TopicPartition, _Consent] = {}

    def add(self, partition: Partition, producer_id: int, guard: VerificationGuard) -> None:
        """The coordinator is to be asked about a partition."""
        self._consents[partition.name] = _Consent(partition, producer_id, guard)

    @property
    def unverified(self) -> frozenset[TopicPartition]:
        """The partitions to ask about."""
        return frozenset(self._consents)

    def answered(self, name: TopicPartition, error: ErrorCode) -> None:
        """The coordinator has answered."""
        consent = self._consents[name] = self._consents[name]._replace(error=error)
        if error is not ErrorCode.NONE:
            consent.partition.refuse_verification(consent.producer_id, consent.guard, error)

    def guard_for(self, partition: Partition) -> VerificationGuard | None:
        """What a transactional batch is appended with.

        Raises:
            ProtocolError: the coordinator has refused the partition.
        """
        consent = self._consents.get(partition.name)
        if consent is None:
            return None
        if consent.error is not ErrorCode.NONE:
            raise ProtocolError(
                consent.error, "the partition can't take records of the transaction now"
            )
        return consent.guard


Append = Callable[
    ["RequestContext", "ProduceRequest", ProduceTransaction],
    "ProduceResponse | DurableReply | Awaitable[ProduceResponse | None] | None",
]


def produce_in_transaction(
    context: RequestContext, request: ProduceRequest, append: Append, *, has_waited: bool = False
) -> ProduceResponse | DurableReply | Awaitable[ProduceResponse | None] | None:
    """Append a request's records by ``append``, once the coordinator has consented.

    Args:
        has_waited: for the end of the producer's transaction before, which is done only once.
    """
    transaction = ProduceTransaction()
    producers = set()
    bumps_epochs = context.version >= _FIRST_VERSION_THAT_ADDS
    now_ms = context.broker.clock.wall_ms()
    for partition, header in _transactional_batches(context, request):
        producers.add((header.producer_id, header.producer_epoch))
        guard = partition.begin_verification(
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            bumps_epochs=bumps_epochs,
            now_ms=now_ms,
        )
        if guard is not None:
            transaction.add(partition, header.producer_id, guard)
    if not transaction.unverified:
        return append(context, request, transaction)
    if len(producers) > 1:
        for name in transaction.unverified:
            transaction.answered(name, ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        return append(context, request, transaction)
    (producer,) = producers
    # Before the coroutine's first step: until then the frame's memory may take the next request.
    keep_records(request)
    return _append_when_verified(
        context, request, transaction, *producer, append, has_waited=has_waited
    )


def _transactional_batches(
    context: RequestContext, request: ProduceRequest
) -> Iterator[tuple[Partition, BatchHeader]]:
    """The batches that may begin a transaction; what is wrong with others, `append` will find."""
    partitions = context.broker.partitions
    for topic in request.topic_data:
        name: str | None = topic.name
        if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
            name = partitions.topic_name(topic.topic_id)
        for wanted in topic.partition_data:
            partition = None if name is None else partitions.get(name, wanted.index)
            if partition is None or partition.is_offline or partition.is_internal:
                continue
            try:
                header = read_header(cast("memoryview | None", wanted.records) or b"")
            except RecordsError:
                continue
            if header.is_transactional and header.has_producer_id and not header.is_control:
                yield partition, header


async def _append_when_verified(
    context: RequestContext,
    request: ProduceRequest,
    transaction: ProduceTransaction,
    producer_id: int,
    producer_epoch: int,
    append: Append,
    *,
    has_waited: bool,
) -> ProduceResponse | None:
    assert request.transactional_id is not None
    answers = await consent_of_coordinator(
        context.broker,
        request.transactional_id,
        producer_id,
        producer_epoch,
        transaction.unverified,
        ClientKnowledge(
            knows_abortable=context.version >= _FIRST_VERSION_WITH_ABORTABLE,
            leaves_adding_to_broker=context.version >= _FIRST_VERSION_THAT_ADDS,
            # It makes no client look for new metadata.
            retried=ErrorCode.NOT_ENOUGH_REPLICAS,
        ),
    )
    is_early = ErrorCode.CONCURRENT_TRANSACTIONS in answers.values()
    if is_early and not has_waited:
        # The markers still to come make these guards worthless: it all begins again after them.
        await context.broker.transactions.wait_for_end(request.transactional_id)
        result = produce_in_transaction(context, request, append, has_waited=True)
    else:
        for name, error in answers.items():
            transaction.answered(name, error)
        result = append(context, request, transaction)
    if isinstance(result, Awaitable):
        return await result
    return await result_of(result) if isinstance(result, DurableReply) else result
