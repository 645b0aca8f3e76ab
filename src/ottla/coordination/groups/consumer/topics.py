"""What the cluster's topics mean for a group: their ids, and when an epoch is out of date."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from uuid import UUID
from zlib import crc32

from ottla.metadata.image import ClusterImage

_PARTITION_COUNT = struct.Struct(">i")


def metadata_hash(image: ClusterImage, topics: Iterable[str]) -> int:
    """A number that changes when one of the topics comes, goes or gets more partitions.

    It is compared with what this broker wrote before, never with another implementation's, so it
    need not be Kafka's: a log taken over from Kafka costs its groups one rebalance.
    """
    parts = []
    for name in sorted(topics):
        topic = image.topics.get(name)
        if topic is not None:
            parts += [topic.topic_id.bytes, _PARTITION_COUNT.pack(len(topic.partitions))]
    if not parts:
        return 0
    data = b"".join(parts)
    # Two sums over the same bytes in different order: 63 bits.
    return crc32(data) << 31 | crc32(data[::-1]) >> 1


def topic_ids(image: ClusterImage, topics: Iterable[str]) -> frozenset[UUID]:
    """The ids of those topics that exist."""
    found = (image.topics.get(name) for name in topics)
    return frozenset(topic.topic_id for topic in found if topic is not None)


def partition_counts(image: ClusterImage, topics: Iterable[str]) -> dict[UUID, int]:
    """How many partitions each topic that exists has, in the order of their names."""
    counts = {}
    for name in sorted(topics):
        topic = image.topics.get(name)
        if topic is not None:
            counts[topic.topic_id] = len(topic.partitions)
    return counts
