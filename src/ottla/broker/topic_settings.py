"""A topic's configuration as the data path uses it: parsed once per change, not per request."""

from __future__ import annotations

from typing import NamedTuple

from ottla.log.config import LOG_APPEND_TIME, LogConfig
from ottla.metadata.config.resolve import TopicConfig
from ottla.records.compression import Codec

NO_FLUSH = 2**63 - 1
_PRODUCER = "producer"
_CODECS = {
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}


class TopicSettings(NamedTuple):
    """What appending to a topic's partitions has to obey."""

    log: LogConfig
    min_insync_replicas: int
    codec: Codec | None
    """What batches are recompressed with; ``None`` keeps the producer's codec."""
    compression_level: int | None
    timestamp_before_max_ms: int
    timestamp_after_max_ms: int
    flush_messages: int = NO_FLUSH
    """After so many records the log is flushed, whatever ``log.flush.policy`` says."""
    flush_ms: int = NO_FLUSH
    """The same after so long, looked at every ``log.flush.scheduler.interval.ms``."""

    @property
    def max_message_bytes(self) -> int:
        return self.log.max_message_bytes

    @property
    def is_compacted(self) -> bool:
        """Every record needs a key."""
        return self.log.compacts

    @property
    def deletes_old_segments(self) -> bool:
        return self.log.deletes_old_segments

    @property
    def is_log_append_time(self) -> bool:
        return self.log.message_timestamp_type == LOG_APPEND_TIME


def topic_settings(
    config: TopicConfig, *, producer_id_expiration_ms: int, verifies_transactions: bool = True
) -> TopicSettings:
    """The settings that follow from a topic's resolved configuration, and the broker's."""
    codec = None if config.compression_type == _PRODUCER else _CODECS[config.compression_type]
    return TopicSettings(
        log=LogConfig(
            segment_bytes=config.segment_bytes,
            # Only what is in a closed segment can be compacted in time.
            segment_ms=min(config.segment_ms, config.max_compaction_lag_ms)
            if "compact" in config.cleanup_policy
            else config.segment_ms,
            segment_jitter_ms=config.segment_jitter_ms,
            segment_index_bytes=config.segment_index_bytes,
            index_interval_bytes=config.index_interval_bytes,
            retention_ms=config.retention_ms,
            retention_bytes=config.retention_bytes,
            max_message_bytes=config.max_message_bytes,
            message_timestamp_type=config.message_timestamp_type,
            file_delete_delay_ms=config.file_delete_delay_ms,
            producer_id_expiration_ms=producer_id_expiration_ms,
            deletes_old_segments="delete" in config.cleanup_policy,
            compacts="compact" in config.cleanup_policy,
            min_cleanable_dirty_ratio=config.min_cleanable_dirty_ratio,
            min_compaction_lag_ms=config.min_compaction_lag_ms,
            max_compaction_lag_ms=config.max_compaction_lag_ms,
            delete_retention_ms=config.delete_retention_ms,
            verifies_transactions=verifies_transactions,
        ),
        min_insync_replicas=config.min_insync_replicas,
        codec=codec,
        compression_level=_level(config, codec),
        timestamp_before_max_ms=config.message_timestamp_before_max_ms,
        timestamp_after_max_ms=config.message_timestamp_after_max_ms,
        flush_messages=config.flush_messages,
        flush_ms=config.flush_ms,
    )


def _level(config: TopicConfig, codec: Codec | None) -> int | None:
    if codec is Codec.GZIP:
        level = config.compression_gzip_level
        return None if level < 0 else level
    if codec is Codec.LZ4:
        return config.compression_lz4_level
    if codec is Codec.ZSTD:
        return config.compression_zstd_level
    return None
