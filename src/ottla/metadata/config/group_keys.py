"""Every configuration of a group in Kafka 4.3."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.metadata.config.keys import (
    ConfigKey,
    ConfigType,
    Importance,
    OffsetReset,
    OneOf,
    Range,
    UpdateMode,
    table,
)

BOOLEAN = ConfigType.BOOLEAN
INT = ConfigType.INT
STRING = ConfigType.STRING
MEDIUM = Importance.MEDIUM
CLUSTER_WIDE = UpdateMode.CLUSTER_WIDE

# fmt: off
# name, type, default, validator, importance, update mode, documentation
GROUP_KEYS: Mapping[str, ConfigKey] = table(
    ("consumer.assignment.interval.ms", INT, "1000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "The least time between two assignments of a consumer group."),
    ("consumer.heartbeat.interval.ms", INT, "5000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How often the members of a consumer group are told to send heartbeats."),
    ("consumer.session.timeout.ms", INT, "45000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How long a member of a consumer group may be silent before it is removed."),
    ("share.assignment.interval.ms", INT, "1000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "The least time between two assignments of a share group."),
    ("share.auto.offset.reset", STRING, "latest", OffsetReset(), MEDIUM, CLUSTER_WIDE,
     "Where a share group starts to read: earliest, latest, or by_duration: and an ISO 8601 "
     "duration before now."),
    ("share.delivery.count.limit", INT, "5", Range(2, None), MEDIUM, CLUSTER_WIDE,
     "How often a record is delivered to a share group before it is given up."),
    ("share.heartbeat.interval.ms", INT, "5000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How often the members of a share group are told to send heartbeats."),
    ("share.isolation.level", STRING, "read_uncommitted",
     OneOf("read_committed", "read_uncommitted"), MEDIUM, CLUSTER_WIDE,
     "Whether a share group sees records of open and aborted transactions."),
    ("share.partition.max.record.locks", INT, "2000", Range(100, None), MEDIUM, CLUSTER_WIDE,
     "How many records of a partition may be in delivery to a share group at once."),
    ("share.record.lock.duration.ms", INT, "30000", Range(1000, None), MEDIUM, CLUSTER_WIDE,
     "How long a delivered record is reserved for the consumer that got it."),
    ("share.renew.acknowledge.enable", BOOLEAN, "true", None, MEDIUM, CLUSTER_WIDE,
     "Whether a consumer may extend the reservation of a record."),
    ("share.session.timeout.ms", INT, "45000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How long a member of a share group may be silent before it is removed."),
    ("streams.assignment.interval.ms", INT, "1000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "The least time between two assignments of a streams group."),
    ("streams.heartbeat.interval.ms", INT, "5000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How often the members of a streams group are told to send heartbeats."),
    ("streams.initial.rebalance.delay.ms", INT, "3000", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How long the first assignment of a streams group waits for more members."),
    ("streams.num.standby.replicas", INT, "0", Range(0, None), MEDIUM, CLUSTER_WIDE,
     "How many standby copies of each task's state a streams group keeps."),
    ("streams.session.timeout.ms", INT, "45000", Range(1, None), MEDIUM, CLUSTER_WIDE,
     "How long a member of a streams group may be silent before it is removed."),
)
# fmt: on

# A group key's default is this broker key; the share keys named by no broker key have their own.
GROUP_SYNONYMS: Mapping[str, str] = {
    name: f"group.{name}"
    for name in GROUP_KEYS
    if name
    not in ("share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable")
}
