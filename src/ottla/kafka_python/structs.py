"""kafka-python's small values."""

from __future__ import annotations

from typing import Any, NamedTuple


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """A committed offset, and the text that is stored with it."""

    offset: int | None = None
    metadata: str = ""
    leader_epoch: int = -1


class OffsetAndTimestamp(NamedTuple):
    """The first message at or after a time: its offset and its own time."""

    offset: int
    timestamp: int
    leader_epoch: int


class ConsumerGroupMetadata(NamedTuple):
    """Who a consumer is for its group; ``KafkaConsumer.group_metadata`` makes them."""

    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None
    state: str


class RecordMetadata(NamedTuple):
    """Where a message went; sizes are in bytes, -1 of what there is not."""

    topic: str
    partition: int
    topic_partition: TopicPartition
    offset: int
    timestamp: int
    checksum: None
    serialized_key_size: int
    serialized_value_size: int
    serialized_header_size: int


class TopicPartitionReplica(NamedTuple):
    """The replica of a partition on one broker."""

    topic: str
    partition: int
    broker_id: int


class ConsumerRecord(NamedTuple):
    """A message as it was read; sizes are in bytes, -1 of what there is not."""

    topic: str
    partition: int
    leader_epoch: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: Any
    value: Any
    headers: list[tuple[str, bytes | None]]
    checksum: None
    serialized_key_size: int
    serialized_value_size: int
    serialized_header_size: int


def header_size(headers: list[tuple[str, bytes | None]]) -> int:
    """The bytes of names and values, -1 without headers."""
    if not headers:
        return -1
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)
