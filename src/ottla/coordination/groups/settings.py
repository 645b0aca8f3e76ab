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
    share_session_timeout_ms: int = 45_000  # group.share.session.timeout.ms
    min_share_session_timeout_ms: int = 45_000  # group.share.min.session.timeout.ms
    max_share_session_timeout_ms: int = 60_000  # group.share.max.session.timeout.ms
    share_heartbeat_interval_ms: int = 5_000  # group.share.heartbeat.interval.ms
    min_share_heartbeat_interval_ms: int = 5_000  # group.share.min.heartbeat.interval.ms
    max_share_heartbeat_interval_ms: int = 15_000  # group.share.max.heartbeat.interval.ms
    max_share_group_members: int = 200  # group.share.max.size
    share_assignment_interval_ms: int = 1_000  # group.share.assignment.interval.ms
    min_share_assignment_interval_ms: int = 0  # group.share.min.assignment.interval.ms
    max_share_assignment_interval_ms: int = 15_000  # group.share.max.assignment.interval.ms
    # Consumer groups (KIP-848); the names begin with group.consumer.
    consumer_session_timeout_ms: int = 45_000  # session.timeout.ms
    consumer_min_session_timeout_ms: int = 45_000  # min.session.timeout.ms
    consumer_max_session_timeout_ms: int = 60_000  # max.session.timeout.ms
    consumer_heartbeat_interval_ms: int = 5_000  # heartbeat.interval.ms
    consumer_min_heartbeat_interval_ms: int = 5_000  # min.heartbeat.interval.ms
    consumer_max_heartbeat_interval_ms: int = 15_000  # max.heartbeat.interval.ms
    consumer_max_group_members: int = 2_147_483_647  # max.size
    consumer_assignors: tuple[str, ...] = ("uniform", "range")  # assignors
    consumer_migration_policy: str = "bidirectional"  # migration.policy
    consumer_assignment_interval_ms: int = 1_000  # assignment.interval.ms
    consumer_min_assignment_interval_ms: int = 0  # min.assignment.interval.ms
    consumer_max_assignment_interval_ms: int = 15_000  # max.assignment.interval.ms
    consumer_regex_refresh_interval_ms: int = 600_000  # regex.refresh.interval.ms
    # How soon a member comes back while its group is being reassigned: others wait for it, or it
    # for others. Kafka lets them wait for the regular heartbeat interval.
    consumer_busy_heartbeat_interval_ms: int = 500
    max_subscribed_topics_per_member: int = 10_000
    max_regex_length: int = 1_000
    # How long a new member's JoinGroup may stay parked before the member is given up: it cannot
    # heartbeat before it knows its member id, and its disconnect may go unnoticed.
    new_member_join_timeout_ms: int = 300_000
    # Bounded by the offsets topic's max.message.bytes: what one atomic batch may hold.
    max_batch_bytes: int = 1_048_588
    max_groups_per_shard: int = 100_000
    max_pending_members_per_group: int = 10_000
    max_protocols_per_member: int = 100
