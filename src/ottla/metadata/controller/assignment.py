"""New partitions: replicas chosen by hand or by placement, within the limits."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from ottla.metadata.config.resolve import BrokerConfig
from ottla.metadata.image import BrokerRegistration, ClusterImage, PartitionImage
from ottla.metadata.uuids import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError


def check_manual_assignment(
    image: ClusterImage, replicas: Sequence[int], replication_factor: int | None
) -> None:
    """Refuse replicas that can't be: none, unknown, doubled, or another number than before.

    Raises:
        ProtocolError: INVALID_REPLICA_ASSIGNMENT.
    """
    if not replicas:
        raise _invalid("The manual partition assignment includes an empty replica list.")
    seen: set[int] = set()
    for broker_id in sorted(replicas):
        if broker_id not in image.brokers:
            raise _invalid(
                f"The manual partition assignment includes broker {broker_id}, "
                "but no such broker is registered."
            )
        if broker_id in seen:
            raise _invalid(
                f"The manual partition assignment includes the broker {broker_id} more than once."
            )
        seen.add(broker_id)
    if replication_factor is not None and len(replicas) != replication_factor:
        raise _invalid(
            f"The manual partition assignment includes a partition with {len(replicas)} "
            "replica(s), but this is not consistent with previous partitions, which have "
            f"{replication_factor} replica(s)."
        )


def new_manual_partition(
    image: ClusterImage, index: int, replicas: Sequence[int]
) -> PartitionImage:
    """A partition whose replicas were given.

    Raises:
        ProtocolError: INVALID_REPLICA_ASSIGNMENT, if none of them could lead.
    """
    active = {broker.broker_id for broker in image.active_brokers()}
    if active.isdisjoint(replicas):
        raise _invalid(
            "All brokers specified in the manual partition assignment for "
            f"partition {index} are fenced or in controlled shutdown."
        )
    return new_partition(tuple(replicas), active)


def new_partition(replicas: tuple[int, ...], active: Collection[int]) -> PartitionImage:
    """A partition that no one has written to yet."""
    isr = tuple(broker_id for broker_id in replicas if broker_id in active)
    # Which of its directories a broker uses is the broker's choice.
    directories: tuple[uuid.UUID, ...] = (ZERO_UUID,) * len(replicas)
    return PartitionImage(replicas, isr, isr[0], 0, 0, directories)


def check_partition_limits(
    broker: BrokerConfig, topic_partition_count: int, total_partition_count: int
) -> None:
    """Refuse more partitions than the configuration allows.

    Raises:
        ProtocolError: POLICY_VIOLATION.
    """
    per_topic = broker.integer("max.partitions.per.topic")
    if topic_partition_count > per_topic:
        raise ProtocolError(
            ErrorCode.POLICY_VIOLATION,
            f"The topic would have {topic_partition_count} partitions; "
            f"max.partitions.per.topic allows {per_topic}.",
        )
    total = broker.integer("max.partitions")
    if total_partition_count > total:
        raise ProtocolError(
            ErrorCode.POLICY_VIOLATION,
            f"The cluster would have {total_partition_count} partitions; "
            f"max.partitions allows {total}.",
        )


def registered_brokers(image: ClusterImage) -> list[BrokerRegistration]:
    """All brokers by id, fenced ones too."""
    return sorted(image.brokers.values(), key=lambda broker: broker.broker_id)


def _invalid(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
