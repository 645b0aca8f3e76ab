"""Transactions that nobody will end: open in a partition, unknown to every coordinator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from ottla.cli.kafka.cluster import Cluster, KeyType, in_order
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.partition_offsets import Partition, leaders
from ottla.cli.kafka.topic_queries import live_brokers, metadata
from ottla.wire.api.k61_describe_producers import DescribeProducersRequest, TopicToInspect
from ottla.wire.errors import ErrorCode


class OpenTransaction(NamedTuple):
    """A transaction that is open in a partition, with its producer's state there."""

    topic: str
    partition: int
    producer: Any


async def describe_partitions(
    cluster: Cluster, partitions: Collection[Partition], broker_id: int | None = None
) -> dict[Partition, list[Any]]:
    """The producers that partitions know, from their leaders or from one replica.

    Raises:
        KafkaFailure: a partition can't be described.
    """
    led = await leaders(cluster, (topic for topic, _ in partitions))
    by_broker: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic, index in partitions:
        leader = led.get((topic, index), -1)
        if leader < 0:
            raise led.failure((topic, index))
        by_broker[leader if broker_id is None else broker_id][topic].append(index)
    requests = {
        broker: DescribeProducersRequest(
            topics=[TopicToInspect(name=name, partition_indexes=n) for name, n in topics.items()]
        )
        for broker, topics in by_broker.items()
    }
    found: dict[Partition, list[Any]] = {}
    for answer in await in_order(cluster.ask(each, broker) for broker, each in requests.items()):
        for topic in answer.topics:
            for each in topic.partitions:
                check(each.error_code, each.error_message)
                found[topic.name, each.partition_index] = list(each.active_producers)
    return found


async def find_hanging(
    cluster: Cluster,
    *,
    topic: str | None,
    partition: int | None,
    broker_id: int | None,
    opened_before_ms: int,
) -> list[OpenTransaction]:
    """Transactions open for long whose coordinator doesn't know that they are.

    Raises:
        KafkaFailure: a partition can't be described.
    """
    partitions = await _partitions(cluster, topic, partition, broker_id)
    described = await describe_partitions(cluster, partitions, broker_id)
    candidates = [
        OpenTransaction(*where, producer)
        for where, producers in described.items()
        for producer in producers
        if producer.current_txn_start_offset >= 0 and producer.last_timestamp < opened_before_ms
    ]
    ids = await _transactional_ids(cluster, {each.producer.producer_id for each in candidates})
    known = {name: await _partitions_of(cluster, name) for name in sorted(set(ids.values()))}
    return [
        each
        for each in candidates
        if (each.topic, each.partition)
        not in known.get(ids.get(each.producer.producer_id, ""), frozenset())
    ]


async def _partitions(
    cluster: Cluster, topic: str | None, partition: int | None, broker_id: int | None
) -> list[Partition]:
    if topic is not None and partition is not None:
        return [(topic, partition)]
    answer = await metadata(cluster, None if topic is None else [topic])
    if topic is not None:
        check(answer.topics[0].error_code)
    return [
        (each.name or "", described.partition_index)
        for each in answer.topics
        for described in each.partitions
        if broker_id is None or broker_id in described.replica_nodes
    ]


async def _transactional_ids(cluster: Cluster, producer_ids: Iterable[int]) -> dict[int, str]:
    from ottla.wire.api.k66_list_transactions import ListTransactionsRequest

    wanted = sorted(producer_ids)
    if not wanted:
        return {}
    request = ListTransactionsRequest(state_filters=[], producer_id_filters=wanted)
    brokers = sorted(await live_brokers(cluster))
    answers = await in_order(cluster.ask(request, broker) for broker in brokers)
    return {
        each.producer_id: each.transactional_id
        for answer in answers
        for each in answer.transaction_states
    }


async def _partitions_of(cluster: Cluster, transactional_id: str) -> frozenset[Partition]:
    """The partitions of the transaction under way, none where there is no such id."""
    from ottla.wire.api.k65_describe_transactions import DescribeTransactionsRequest

    answer = await cluster.ask_coordinator(
        transactional_id,
        DescribeTransactionsRequest(transactional_ids=[transactional_id]),
        lambda answered: answered.transaction_states[0].error_code,
        key_type=KeyType.TRANSACTION,
    )
    [described] = answer.transaction_states
    if described.error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:
        return frozenset()
    check(described.error_code)
    return frozenset((each.topic, index) for each in described.topics for index in each.partitions)


async def abort(
    cluster: Cluster,
    partition: Partition,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
) -> None:
    """Write the end marker that the coordinator won't; raises ``KafkaFailure``."""
    from ottla.wire.api.k27_write_txn_markers import (
        TopicToMark,
        TxnMarker,
        WriteTxnMarkersRequest,
    )

    topic, index = partition
    led = await leaders(cluster, [topic])
    if led.get(partition, -1) < 0:
        raise KafkaFailure(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    marker = TxnMarker(
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transaction_result=False,
        topics=[TopicToMark(name=topic, partition_indexes=[index])],
        coordinator_epoch=max(0, coordinator_epoch),
    )
    answer = await cluster.ask(WriteTxnMarkersRequest(markers=[marker]), led[partition])
    check(answer.markers[0].topics[0].partitions[0].error_code)
