"""Producers and transactions: described, listed, ended from outside (KIP-664)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ottla.client.admin.transactions import (
    AbortTransactionSpec,
    FencedProducer,
    ProducerState,
    TransactionDescription,
    TransactionListing,
)
from ottla.client.core.admin.brokers import itself, live_brokers
from ottla.client.core.admin.call import RETRIED, Call, Operation, Outcomes, ask_all, ask_one, split
from ottla.client.core.admin.offsets import by_topic
from ottla.client.core.admin.outcomes import outcome, raise_for
from ottla.client.core.admin.routes import (
    TIMED_OUT,
    Coordinators,
    Each,
    leaders_of_partitions,
)
from ottla.client.core.targets import KeyType
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.values import TopicPartition
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ottla.wire.api.k27_write_txn_markers import (
    TopicToMark,
    TxnMarker,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from ottla.wire.api.k61_describe_producers import (
    ActiveProducer,
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicToInspect,
)
from ottla.wire.api.k65_describe_transactions import (
    DescribedTransaction,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from ottla.wire.api.k66_list_transactions import ListTransactionsRequest, ListTransactionsResponse
from ottla.wire.errors import ErrorCode

# Fencing begins no transaction, so its timeout only has to be one that the broker takes.
_TIMEOUT_OF_FENCING_MS = 1


def describe_producers(
    partitions: Collection[TopicPartition], broker_id: int | None
) -> Operation[Outcomes[TopicPartition, list[ProducerState]]]:
    """The active producers of partitions, as their leaders or one replica knows them."""

    def request(keys: Sequence[TopicPartition]) -> DescribeProducersRequest:
        numbers = by_topic(keys, lambda partition: partition.partition)
        return DescribeProducersRequest(
            topics=[TopicToInspect(name=t, partition_indexes=n) for t, n in numbers.items()]
        )

    def read(
        answer: DescribeProducersResponse, _: Sequence[TopicPartition]
    ) -> Iterable[tuple[TopicPartition, list[ProducerState] | KafkaError]]:
        for topic in answer.topics:
            for found in topic.partitions:
                key = TopicPartition(topic.name, found.partition_index)
                producers = [_producer(producer) for producer in found.active_producers]
                yield key, outcome(found.error_code, found.error_message, producers)

    if broker_id is None:
        route = leaders_of_partitions()
        return ask_all(Call(partitions, route, request, DescribeProducersResponse, read))
    # This broker shall answer, whether it leads the partition or not.
    asked = Each[TopicPartition](lambda _: broker_id)
    retried = RETRIED - {ErrorCode.NOT_LEADER_OR_FOLLOWER}
    return ask_all(
        Call(partitions, asked, request, DescribeProducersResponse, read, retried=retried)
    )


def _producer(producer: ActiveProducer) -> ProducerState:
    epoch, start = producer.coordinator_epoch, producer.current_txn_start_offset
    return ProducerState(
        producer.producer_id,
        producer.producer_epoch,
        producer.last_sequence,
        producer.last_timestamp,
        None if epoch < 0 else epoch,
        None if start < 0 else start,
    )


def describe_transactions(
    transactional_ids: Collection[str],
) -> Operation[Outcomes[str, TransactionDescription]]:
    """Describe transactions by their transactional ids."""
    route = Coordinators(KeyType.TRANSACTION)

    def request(keys: Sequence[str]) -> DescribeTransactionsRequest:
        return DescribeTransactionsRequest(transactional_ids=list(keys))

    def read(
        answer: DescribeTransactionsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, TransactionDescription | KafkaError]]:
        for found in answer.transaction_states:
            key = found.transactional_id
            description = _description(found, route.node(key).id)
            yield key, outcome(found.error_code, None, description)

    return ask_all(Call(transactional_ids, route, request, DescribeTransactionsResponse, read))


def _description(found: DescribedTransaction, coordinator_id: int) -> TransactionDescription:
    start_ms = found.transaction_start_time_ms
    return TransactionDescription(
        coordinator_id,
        found.transaction_state,
        found.producer_id,
        found.producer_epoch,
        found.transaction_timeout_ms,
        None if start_ms < 0 else start_ms,
        [TopicPartition(topic.topic, n) for topic in found.topics for n in topic.partitions],
    )


def list_transactions(
    *,
    states: Collection[str],
    producer_ids: Collection[int],
    longer_than_ms: int | None,
    transactional_id_pattern: str | None,
) -> Operation[dict[int, list[TransactionListing]]]:
    """The transactions that each broker coordinates.

    Raises:
        KafkaException: a broker could not be asked.
    """

    def request(_: Sequence[int]) -> ListTransactionsRequest:
        return ListTransactionsRequest(
            state_filters=sorted(states),
            producer_id_filters=sorted(producer_ids),
            duration_filter=-1 if longer_than_ms is None else longer_than_ms,
            transactional_id_pattern=transactional_id_pattern,
        )

    def read(
        answer: ListTransactionsResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, list[TransactionListing] | KafkaError]]:
        raise_for(answer.error_code)
        listed = [
            TransactionListing(t.transactional_id, t.producer_id, t.transaction_state)
            for t in answer.transaction_states
        ]
        yield keys[0], listed

    at_least = 0 if longer_than_ms is None else 1
    if transactional_id_pattern is not None:
        at_least = 2
    brokers = yield from live_brokers()
    call = Call(
        brokers, itself(TIMED_OUT), request, ListTransactionsResponse, read, at_least=at_least
    )
    listings, errors = split((yield from ask_all(call)))
    for error in errors.values():
        raise KafkaException(error)
    return listings


def abort_transaction(spec: AbortTransactionSpec) -> Operation[None]:
    """Abort a transaction that hangs in a partition."""
    partition = spec.partition

    def request(_: Sequence[TopicPartition]) -> WriteTxnMarkersRequest:
        marker = TxnMarker(
            producer_id=spec.producer_id,
            producer_epoch=spec.producer_epoch,
            transaction_result=False,
            topics=[TopicToMark(name=partition.topic, partition_indexes=[partition.partition])],
            coordinator_epoch=spec.coordinator_epoch,
        )
        return WriteTxnMarkersRequest(markers=[marker])

    def read(
        answer: WriteTxnMarkersResponse, _: Sequence[TopicPartition]
    ) -> Iterable[tuple[TopicPartition, KafkaError | None]]:
        for marked in answer.markers:
            for topic in marked.topics:
                for result in topic.partitions:
                    key = TopicPartition(topic.name, result.partition_index)
                    yield key, outcome(result.error_code, None, None)

    return ask_one(
        Call([partition], leaders_of_partitions(), request, WriteTxnMarkersResponse, read)
    )


def fence_producers(
    transactional_ids: Collection[str],
) -> Operation[Outcomes[str, FencedProducer]]:
    """Abort the transactions of these ids and shut their producers out."""

    def request(keys: Sequence[str]) -> InitProducerIdRequest:
        [transactional_id] = keys
        return InitProducerIdRequest(
            transactional_id=transactional_id, transaction_timeout_ms=_TIMEOUT_OF_FENCING_MS
        )

    def read(
        answer: InitProducerIdResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, FencedProducer | KafkaError]]:
        fenced = FencedProducer(answer.producer_id, answer.producer_epoch)
        yield keys[0], outcome(answer.error_code, None, fenced)

    return ask_all(
        Call(
            transactional_ids,
            Coordinators(KeyType.TRANSACTION, is_batched=False),
            request,
            InitProducerIdResponse,
            read,
            # A transaction of the id is just being ended.
            retried=RETRIED | {ErrorCode.CONCURRENT_TRANSACTIONS},
        )
    )
