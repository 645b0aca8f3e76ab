"""The settings of one consumer group: its own, or the broker's, within the broker's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ottla.metadata.image import ResourceType

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard

_MAX_KNOWN = 10_000


class GroupTimes(NamedTuple):
    """What holds for one group."""

    session_timeout_ms: int
    """How long a member may go without a heartbeat."""
    heartbeat_interval_ms: int
    """How often a member sends heartbeats when nothing happens."""
    assignment_interval_ms: int
    """How much time passes at least between two target assignments."""


class KnownTimes:
    """What was found out for groups, as long as nothing is configured otherwise."""

    def __init__(self) -> None:
        self._configs: object = None
        self._by_group: dict[str, GroupTimes] = {}

    def of(self, shard: GroupShard, group_id: str) -> GroupTimes:
        """A group's settings."""
        configs = shard.image.configs
        if self._configs is not configs or len(self._by_group) >= _MAX_KNOWN:
            self._configs = configs
            self._by_group.clear()
        found = self._by_group.get(group_id)
        if found is None:
            found = self._by_group[group_id] = _times(shard, group_id)
        return found


def _times(shard: GroupShard, group_id: str) -> GroupTimes:
    settings = shard.settings
    return GroupTimes(
        session_timeout_ms=_within(
            _own(shard, group_id, "consumer.session.timeout.ms"),
            settings.consumer_session_timeout_ms,
            settings.consumer_min_session_timeout_ms,
            settings.consumer_max_session_timeout_ms,
        ),
        heartbeat_interval_ms=_within(
            _own(shard, group_id, "consumer.heartbeat.interval.ms"),
            settings.consumer_heartbeat_interval_ms,
            settings.consumer_min_heartbeat_interval_ms,
            settings.consumer_max_heartbeat_interval_ms,
        ),
        assignment_interval_ms=_within(
            _own(shard, group_id, "consumer.assignment.interval.ms"),
            _dynamic_default(shard, settings.consumer_assignment_interval_ms),
            settings.consumer_min_assignment_interval_ms,
            settings.consumer_max_assignment_interval_ms,
        ),
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
