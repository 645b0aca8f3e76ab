"""The first records of a cluster, and the registration of brokers."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence

from ottla.metadata.controller.decision import Decision
from ottla.metadata.features import FEATURES
from ottla.metadata.image import (
    NO_LEADER,
    BrokerRegistration,
    ClusterImage,
    Endpoint,
    PartitionImage,
)
from ottla.metadata.records import (
    BrokerRegistered,
    ClusterFormatted,
    ControllerChanged,
    FeatureChanged,
    MetadataRecord,
    PartitionChanged,
)
from ottla.metadata.uuids import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError


def decide_bootstrap(
    image: ClusterImage, cluster_id: str, controller_id: int, controller_epoch: int
) -> Decision[None]:
    """Format a new cluster, and make a broker the controller of it or of the one there is.

    Raises:
        ProtocolError: INCONSISTENT_CLUSTER_ID, if the metadata is another cluster's.
    """
    records: list[MetadataRecord] = []
    if not image.cluster_id:
        records.append(ClusterFormatted(cluster_id))
        records.extend(
            FeatureChanged(feature.name, feature.new_cluster_level)
            for feature in FEATURES.values()
            if feature.new_cluster_level
        )
    elif image.cluster_id != cluster_id:
        raise ProtocolError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f"The metadata belongs to cluster {image.cluster_id}, not to {cluster_id}.",
        )
    if (image.controller_id, image.controller_epoch) != (controller_id, controller_epoch):
        records.append(ControllerChanged(controller_id, controller_epoch))
    return Decision(tuple(records), None)


def decide_broker_registration(
    image: ClusterImage,
    broker_id: int,
    *,
    rack: str | None,
    endpoints: Sequence[Endpoint],
    log_directories: Sequence[uuid.UUID],
) -> Decision[int]:
    """Register a broker that has just started; the reply is its new epoch.

    Partitions without a leader that it can lead get it as leader again, under a new leader epoch;
    those whose log directory is not there lose it (KIP-858).
    """
    known = image.brokers.get(broker_id)
    epoch = 0 if known is None else known.epoch + 1
    registration = BrokerRegistration(
        broker_id, epoch, rack, tuple(endpoints), tuple(log_directories)
    )
    leaderships = _leaderships(image, broker_id, frozenset(log_directories))
    return Decision((BrokerRegistered(registration), *leaderships), epoch)


def decide_directories_online(
    image: ClusterImage, broker_id: int, log_directories: Collection[uuid.UUID]
) -> Decision[None]:
    """Only these log directories of a broker are left: it leads no partition in any other."""
    return Decision(tuple(_leaderships(image, broker_id, frozenset(log_directories))), None)


def _leaderships(
    image: ClusterImage, broker_id: int, online: Collection[uuid.UUID]
) -> Iterator[MetadataRecord]:
    """What changes so that a broker leads what it can, and nothing that it can't."""
    for topic in image.topics.values():
        for index, partition in enumerate(topic.partitions):
            if broker_id not in partition.isr:
                continue
            directory = partition.directories[partition.replicas.index(broker_id)]
            # Until a broker has written down where it put the log, it is where it can be led.
            can_lead = directory in online or directory == ZERO_UUID
            if can_lead and partition.leader == NO_LEADER:
                changed = _led_by(partition, broker_id)
            elif not can_lead and partition.leader == broker_id:
                changed = _led_by(partition, NO_LEADER)
            else:
                continue
            yield PartitionChanged(topic.topic_id, index, changed)


def _led_by(partition: PartitionImage, leader: int) -> PartitionImage:
    return partition._replace(
        leader=leader,
        leader_epoch=partition.leader_epoch + 1,
        partition_epoch=partition.partition_epoch + 1,
    )
