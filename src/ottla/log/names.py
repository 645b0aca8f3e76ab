"""The names of Kafka's files in a log directory."""

from __future__ import annotations

import re
from typing import NamedTuple

LOG_SUFFIX = ".log"
OFFSET_INDEX_SUFFIX = ".index"
TIME_INDEX_SUFFIX = ".timeindex"
TRANSACTION_INDEX_SUFFIX = ".txnindex"
SNAPSHOT_SUFFIX = ".snapshot"
SEGMENT_SUFFIXES = (LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)

DELETED_SUFFIX = ".deleted"
CLEANED_SUFFIX = ".cleaned"
SWAP_SUFFIX = ".swap"
TEMPORARY_SUFFIX = ".tmp"

PARTITION_METADATA = "partition.metadata"
LEADER_EPOCH_CHECKPOINT = "leader-epoch-checkpoint"

META_PROPERTIES = "meta.properties"
RECOVERY_POINT_CHECKPOINT = "recovery-point-offset-checkpoint"
HIGH_WATERMARK_CHECKPOINT = "replication-offset-checkpoint"
LOG_START_CHECKPOINT = "log-start-offset-checkpoint"
CLEANER_CHECKPOINT = "cleaner-offset-checkpoint"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"

DELETE_DIRECTORY_SUFFIX = "-delete"
FUTURE_DIRECTORY_SUFFIX = "-future"
STRAY_DIRECTORY_SUFFIX = "-stray"

_MAX_TOPIC_LENGTH = 249
_PARTITION_DIRECTORY = re.compile(r"([a-zA-Z0-9._-]+)-([0-9]+)")
_MARKED_DIRECTORY = re.compile(r"(.+)\.[0-9a-f]{32}-(delete|future|stray)")
# The KRaft log of Apache Kafka's combined mode: a partition by its looks only.
_CLUSTER_METADATA_TOPIC = "__cluster_metadata"
# Kafka cuts the topic's name so that the marked directory's fits into a file name.
_MAX_FILE_NAME_LENGTH = 255


class TopicPartition(NamedTuple):
    """A partition by topic name and number."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


def offset_name(offset: int, suffix: str) -> str:
    """The name of a segment's or snapshot's file: the offset with 20 digits, and the suffix."""
    return f"{offset:020d}{suffix}"


def parse_offset_name(name: str, suffix: str) -> int | None:
    """The offset in a file's name, or ``None`` when it isn't a file of that kind."""
    stem = name[: -len(suffix)]
    if not name.endswith(suffix) or not stem.isascii() or not stem.isdigit():
        return None
    offset = int(stem)
    return offset if offset < 1 << 63 else None


def parse_partition_directory(name: str) -> TopicPartition | None:
    """The partition a directory's name stands for, or ``None`` when it is no partition's."""
    match = _PARTITION_DIRECTORY.fullmatch(name)
    if match is None:
        return None
    topic, partition = match[1], int(match[2])
    if len(topic) > _MAX_TOPIC_LENGTH or partition >= 1 << 31 or topic in (".", ".."):
        return None
    # Only the canonical spelling: "topic-07" names no partition.
    if topic == _CLUSTER_METADATA_TOPIC or str(partition) != match[2]:
        return None
    return TopicPartition(topic, partition)


def marked_directory_suffix(name: str) -> str | None:
    """``-delete``, ``-future`` or ``-stray`` for a partition's directory so marked."""
    match = _MARKED_DIRECTORY.fullmatch(name)
    return None if match is None else "-" + match[2]


def marked_directory(partition: TopicPartition, unique_hex: str, suffix: str) -> str:
    """The name a partition's directory is given when it is on its way out (or in)."""
    tail = f"-{partition.partition}.{unique_hex}{suffix}"
    return partition.topic[: _MAX_FILE_NAME_LENGTH - len(tail)] + tail
