"""The settings of one consumer group: its own, or the broker's, within the broker's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.image import ResourceType

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard


def session_timeout_ms(shard: GroupShard, group_id: str) -> int:
    """How long a member may go without a heartbeat."""
    settings = shard.settings
    return _within(
        _own(shard, group_id, "consumer.session.timeout.ms"),
        settings.consumer_session_timeout_ms,
        settings.consumer_min_session_timeout_ms,
        settings.consumer_max_session_timeout_ms,
    )


def heartbeat_interval_ms(shard: GroupShard, group_id: str) -> int:
    """How often a member sends heartbeats when nothing happens."""
    settings = shard.settings
    return _within(
        _own(shard, group_id, "consumer.heartbeat.interval.ms"),
        settings.consumer_heartbeat_interval_ms,
        settings.consumer_min_heartbeat_interval_ms,
        settings.consumer_max_heartbeat_interval_ms,
    )


def assignment_interval_ms(shard: GroupShard, group_id: str) -> int:
    """How much time passes at least between two target assignments."""
    settings = shard.settings
    return _within(
        _own(shard, group_id, "consumer.assignment.interval.ms"),
        _dynamic_default(shard, settings.consumer_assignment_interval_ms),
        settings.consumer_min_assignment_interval_ms,
        settings.consumer_max_assignment_interval_ms,
    )


def _dynamic_default(shard: GroupShard, configured: int) -> int:
    """The one broker key of consumer groups that can be changed while the broker runs."""
    value = shard.image.config(ResourceType.BROKER, "").get("group.consumer.assignment.interval.ms")
    return configured if value is None else int(value)


def _own(shard: GroupShard, group_id: str, key: str) -> int | None:
    value = shard.image.config(ResourceType.GROUP, group_id).get(key)
    return None if value is None else int(value)


def _within(own: int | None, default: int, least: int, most: int) -> int:
    """The broker's limits may have been narrowed since the group's value was set."""
    return default if own is None else min(max(own, least), most)
