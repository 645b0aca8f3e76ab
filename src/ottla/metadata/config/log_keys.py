"""Broker keys of the logs; most are the defaults of a topic key."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.metadata.config.keys import (
    ConfigKey,
    ConfigType,
    GzipLevel,
    Importance,
    ListOf,
    OneOf,
    Range,
    UpdateMode,
    table,
)

BOOLEAN = ConfigType.BOOLEAN
DOUBLE = ConfigType.DOUBLE
INT = ConfigType.INT
LIST = ConfigType.LIST
LONG = ConfigType.LONG
STRING = ConfigType.STRING
HIGH = Importance.HIGH
LOW = Importance.LOW
MEDIUM = Importance.MEDIUM
CLUSTER_WIDE = UpdateMode.CLUSTER_WIDE
PER_BROKER = UpdateMode.PER_BROKER
READ_ONLY = UpdateMode.READ_ONLY

# fmt: off
# name, type, default, validator, importance, update mode, documentation
LOG_KEYS: Mapping[str, ConfigKey] = table(
    ("compression.gzip.level", INT, "-1", GzipLevel(), MEDIUM, CLUSTER_WIDE,
     "How hard gzip works when the broker compresses."),
    ("compression.lz4.level", INT, "9", Range(1, 17), MEDIUM, CLUSTER_WIDE,
     "How hard lz4 works when the broker compresses."),
    ("compression.type", STRING, "producer",
     OneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"), HIGH, CLUSTER_WIDE,
     "How batches are stored: as the producer sent them (producer), or recompressed with the "
     "codec named here."),
    ("compression.zstd.level", INT, "3", Range(-131072, 22), MEDIUM, CLUSTER_WIDE,
     "How hard zstd works when the broker compresses."),
    ("cordoned.log.dirs", LIST, "", None, MEDIUM, PER_BROKER,
     "Log directories that get no new partitions."),
    ("log.cleaner.backoff.ms", LONG, "15000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long compaction rests when there is nothing to do."),
    ("log.cleaner.dedupe.buffer.size", LONG, "134217728", None, MEDIUM, CLUSTER_WIDE,
     "The memory compaction uses to remember keys."),
    ("log.cleaner.delete.retention.ms", LONG, "86400000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long compaction keeps a tombstone."),
    ("log.cleaner.enable", BOOLEAN, "true", None, MEDIUM, READ_ONLY,
     "Whether compaction runs at all."),
    ("log.cleaner.io.buffer.load.factor", DOUBLE, "0.9", None, MEDIUM, CLUSTER_WIDE,
     "How full compaction's memory of keys may get."),
    ("log.cleaner.io.buffer.size", INT, "524288", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "The memory compaction reads and writes through."),
    ("log.cleaner.io.max.bytes.per.second", DOUBLE, "1.7976931348623157E308",
     None, MEDIUM, CLUSTER_WIDE,
     "The most bytes a second compaction reads and writes."),
    ("log.cleaner.max.compaction.lag.ms", LONG, "9223372036854775807",
     Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How long a record may stay uncompacted at most."),
    ("log.cleaner.min.cleanable.ratio", DOUBLE, "0.5", Range(0, 1), MEDIUM, CLUSTER_WIDE,
     "The share of a log that must be uncompacted before compaction starts."),
    ("log.cleaner.min.compaction.lag.ms", LONG, "0", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long a record is left alone by compaction."),
    ("log.cleaner.threads", INT, "1", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How many logs are compacted at once."),
    ("log.cleanup.policy", LIST, "delete", ListOf("compact", "delete"), MEDIUM, CLUSTER_WIDE,
     "What happens to old segments: delete, compact or both."),
    ("log.dir", LIST, None, None, HIGH, READ_ONLY,
     "The directories of the logs, if log.dirs is not given."),
    ("log.dir.failure.timeout.ms", LONG, "30000", Range(1, None), LOW, READ_ONLY,
     "How long a broker with a failed directory tries to tell the controller before it stops."),
    ("log.dirs", LIST, None, None, HIGH, READ_ONLY,
     "The directories of the logs, separated by commas."),
    ("log.flush.interval.messages", LONG, "9223372036854775807", Range(1, None), HIGH, CLUSTER_WIDE,
     "Flush a log to disk after so many records, beside what log.flush.policy does."),
    ("log.flush.interval.ms", LONG, None, None, HIGH, CLUSTER_WIDE,
     "Flush a log to disk after so long; without it, log.flush.scheduler.interval.ms."),
    ("log.flush.offset.checkpoint.interval.ms", INT, "60000", Range(0, None), HIGH, READ_ONLY,
     "How often recovery points are written to disk."),
    ("log.flush.scheduler.interval.ms", LONG, "9223372036854775807", None, HIGH, READ_ONLY,
     "How often it is looked whether a log must be flushed."),
    ("log.flush.start.offset.checkpoint.interval.ms", INT, "60000", Range(0, None), HIGH, READ_ONLY,
     "How often the logs' start offsets are written to disk."),
    ("log.index.interval.bytes", INT, "4096", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How many bytes of log lie between two entries of its offset index."),
    ("log.index.size.max.bytes", INT, "10485760", Range(4, None), MEDIUM, CLUSTER_WIDE,
     "How large a segment's index may grow before the next segment starts."),
    ("log.local.retention.bytes", LONG, "-2", Range(-2, None), MEDIUM, CLUSTER_WIDE,
     "With tiered storage, how many bytes of a partition stay on local disk."),
    ("log.local.retention.ms", LONG, "-2", Range(-2, None), MEDIUM, CLUSTER_WIDE,
     "With tiered storage, how long a segment stays on local disk."),
    ("log.message.timestamp.after.max.ms", LONG, "3600000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How far a record's timestamp may lie ahead of the broker's clock."),
    ("log.message.timestamp.before.max.ms", LONG, "9223372036854775807",
     Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How far a record's timestamp may lie behind the broker's clock."),
    ("log.message.timestamp.type", STRING, "CreateTime",
     OneOf("CreateTime", "LogAppendTime"), MEDIUM, CLUSTER_WIDE,
     "Whose clock stamps the records: CreateTime or LogAppendTime."),
    ("log.preallocate", BOOLEAN, "false", None, MEDIUM, CLUSTER_WIDE,
     "Reserve a segment's space on disk when it is created."),
    ("log.retention.bytes", LONG, "-1", None, HIGH, CLUSTER_WIDE,
     "How large a partition may grow before its oldest segments are deleted; -1 is without "
     "limit."),
    ("log.retention.check.interval.ms", LONG, "300000", Range(1, None), MEDIUM, READ_ONLY,
     "How often it is looked which segments are too old or too many."),
    ("log.retention.hours", INT, "168", None, HIGH, READ_ONLY,
     "How many hours a record is kept; log.retention.minutes and log.retention.ms come first."),
    ("log.retention.minutes", INT, None, None, HIGH, READ_ONLY,
     "How many minutes a record is kept; log.retention.ms comes first."),
    ("log.retention.ms", LONG, None, None, HIGH, CLUSTER_WIDE,
     "How long a record is kept; -1 is for ever."),
    ("log.roll.hours", INT, "168", Range(1, None), HIGH, READ_ONLY,
     "How many hours old a segment grows; log.roll.ms comes first."),
    ("log.roll.jitter.hours", INT, "0", Range(0, None), HIGH, READ_ONLY,
     "The most by which a segment's age is shortened, in hours; log.roll.jitter.ms comes "
     "first."),
    ("log.roll.jitter.ms", LONG, None, None, HIGH, CLUSTER_WIDE,
     "The most by which a segment's age is randomly shortened."),
    ("log.roll.ms", LONG, None, None, HIGH, CLUSTER_WIDE,
     "How old a segment grows before the next one starts, even if it is small."),
    ("log.segment.bytes", INT, "1073741824", Range(1048576, None), HIGH, CLUSTER_WIDE,
     "How large a segment grows before the next one starts."),
    ("log.segment.delete.delay.ms", LONG, "60000", Range(0, None), HIGH, CLUSTER_WIDE,
     "How long the files of a deleted segment stay on disk."),
    ("num.recovery.threads.per.data.dir", INT, "2", Range(1, None), HIGH, CLUSTER_WIDE,
     "How many logs of a directory are recovered at once after a crash."),
)
# fmt: on
