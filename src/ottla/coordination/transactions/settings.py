"""The broker settings that a transaction coordinator obeys."""

from __future__ import annotations

from typing import NamedTuple


class TransactionSettings(NamedTuple):
    """Defaults are Kafka's; the names in comments are Kafka's configuration keys.

    The limits without such a name guard memory where Kafka has none; a request beyond them is
    refused with ``POLICY_VIOLATION``.
    """

    max_timeout_ms: int = 900_000  # transaction.max.timeout.ms
    transactional_id_expiration_ms: int = 604_800_000  # transactional.id.expiration.ms
    # transaction.abort.timed.out.transaction.cleanup.interval.ms
    timeout_check_interval_ms: int = 10_000
    # transaction.remove.expired.transaction.cleanup.interval.ms
    expiration_check_interval_ms: int = 3_600_000
    # Bounded by the topic's max.message.bytes: a transaction's partitions are one record.
    max_batch_bytes: int = 1_048_588
    max_transactional_ids_per_shard: int = 100_000
    max_partitions_per_transaction: int = 20_000
