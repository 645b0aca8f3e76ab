"""Random decisions, written to a store: what is loaded from it is the image in memory."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.controller.alter_configs import (
    ConfigOperation,
    ConfigOperationType,
    IncrementalAlterConfigsItem,
    decide_incremental_alter_configs,
)
from ottla.metadata.controller.brokers import decide_bootstrap, decide_broker_registration
from ottla.metadata.controller.create_partitions import NewPartitions, decide_create_partitions
from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics
from ottla.metadata.controller.decision import Decision
from ottla.metadata.controller.delete_topics import (
    TopicReference,
    decide_delete_topics,
    decide_purge_topic,
)
from ottla.metadata.controller.elect_leaders import decide_elect_leaders
from ottla.metadata.controller.producer_ids import decide_allocate_producer_ids
from ottla.metadata.decoding import load_image
from ottla.metadata.image import EMPTY_IMAGE, ClusterImage, Endpoint, ResourceType
from ottla.metadata.records import PartitionChanged
from ottla.metadata.store.interface import CONTROLLER_LEASE, Lease
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy

NAMES = ["a.b", "a_b", "orders", "x-1", "__consumer_offsets", "bad name", ""]
VALUES = [
    ("retention.ms", "5"),
    ("retention.ms", "x"),
    ("cleanup.policy", "compact"),
    ("segment.ms", "7"),
    ("log.retention.ms", "9"),
    ("consumer.session.timeout.ms", "50000"),
]


class Simulation:
    """A controller driven by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.entropy = SeededEntropy(seed)
        self.image: ClusterImage = EMPTY_IMAGE
        self.resolver = ConfigResolver({"num.partitions": "2"}, 1)
        self.store = SqliteMetadataStore(IN_MEMORY)
        self.lease = Lease(CONTROLLER_LEASE, "", 0, 0)

    async def run(self, steps: int) -> None:
        lease = await self.store.acquire_lease(CONTROLLER_LEASE, "b1", now_ms=0, duration_ms=10)
        assert lease is not None
        self.lease = lease
        await self.write(decide_bootstrap(self.image, "abcdefghijklmnopqrstuw", 1, lease.epoch))
        for broker_id in (1, 2, 3):
            await self.write(self.registration(broker_id))
        kinds: list[Callable[[], Decision[Any]]] = [
            self.create_topics,
            self.create_topics,
            self.delete_topics,
            self.create_partitions,
            self.alter_configs,
            self.alter_configs,
            self.elect,
            self.lose_leader,
            lambda: decide_allocate_producer_ids(self.image, self.random.randint(1, 3)),
            lambda: self.registration(self.random.randint(1, 3)),
            self.purge,
        ]
        for _ in range(steps):
            await self.write(self.random.choice(kinds)())
        entries = (await self.store.range("")).entries
        assert load_image((entry.key, entry.value) for entry in entries) == self.image
        await self.store.close()

    async def write(self, decision: Decision[Any]) -> None:
        mutations = [each for record in decision.records for each in record.mutations()]
        if mutations:
            await self.store.commit(mutations, lease=self.lease)
        self.image = self.image.apply(decision.records)
        assert self.image.partition_count == sum(
            len(topic.partitions) for topic in self.image.topics.values()
        )

    def registration(self, broker_id: int) -> Decision[Any]:
        return decide_broker_registration(
            self.image,
            broker_id,
            rack=self.random.choice([None, "a", "b"]),
            endpoints=[Endpoint("PLAINTEXT", "h\u00f6st", 9092, "PLAINTEXT")],
            log_directories=[self.entropy.uuid()],
        )

    def create_topics(self) -> Decision[Any]:
        chosen = self.random.sample(NAMES, 3)
        topics = [
            NewTopic(
                name,
                self.random.choice([-1, 0, 1, 4]),
                self.random.choice([-1, 2, 3, 9]),
                configs=tuple(self.random.sample(VALUES[:4], self.random.randint(0, 1))),
            )
            for name in chosen
        ]
        return decide_create_topics(self.image, self.resolver, topics, self.entropy)

    def delete_topics(self) -> Decision[Any]:
        references = [TopicReference(self.random.choice(NAMES))]
        if len(self.image.topic_names):
            references.append(
                TopicReference(None, self.random.choice(list(self.image.topic_names)))
            )
        return decide_delete_topics(self.image, self.resolver, references)

    def create_partitions(self) -> Decision[Any]:
        request = NewPartitions(self.random.choice(NAMES), self.random.randint(0, 9))
        return decide_create_partitions(self.image, self.resolver, [request], self.entropy)

    def alter_configs(self) -> Decision[Any]:
        kind = self.random.choice([ResourceType.TOPIC, ResourceType.BROKER, ResourceType.GROUP])
        names = {ResourceType.TOPIC: NAMES, ResourceType.BROKER: ["", "1", "2"]}
        name, value = self.random.choice(VALUES)
        operation = self.random.choice(list(ConfigOperationType))
        item = IncrementalAlterConfigsItem(
            kind,
            self.random.choice(names.get(kind, ["g", "h/\u20ac", ""])),
            (ConfigOperation(name, operation, value),),
        )
        return decide_incremental_alter_configs(self.image, self.resolver, [item])

    def elect(self) -> Decision[Any]:
        return decide_elect_leaders(self.image, self.random.randint(0, 1), None)

    def lose_leader(self) -> Decision[Any]:
        records = []
        for topic in list(self.image.topics.values())[:1]:
            isr = self.random.choice([(), topic.partitions[0].replicas])
            lost = topic.partitions[0]._replace(leader=-1, isr=isr)
            records.append(PartitionChanged(topic.topic_id, 0, lost))
        return Decision(tuple(records), None)

    def purge(self) -> Decision[Any]:
        ids = [*self.image.deleted_topics, uuid.UUID(int=1)]
        return decide_purge_topic(self.image, self.random.choice(ids))


@pytest.mark.parametrize("seed", range(25))
def test_the_store_holds_the_image(seed: int) -> None:
    asyncio.run(Simulation(seed).run(120))


def test_a_seed_repeats_itself() -> None:
    images = []
    for _ in range(2):
        simulation = Simulation(99)
        asyncio.run(simulation.run(60))
        images.append(simulation.image)
    assert images[0] == images[1]
    assert list(images[0].topics) == list(images[1].topics)
