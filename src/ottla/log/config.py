"""What a partition's log is told about how to keep its data."""

from __future__ import annotations

from typing import NamedTuple

CREATE_TIME = "CreateTime"
LOG_APPEND_TIME = "LogAppendTime"


class LogConfig(NamedTuple):
    """Kafka's topic configuration as far as the log acts on it, parsed; defaults are Kafka's.

    A negative retention means no limit.
    """

    segment_bytes: int = 1024**3
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 * 1024**2
    index_interval_bytes: int = 4096
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = -1
    max_message_bytes: int = 1024**2 + 12
    message_timestamp_type: str = CREATE_TIME
    file_delete_delay_ms: int = 60_000
    producer_id_expiration_ms: int = 24 * 3600 * 1000
    deletes_old_segments: bool = True
    """``cleanup.policy`` contains ``delete``: retention applies."""
    compacts: bool = False
    """``cleanup.policy`` contains ``compact``: offsets may have gaps."""
    verifies_transactions: bool = True
    """No transaction begins without the coordinator's consent (KIP-890)."""
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = 2**63 - 1
    delete_retention_ms: int = 24 * 3600 * 1000
    """How long tombstones and end markers stay after the cleaning that finds them last."""
