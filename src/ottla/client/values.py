"""Small public values: topic partitions, ids, nodes and what callbacks are told."""

from __future__ import annotations

import binascii
from typing import SupportsIndex

from ottla.client.arguments import int32, int64, text
from ottla.client.errors import KafkaError
from ottla.client.ordering import OrderedByKey

# Logical offsets.
OFFSET_BEGINNING = -2
OFFSET_END = -1
OFFSET_STORED = -1000
OFFSET_INVALID = -1001

# What a message's timestamp means.
TIMESTAMP_NOT_AVAILABLE = 0
TIMESTAMP_CREATE_TIME = 1
TIMESTAMP_LOG_APPEND_TIME = 2


class TopicPartition(OrderedByKey):
    """A partition of a topic, with an offset and what happened to it where that matters.

    Equality, order and hash look at topic and partition only. Compared with anything that is no
    ``TopicPartition`` it raises ``NotImplementedError``, as confluent_kafka's does.

    Args:
        topic: the topic's name; can't be changed afterwards.
        partition: the partition's number.
        offset: an offset or one of the ``OFFSET_`` constants.
        metadata: text to store with a committed offset.
        leader_epoch: epoch of the leader that the offset was read from; negative: unknown.
    """

    __slots__ = ("_error", "_leader_epoch", "_metadata", "_offset", "_partition", "_topic")

    def __init__(
        self,
        topic: str,
        partition: SupportsIndex = -1,
        offset: SupportsIndex = OFFSET_INVALID,
        metadata: str | None = None,
        leader_epoch: SupportsIndex = -1,
    ) -> None:
        self._topic = text(topic, "topic")
        self._partition = int32(partition)
        self._offset = int64(offset)
        self._metadata = None if metadata is None else text(metadata, "metadata")
        self._leader_epoch = int32(leader_epoch)
        self._error: KafkaError | None = None

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    @property
    def partition(self) -> int:
        """The partition's number."""
        return self._partition

    @partition.setter
    def partition(self, value: SupportsIndex) -> None:
        self._partition = int32(value)

    @property
    def offset(self) -> int:
        """An offset, or one of the ``OFFSET_`` constants."""
        return self._offset

    @offset.setter
    def offset(self, value: SupportsIndex) -> None:
        self._offset = int64(value)

    @property
    def metadata(self) -> str | None:
        """The text stored with a committed offset."""
        return self._metadata

    @property
    def leader_epoch(self) -> int | None:
        """Epoch of the leader that the offset was read from."""
        return self._leader_epoch if self._leader_epoch >= 0 else None

    @property
    def error(self) -> KafkaError | None:
        """What went wrong with this partition in the call that returned it."""
        return self._error

    def __repr__(self) -> str:
        return (
            f"TopicPartition{{topic={self._topic},partition={self._partition},"
            f"offset={self._offset},leader_epoch={self.leader_epoch},error={self._error}}}"
        )

    def __hash__(self) -> int:
        return hash(self._topic) ^ self._partition

    def _key(self) -> tuple[bytes, int]:
        return self._topic.encode(), self._partition


def partition_result(
    topic: str,
    partition: int,
    offset: int = OFFSET_INVALID,
    *,
    metadata: str | None = None,
    leader_epoch: int = -1,
    error: KafkaError | None = None,
) -> TopicPartition:
    """A ``TopicPartition`` as the client returns it: with an error, or metadata from a broker."""
    result = TopicPartition(topic, partition, offset, leader_epoch=leader_epoch)
    result._metadata = metadata
    result._error = error
    return result


class Uuid:
    """A 128-bit id in two signed halves, printed in base64 without padding.

    Args:
        most_significant_bits: the first 64 bits.
        least_significant_bits: the last 64 bits.
    """

    __slots__ = ("_least", "_most")

    def __init__(
        self, most_significant_bits: SupportsIndex, least_significant_bits: SupportsIndex
    ) -> None:
        self._most = int64(most_significant_bits)
        self._least = int64(least_significant_bits)

    def get_most_significant_bits(self) -> int:
        """The first 64 bits, signed."""
        return self._most

    def get_least_significant_bits(self) -> int:
        """The last 64 bits, signed."""
        return self._least

    def __repr__(self) -> str:
        halves = self._most.to_bytes(8, signed=True) + self._least.to_bytes(8, signed=True)
        return binascii.b2a_base64(halves, newline=False).decode("ascii").rstrip("=")

    def __hash__(self) -> int:
        return hash((self._most, self._least))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Uuid):
            return NotImplemented
        return (self._most, self._least) == (other._most, other._least)


class Node:
    """A broker as descriptions of groups, topics and the cluster name it.

    Args:
        id: the broker's id; ``id_string`` is the same as text.
        host: where it listens.
        port: the port there.
        rack: its rack, where it has one.
    """

    def __init__(self, id: int, host: str, port: int, rack: str | None = None) -> None:
        self.id = id
        self.id_string = str(id)
        self.host = host
        self.port = port
        self.rack = rack

    def __str__(self) -> str:
        rack = f"(Rack - {self.rack})" if self.rack else ""
        return f"({self.id}) {self.host}:{self.port} {rack}"


class ThrottleEvent:
    """What ``throttle_cb`` is told: a broker delayed a request because of a quota.

    Args:
        broker_name: the broker's name.
        broker_id: its id.
        throttle_time: how long it held the request back, in seconds.
    """

    def __init__(self, broker_name: str, broker_id: int, throttle_time: float) -> None:
        self.broker_name = broker_name
        self.broker_id = broker_id
        self.throttle_time = throttle_time

    def __str__(self) -> str:
        milliseconds = int(self.throttle_time * 1000)
        return f"{self.broker_name}/{self.broker_id} throttled for {milliseconds} ms"


class ConsumerGroupTopicPartitions:
    """A group and partitions of it whose offsets are read or changed."""

    def __init__(self, group_id: str, topic_partitions: list[TopicPartition] | None = None) -> None:
        self.group_id = group_id
        self.topic_partitions = topic_partitions


class TopicCollection:
    """The names of the topics that ``describe_topics`` is asked about."""

    def __init__(self, topic_names: list[str]) -> None:
        self.topic_names = topic_names


class TopicPartitionInfo:
    """A partition in a topic's description: its leader, replicas and in-sync replicas."""

    def __init__(self, id: int, leader: Node, replicas: list[Node], isr: list[Node]) -> None:
        self.id = id
        self.leader = leader
        self.replicas = replicas
        self.isr = isr
