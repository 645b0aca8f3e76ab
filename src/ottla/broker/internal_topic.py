"""Internal topics: created when the first client looks for the coordinator that lives in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ottla.broker.partition import Partition
from ottla.metadata.topic_names import INTERNAL_TOPIC_SETTINGS
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.cluster import Cluster
    from ottla.broker.partitions import Partitions
    from ottla.metadata.config.resolve import BrokerConfig, ConfigResolver
    from ottla.metadata.controller.create_topics import NewTopic
    from ottla.ports.entropy import Entropy


class TopicHost(Protocol):
    """What an internal topic needs of its broker."""

    cluster: Cluster
    resolver: ConfigResolver
    partitions: Partitions
    entropy: Entropy

    @property
    def config(self) -> BrokerConfig: ...


class InternalTopic:
    """Where a coordinator keeps its state: one shard in each partition.

    ``key_prefix`` is what the topic's configuration keys begin with: ``offsets.topic`` and the
    like, followed by ``.num.partitions``, ``.replication.factor`` and ``.segment.bytes``, and
    ``.min.isr`` for those that have it.
    """

    def __init__(
        self,
        broker: TopicHost,
        name: str,
        key_prefix: str,
        settings: Mapping[str, str] = INTERNAL_TOPIC_SETTINGS,
        *,
        has_min_isr: bool = False,
    ) -> None:
        self.name = name
        self._broker = broker
        self._key_prefix = key_prefix
        self._settings = settings
        self._has_min_isr = has_min_isr
        self._lock = asyncio.Lock()

    def partition_count(self) -> int:
        """How many partitions the topic has; 0 before it exists."""
        topic = self._broker.cluster.image.topics.get(self.name)
        return 0 if topic is None else len(topic.partitions)

    async def create(self) -> None:
        """Create the topic, unless it is there.

        Raises:
            ProtocolError: it can't be created.
        """
        from ottla.metadata.controller.create_topics import decide_create_topics

        async with self._lock:
            if self.partition_count():
                return
            topic = self._new_topic()
            broker = self._broker
            reply = await broker.cluster.submit(
                lambda image: decide_create_topics(image, broker.resolver, [topic], broker.entropy)
            )
            for _, created in reply:
                if isinstance(created, ProtocolError):
                    raise created

    def partition(self, index: int) -> Partition:
        """One of its partitions.

        Raises:
            ProtocolError: it is offline.
        """
        partition = self._broker.partitions.get(self.name, index)
        if partition is None or partition.is_offline:
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return partition

    def _new_topic(self) -> NewTopic:
        config, prefix = self._broker.config, self._key_prefix
        # The default of 3 can't be had on fewer brokers; Kafka would refuse for ever.
        replication_factor = min(
            config.integer(f"{prefix}.replication.factor"),
            len(self._broker.cluster.image.active_brokers()),
        )
        configs = {
            **self._settings,
            "segment.bytes": str(config.integer(f"{prefix}.segment.bytes")),
        }
        if self._has_min_isr:
            min_isr = min(config.integer(f"{prefix}.min.isr"), replication_factor)
            configs["min.insync.replicas"] = str(min_isr)
        from ottla.metadata.controller.create_topics import NewTopic

        return NewTopic(
            self.name,
            partition_count=config.integer(f"{prefix}.num.partitions"),
            replication_factor=replication_factor,
            configs=tuple(configs.items()),
        )
