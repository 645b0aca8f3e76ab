"""The broker settings that a group coordinator obeys."""

from __future__ import annotations

from typing import NamedTuple


class GroupSettings(NamedTuple):
    """Defaults are Kafka's; the names in comments are Kafka's configuration keys.

    The limits without such a name guard memory where Kafka has none; a request beyond them is
    refused with ``POLICY_VIOLATION``.
    """

    min_session_timeout_ms: int = 6_000  # group.min.session.timeout.ms
    max_session_timeout_ms: int = 1_800_000  # group.max.session.timeout.ms
    initial_rebalance_delay_ms: int = 3_000  # group.initial.rebalance.delay.ms
    max_group_members: int = 2_147_483_647  # group.max.size
    offset_metadata_max_bytes: int = 4_096  # offset.metadata.max.bytes
    offsets_retention_ms: int = 7 * 24 * 3_600_000  # offsets.retention.minutes
    offsets_retention_check_interval_ms: int = 600_000  # offsets.retention.check.interval.ms
    # How long a new member's JoinGroup may stay parked before the member is given up: it cannot
    # heartbeat before it knows its member id, and its disconnect may go unnoticed.
    new_member_join_timeout_ms: int = 300_000
    # Bounded by the offsets topic's max.message.bytes: what one atomic batch may hold.
    max_batch_bytes: int = 1_048_588
    max_groups_per_shard: int = 100_000
    max_pending_members_per_group: int = 10_000
    max_protocols_per_member: int = 100
