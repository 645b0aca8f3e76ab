"""Broker keys that Kafka does not have."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.metadata.config.keys import (
    ConfigKey,
    ConfigType,
    Importance,
    OneOf,
    Range,
    UpdateMode,
    table,
)

FLUSH_POLICY_GROUP = "group"
FLUSH_POLICY_OS = "os"

# fmt: off
# name, type, default, validator, importance, update mode, documentation
OTTLA_KEYS: Mapping[str, ConfigKey] = table(
    ("log.flush.policy", ConfigType.STRING, FLUSH_POLICY_GROUP,
     OneOf(FLUSH_POLICY_GROUP, FLUSH_POLICY_OS), Importance.HIGH, UpdateMode.READ_ONLY,
     "When an acks=all produce is answered: group waits for an fdatasync shared by all that wait; "
     "os leaves it to the page cache, as Kafka does, and loses records when the power fails."),
    ("max.partitions", ConfigType.INT, "200000", Range(1, None), Importance.MEDIUM,
     UpdateMode.READ_ONLY,
     "The most partitions of all topics together."),
    ("max.partitions.per.topic", ConfigType.INT, "100000", Range(1, None), Importance.MEDIUM,
     UpdateMode.READ_ONLY,
     "The most partitions of one topic."),
)
# fmt: on
