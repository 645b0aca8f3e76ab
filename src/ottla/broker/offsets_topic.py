"""``__consumer_offsets``: created when the first group is looked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ottla.broker.partition import Partition
from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics
from ottla.metadata.topic_names import GROUP_METADATA_TOPIC
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode


# What every topic needs that is its owner's memory.
INTERNAL_TOPIC_SETTINGS = {"cleanup.policy": "compact", "compression.type": "producer"}


class InternalOffsetsTopic:
    """Where the group coordinator keeps its state; see ``OffsetsTopic``."""

    def __init__(self, broker: BrokerNode) -> None:
        self._broker = broker
        self._lock = asyncio.Lock()

    def partition_count(self) -> int:
        topic = self._broker.cluster.image.topics.get(GROUP_METADATA_TOPIC)
        return 0 if topic is None else len(topic.partitions)

    async def create(self) -> None:
        async with self._lock:
            if self.partition_count():
                return
            broker = self._broker
            config = broker.config
            topic = NewTopic(
                GROUP_METADATA_TOPIC,
                partition_count=config.integer("offsets.topic.num.partitions"),
                # The default of 3 can't be had on fewer brokers; Kafka would refuse for ever.
                replication_factor=min(
                    config.integer("offsets.topic.replication.factor"),
                    len(broker.cluster.image.active_brokers()),
                ),
                configs=(
                    *INTERNAL_TOPIC_SETTINGS.items(),
                    ("segment.bytes", str(config.integer("offsets.topic.segment.bytes"))),
                ),
            )
            reply = await broker.cluster.submit(
                lambda image: decide_create_topics(image, broker.resolver, [topic], broker.entropy)
            )
            for _, created in reply:
                if isinstance(created, ProtocolError):
                    raise created

    def partition(self, index: int) -> Partition:
        partition = self._broker.partitions.get(GROUP_METADATA_TOPIC, index)
        if partition is None or partition.is_offline:
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return partition
