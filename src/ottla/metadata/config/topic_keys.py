"""Every topic configuration of Kafka 4.3, and the broker keys that stand behind each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ottla.metadata.config.keys import (
    ConfigKey,
    ConfigType,
    GzipLevel,
    Importance,
    ListOf,
    OneOf,
    Range,
    ThrottledReplicas,
    UpdateMode,
    table,
)

MS_PER_MINUTE: Final = 60_000
MS_PER_HOUR: Final = 3_600_000

BOOLEAN = ConfigType.BOOLEAN
DOUBLE = ConfigType.DOUBLE
INT = ConfigType.INT
LIST = ConfigType.LIST
LONG = ConfigType.LONG
STRING = ConfigType.STRING
MEDIUM = Importance.MEDIUM
CLUSTER_WIDE = UpdateMode.CLUSTER_WIDE

# fmt: off
# name, type, default, validator, importance, update mode, documentation
TOPIC_KEYS: Mapping[str, ConfigKey] = table(
    ("cleanup.policy", LIST, "delete", ListOf("compact", "delete"), MEDIUM, CLUSTER_WIDE,
     "What happens to old segments: deleted after the retention (delete), reduced to the last "
     "value of each key (compact), or both."),
    ("compression.gzip.level", INT, "-1", GzipLevel(), MEDIUM, CLUSTER_WIDE,
     "How hard gzip works when the broker compresses for this topic; -1 is the library's own "
     "level."),
    ("compression.lz4.level", INT, "9", Range(1, 17), MEDIUM, CLUSTER_WIDE,
     "How hard lz4 works when the broker compresses for this topic."),
    ("compression.type", STRING, "producer",
     OneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"), MEDIUM, CLUSTER_WIDE,
     "How batches are stored: as the producer sent them (producer), or recompressed with the "
     "codec named here."),
    ("compression.zstd.level", INT, "3", Range(-131072, 22), MEDIUM, CLUSTER_WIDE,
     "How hard zstd works when the broker compresses for this topic."),
    ("delete.retention.ms", LONG, "86400000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long compaction keeps a tombstone, so that a reader who started before can still see "
     "it."),
    ("file.delete.delay.ms", LONG, "60000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long the files of a deleted segment stay on disk, for readers who have them open."),
    ("flush.messages", LONG, "9223372036854775807", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "Flush the log to disk after so many records, beside what log.flush.policy does."),
    ("flush.ms", LONG, "9223372036854775807", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "Flush the log to disk after so long, beside what log.flush.policy does."),
    ("follower.replication.throttled.replicas", LIST, "", ThrottledReplicas(), MEDIUM, CLUSTER_WIDE,
     "Replicas whose copying is throttled on the follower's side: partition:broker pairs, or * "
     "for all."),
    ("index.interval.bytes", INT, "4096", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How many bytes of log lie between two entries of its offset index."),
    ("leader.replication.throttled.replicas", LIST, "", ThrottledReplicas(), MEDIUM, CLUSTER_WIDE,
     "Replicas whose copying is throttled on the leader's side: partition:broker pairs, or * "
     "for all."),
    ("local.retention.bytes", LONG, "-2", Range(-2, None), MEDIUM, CLUSTER_WIDE,
     "With tiered storage, how many bytes of a partition stay on local disk; -2 is the same as "
     "retention.bytes."),
    ("local.retention.ms", LONG, "-2", Range(-2, None), MEDIUM, CLUSTER_WIDE,
     "With tiered storage, how long a segment stays on local disk; -2 is the same as "
     "retention.ms."),
    ("max.compaction.lag.ms", LONG, "9223372036854775807", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How long a record may stay uncompacted at most."),
    ("max.message.bytes", INT, "1048588", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "The largest record batch, after compression, that the topic accepts."),
    ("message.timestamp.after.max.ms", LONG, "3600000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How far a record's timestamp may lie ahead of the broker's clock."),
    ("message.timestamp.before.max.ms", LONG, "9223372036854775807",
     Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How far a record's timestamp may lie behind the broker's clock."),
    ("message.timestamp.type", STRING, "CreateTime",
     OneOf("CreateTime", "LogAppendTime"), MEDIUM, CLUSTER_WIDE,
     "Whose clock stamps the records: the producer's (CreateTime) or the broker's "
     "(LogAppendTime)."),
    ("min.cleanable.dirty.ratio", DOUBLE, "0.5", Range(0, 1), MEDIUM, CLUSTER_WIDE,
     "The share of a log that must be uncompacted before compaction starts."),
    ("min.compaction.lag.ms", LONG, "0", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long a record is left alone by compaction."),
    ("min.insync.replicas", INT, "1", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How many replicas must have a record before a produce with acks=all succeeds."),
    ("preallocate", BOOLEAN, "false", None, MEDIUM, CLUSTER_WIDE,
     "Reserve a segment's space on disk when it is created."),
    ("remote.log.copy.disable", BOOLEAN, "false", None, MEDIUM, CLUSTER_WIDE,
     "With tiered storage, stop copying segments to the remote tier."),
    ("remote.log.delete.on.disable", BOOLEAN, "false", None, MEDIUM, CLUSTER_WIDE,
     "With tiered storage, delete the remote segments when it is turned off for the topic."),
    ("remote.storage.enable", BOOLEAN, "false", None, MEDIUM, CLUSTER_WIDE,
     "Keep old segments in a remote tier."),
    ("retention.bytes", LONG, "-1", None, MEDIUM, CLUSTER_WIDE,
     "How large a partition may grow before its oldest segments are deleted; -1 is without "
     "limit."),
    ("retention.ms", LONG, "604800000", Range(-1, None), MEDIUM, CLUSTER_WIDE,
     "How long a record is kept before its segment may be deleted; -1 is for ever."),
    ("segment.bytes", INT, "1073741824", Range(1048576, None), MEDIUM, CLUSTER_WIDE,
     "How large a segment grows before the next one starts."),
    ("segment.index.bytes", INT, "10485760", Range(4, None), MEDIUM, CLUSTER_WIDE,
     "How large a segment's index may grow before the next segment starts."),
    ("segment.jitter.ms", LONG, "0", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "The most by which segment.ms is randomly shortened, so that partitions don't roll all at "
     "once."),
    ("segment.ms", LONG, "604800000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How old a segment grows before the next one starts, even if it is small."),
    ("unclean.leader.election.enable", BOOLEAN, "false", None, MEDIUM, CLUSTER_WIDE,
     "Let a replica that is out of sync lead when no other is left, at the price of lost "
     "records."),
)
# fmt: on


class Synonym(NamedTuple):
    """A broker key that gives a topic key its value, in units of ``factor``."""

    name: str
    factor: int = 1


# The broker keys behind each topic key, the strongest first. The others have none.
TOPIC_SYNONYMS: Mapping[str, tuple[Synonym, ...]] = {
    "cleanup.policy": (Synonym("log.cleanup.policy"),),
    "compression.gzip.level": (Synonym("compression.gzip.level"),),
    "compression.lz4.level": (Synonym("compression.lz4.level"),),
    "compression.type": (Synonym("compression.type"),),
    "compression.zstd.level": (Synonym("compression.zstd.level"),),
    "delete.retention.ms": (Synonym("log.cleaner.delete.retention.ms"),),
    "file.delete.delay.ms": (Synonym("log.segment.delete.delay.ms"),),
    "flush.messages": (Synonym("log.flush.interval.messages"),),
    "flush.ms": (
        Synonym("log.flush.interval.ms"),
        Synonym("log.flush.scheduler.interval.ms"),
    ),
    "index.interval.bytes": (Synonym("log.index.interval.bytes"),),
    "local.retention.bytes": (Synonym("log.local.retention.bytes"),),
    "local.retention.ms": (Synonym("log.local.retention.ms"),),
    "max.compaction.lag.ms": (Synonym("log.cleaner.max.compaction.lag.ms"),),
    "max.message.bytes": (Synonym("message.max.bytes"),),
    "message.timestamp.after.max.ms": (Synonym("log.message.timestamp.after.max.ms"),),
    "message.timestamp.before.max.ms": (Synonym("log.message.timestamp.before.max.ms"),),
    "message.timestamp.type": (Synonym("log.message.timestamp.type"),),
    "min.cleanable.dirty.ratio": (Synonym("log.cleaner.min.cleanable.ratio"),),
    "min.compaction.lag.ms": (Synonym("log.cleaner.min.compaction.lag.ms"),),
    "min.insync.replicas": (Synonym("min.insync.replicas"),),
    "preallocate": (Synonym("log.preallocate"),),
    "retention.bytes": (Synonym("log.retention.bytes"),),
    "retention.ms": (
        Synonym("log.retention.ms"),
        Synonym("log.retention.minutes", MS_PER_MINUTE),
        Synonym("log.retention.hours", MS_PER_HOUR),
    ),
    "segment.bytes": (Synonym("log.segment.bytes"),),
    "segment.index.bytes": (Synonym("log.index.size.max.bytes"),),
    "segment.jitter.ms": (
        Synonym("log.roll.jitter.ms"),
        Synonym("log.roll.jitter.hours", MS_PER_HOUR),
    ),
    "segment.ms": (
        Synonym("log.roll.ms"),
        Synonym("log.roll.hours", MS_PER_HOUR),
    ),
    "unclean.leader.election.enable": (Synonym("unclean.leader.election.enable"),),
}
