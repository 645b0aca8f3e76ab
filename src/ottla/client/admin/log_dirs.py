"""Log directories of brokers, and the replicas that lie in them."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.errors import KafkaError
from ottla.client.values import TopicPartition


class ReplicaInfo(NamedTuple):
    """A replica in a log directory.

    Attributes:
        size_bytes: how large it is.
        offset_lag: how many offsets it is behind the high watermark, or, if it is a future replica,
            behind the one that it will replace.
        is_future: it is being moved here, and will replace the one in another directory.
    """

    size_bytes: int
    offset_lag: int
    is_future: bool


class LogDirDescription(NamedTuple):
    """A log directory, as ``describe_log_dirs`` answers it.

    Attributes:
        error: why it can't be used, None if it can.
        replicas: what lies in it.
        total_bytes: how large its volume is, None if the broker does not tell (KIP-827).
        usable_bytes: how much of that is free, None likewise.
        is_cordoned: whether new partitions are kept out of it (KIP-1066).
    """

    error: KafkaError | None
    replicas: dict[TopicPartition, ReplicaInfo]
    total_bytes: int | None
    usable_bytes: int | None
    is_cordoned: bool


class TopicPartitionReplica(NamedTuple):
    """The replica of a partition on one broker."""

    topic: str
    partition: int
    broker_id: int
