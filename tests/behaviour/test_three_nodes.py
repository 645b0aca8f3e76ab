"""Three nodes of Apache Kafka, one killed after the other: leaders and coordinators move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import ottla
from ottla.testing.apache_cluster import ApacheCluster
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.jvm, pytest.mark.timeout(240)]

_PARTITIONS = 6
_PER_PHASE = 600
_QUICK = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "log_level": 0}


@pytest.fixture(scope="module")
def cluster() -> Iterator[ApacheCluster]:
    with ApacheCluster() as running:
        yield running


@pytest.fixture(autouse=True)
def _all_nodes_again(cluster: ApacheCluster) -> Iterator[None]:
    """A test that fails leaves no killed node to the next."""
    yield
    for node in cluster.nodes:
        if not node.is_running:
            node.start()


def new_topic(cluster: ApacheCluster, name: str) -> None:
    admin = ottla.AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    admin.create_topics([ottla.admin.NewTopic(name, _PARTITIONS, 3)])[name].result(60)

    def has_leaders() -> bool:
        partitions = admin.list_topics(name, timeout=30).topics[name].partitions
        return len(partitions) == _PARTITIONS and all(
            each.leader > 0 for each in partitions.values()
        )

    eventually(has_leaders, timeout_seconds=60, what="leaders")


class Received:
    """What a consumer got, by partition."""

    def __init__(self) -> None:
        self.values: dict[int, list[int]] = {number: [] for number in range(_PARTITIONS)}

    def take(self, message: ottla.Message) -> None:
        assert message.error() is None, message.error()
        self.values[message.partition() or 0].append(int(message.value() or b""))

    def is_complete(self, count: int) -> bool:
        return sum(map(len, self.values.values())) >= count

    def check(self, count: int) -> None:
        for partition, values in self.values.items():
            assert values == list(range(partition, count, _PARTITIONS))


def commit(consumer: ottla.Consumer) -> None:
    """Commit what was read, unless a rebalance has just done so."""
    try:
        consumer.commit(asynchronous=False)
    except ottla.KafkaException as exception:
        if exception.args[0].code() != ottla.KafkaError._NO_OFFSET:
            raise


def test_nothing_is_lost_doubled_or_out_of_order(cluster: ApacheCluster) -> None:
    new_topic(cluster, "sync")
    settings: dict[str, Any] = {"bootstrap.servers": cluster.bootstrap_servers, **_QUICK}
    producer = ottla.Producer({**settings, "enable.idempotence": True, "linger.ms": 1})
    consumer = ottla.Consumer(
        {**settings, "group.id": "sync", "auto.offset.reset": "earliest",
         "session.timeout.ms": 10_000, "heartbeat.interval.ms": 500}
    )  # fmt: skip
    consumer.subscribe(["sync"])
    received = Received()
    errors: list[ottla.KafkaError] = []
    produced = 0
    for node in (None, *cluster.nodes[:2]):
        if node is not None:
            node.kill()
        for _ in range(_PER_PHASE):
            producer.produce(
                "sync", b"%d" % produced, partition=produced % _PARTITIONS,
                on_delivery=lambda error, _: errors.append(error) if error else None,
            )  # fmt: skip
            produced += 1
        assert producer.flush(90) == 0
        assert errors == []

        def polled(count: int = produced) -> bool:
            for message in consumer.consume(500, 0.1):
                received.take(message)
            return received.is_complete(count)

        eventually(polled, timeout_seconds=60, what=f"{produced} messages")
        commit(consumer)
        if node is not None:
            node.start()
    received.check(produced)
    consumer.close()
    producer.close()


def test_the_same_with_asyncio(cluster: ApacheCluster) -> None:
    from ottla.aio import Consumer, Producer

    new_topic(cluster, "aio")
    settings: dict[str, Any] = {"bootstrap.servers": cluster.bootstrap_servers, **_QUICK}
    received = Received()

    async def scene() -> None:
        reading = {**settings, "group.id": "aio", "auto.offset.reset": "earliest"}
        async with (
            Producer({**settings, "enable.idempotence": True}) as producer,
            Consumer(reading) as consumer,
        ):
            await consumer.subscribe(["aio"])
            first = [
                producer.send("aio", b"%d" % number, partition=number % _PARTITIONS)
                for number in range(_PER_PHASE)
            ]
            await first[-1]
            await asyncio.to_thread(cluster.nodes[2].kill)
            second = [
                producer.send("aio", b"%d" % number, partition=number % _PARTITIONS)
                for number in range(_PER_PHASE, 2 * _PER_PHASE)
            ]
            async with asyncio.timeout(90):
                await asyncio.gather(*first, *second)
                async for message in consumer:
                    received.take(message)
                    if received.is_complete(2 * _PER_PHASE):
                        break
        await asyncio.to_thread(cluster.nodes[2].start)

    asyncio.run(scene())
    received.check(2 * _PER_PHASE)


def test_administration_goes_on(cluster: ApacheCluster) -> None:
    new_topic(cluster, "managed")
    partitions = [ottla.TopicPartition("managed", number) for number in range(_PARTITIONS)]
    groups = [f"managed-{number}" for number in range(_PARTITIONS)]
    settings = {"bootstrap.servers": cluster.bootstrap_servers, **_QUICK}
    with ottla.AdminClient(settings) as admin:
        for group in groups:
            wanted = ottla.ConsumerGroupTopicPartitions(
                group, [ottla.TopicPartition("managed", 0, 0)]
            )
            admin.alter_consumer_group_offsets([wanted])[group].result(60)

        def everything_answers() -> bool:
            latest = dict.fromkeys(partitions, ottla.admin.OffsetSpec.latest())
            futures: list[Any] = [
                *admin.list_offsets(latest).values(),
                *admin.describe_consumer_groups(groups).values(),
                *admin.list_group_offsets(dict.fromkeys(groups)).values(),
                *admin.describe_configs([ottla.admin.ConfigResource("topic", "managed")]).values(),
            ]
            for future in futures:
                future.result(60)
            listed = admin.list_consumer_groups(request_timeout=10).result(60)
            found = {group.group_id for group in listed.valid or ()}
            return not listed.errors and found >= set(groups)

        assert everything_answers()
        coordinators = admin.describe_consumer_groups(groups).values()
        # A node that has just come back may lead nothing yet.
        assert len({each.result(60).coordinator.id for each in coordinators}) > 1
        described = admin.describe_log_dirs([1, 2, 3])
        assert all(future.result(60) for future in described.values())
        cluster.nodes[0].kill()
        # What it led and coordinated is asked for until somebody else has it.
        eventually(everything_answers, timeout_seconds=60, what="the others answer")
        cluster.nodes[0].start()
        moved = admin.alter_partition_reassignments({partitions[0]: [3, 2, 1]})
        moved[partitions[0]].result(60)
        elected = admin.elect_leaders(ottla.ElectionType.PREFERRED, partitions).result(60)
        assert {error and error.name() for error in elected.values()} <= {
            None, "ELECTION_NOT_NEEDED", "PREFERRED_LEADER_NOT_AVAILABLE"
        }  # fmt: skip
