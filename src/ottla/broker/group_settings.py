"""The broker's configuration as its group coordinators want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.settings import GroupSettings

if TYPE_CHECKING:
    from ottla.metadata.config.resolve import BrokerConfig


def group_settings(config: BrokerConfig) -> GroupSettings:
    """The settings for all groups of this broker."""
    return GroupSettings(
        min_session_timeout_ms=config.integer("group.min.session.timeout.ms"),
        max_session_timeout_ms=config.integer("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms=config.integer("group.initial.rebalance.delay.ms"),
        max_group_members=config.integer("group.max.size"),
        offset_metadata_max_bytes=config.integer("offset.metadata.max.bytes"),
        offsets_retention_ms=config.integer("offsets.retention.minutes") * 60_000,
        offsets_retention_check_interval_ms=config.integer("offsets.retention.check.interval.ms"),
    )._replace(**_consumer_settings(config), **_share_settings(config))


def _consumer_settings(config: BrokerConfig) -> dict[str, Any]:
    names = (
        "session_timeout_ms",
        "min_session_timeout_ms",
        "max_session_timeout_ms",
        "heartbeat_interval_ms",
        "min_heartbeat_interval_ms",
        "max_heartbeat_interval_ms",
        "assignment_interval_ms",
        "min_assignment_interval_ms",
        "max_assignment_interval_ms",
    )
    found: dict[str, Any] = {
        f"consumer_{name}": config.integer(f"group.consumer.{name.replace('_', '.')}")
        for name in names
    }
    found["consumer_max_group_members"] = config.integer("group.consumer.max.size")
    found["consumer_assignors"] = config.items("group.consumer.assignors")
    policy = str(config.value("group.consumer.migration.policy"))
    found["consumer_migration_policy"] = policy.lower()
    return found


def _share_settings(config: BrokerConfig) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{limit}share_{name}": config.integer(f"group.share.{limit}{name}".replace("_", "."))
        for limit in ("", "min_", "max_")
        for name in ("session_timeout_ms", "heartbeat_interval_ms", "assignment_interval_ms")
    }
    found["max_share_group_members"] = config.integer("group.share.max.size")
    return found
