"""The cluster's metadata at the start: read back, begun, or made for the logs that were found."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence

from ottla.broker.cluster import Cluster
from ottla.broker.configuration import BrokerConfiguration
from ottla.broker.start_errors import StartError
from ottla.log.directory import LogDirectory
from ottla.metadata.controller.brokers import decide_bootstrap
from ottla.metadata.decoding import CorruptEntryError
from ottla.metadata.image import ClusterImage, ConfigResource, PartitionImage, ResourceType
from ottla.metadata.records import ConfigChanged, MetadataRecord, PartitionChanged, TopicCreated
from ottla.metadata.store.interface import MetadataStore, MetadataStoreError
from ottla.metadata.topic_names import INTERNAL_TOPIC_SETTINGS, is_internal
from ottla.ports.entropy import Entropy
from ottla.wire.errors import ProtocolError

_logger = logging.getLogger(__name__)


async def load_cluster(
    store: MetadataStore,
    directories: Sequence[LogDirectory],
    configuration: BrokerConfiguration,
    cluster_id: str,
    entropy: Entropy,
    *,
    now_ms: int,
) -> Cluster:
    """The cluster's metadata, with this broker as its controller.

    A fresh store beside directories that hold partitions takes them over: so a log directory that
    Apache Kafka wrote can be opened.

    Raises:
        StartError: the store can't be read, or belongs to another cluster.
    """
    node_id = configuration.node_id
    try:
        cluster = await Cluster.load(store, holder=f"broker-{node_id}", now_ms=now_ms)
        is_new = not cluster.image.cluster_id
        epoch = cluster.controller_epoch
        await cluster.submit(lambda image: decide_bootstrap(image, cluster_id, node_id, epoch))
        if is_new:
            await _append_all(cluster, _adopted_topics(directories, node_id, entropy))
        elif not all(each.was_clean for each in directories):
            await _append_all(cluster, _next_leader_epochs(cluster.image))
    except (MetadataStoreError, CorruptEntryError, ProtocolError) as error:
        raise StartError(str(error), "restore the metadata store from a backup") from error
    return cluster


async def _append_all(cluster: Cluster, records: Iterable[MetadataRecord]) -> None:
    batch = list(records)
    if batch:
        await cluster.append(batch)


def _next_leader_epochs(image: ClusterImage) -> Iterable[MetadataRecord]:
    """After an unclean stop every leadership is a new one (KIP-101): what the log may have lost at
    its end was of the old epoch, so that a consumer which had read it notices."""
    for topic in image.topics.values():
        for index, partition in enumerate(topic.partitions):
            yield PartitionChanged(
                topic.topic_id,
                index,
                partition._replace(
                    leader_epoch=partition.leader_epoch + 1,
                    partition_epoch=partition.partition_epoch + 1,
                ),
            )


# By the defaults, a topic that was compacted, or had a longer retention, would lose its old data.
_KEEP_EVERYTHING = {"retention.ms": "-1"}


def _adopted_topics(
    directories: Sequence[LogDirectory], node_id: int, entropy: Entropy
) -> Iterable[MetadataRecord]:
    """Topics for the partitions that lie in the directories without metadata of ours."""
    topics: dict[str, dict[int, int]] = {}
    topic_ids: dict[str, uuid.UUID] = {}
    for directory in directories:
        for name, log in directory.partitions.items():
            partitions = topics.setdefault(name.topic, {})
            # This is a new leadership, and nobody knows how the last one ended (KIP-101).
            partitions[name.partition] = log.leader_epochs.latest_epoch + 1
            if log.topic_id is not None:
                topic_ids[name.topic] = log.topic_id
    for topic, epochs in sorted(topics.items()):
        topic_id = topic_ids.get(topic) or entropy.uuid()
        yield TopicCreated(topic, topic_id)
        if is_internal(topic):
            settings = INTERNAL_TOPIC_SETTINGS
        else:
            _logger.warning(
                "adopting topic %s with its data; its settings are not known: nothing of it is "
                "deleted until its retention.ms is set or deleted",
                topic,
            )
            settings = _KEEP_EVERYTHING
        yield ConfigChanged(ConfigResource(ResourceType.TOPIC, topic), settings)
        for index in range(max(epochs) + 1):
            partition = PartitionImage(
                replicas=(node_id,),
                isr=(node_id,),
                leader=node_id,
                leader_epoch=epochs.get(index, 0),
                partition_epoch=0,
                directories=(uuid.UUID(int=0),),
            )
            yield PartitionChanged(topic_id, index, partition)
