"""Which topic names are legal, which collide, which are Ottla's own and how those are set up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GROUP_METADATA_TOPIC = "__consumer_offsets"
TRANSACTION_STATE_TOPIC = "__transaction_state"
SHARE_GROUP_STATE_TOPIC = "__share_group_state"
INTERNAL_TOPICS = frozenset(
    {GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC, SHARE_GROUP_STATE_TOPIC}
)
# What every topic needs that is its owner's memory.
INTERNAL_TOPIC_SETTINGS: Mapping[str, str] = MappingProxyType(
    {"cleanup.policy": "compact", "compression.type": "producer"}
)
# The topic in which Apache Kafka keeps its own metadata; a client may never create it.
CLUSTER_METADATA_TOPIC = "__cluster_metadata"

MAX_NAME_LENGTH = 249
_MAX_SHOWN_LENGTH = 1000
_LEGAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def invalid_reason(name: str) -> str | None:
    """Why ``name`` is no legal topic name, in Kafka's words, or None if it is one."""
    if not name:
        return "Topic name is invalid: the empty string is not allowed"
    if name in (".", ".."):
        return f"Topic name is invalid: '{name}' is not allowed"
    if len(name) > MAX_NAME_LENGTH:
        # The message has to fit into a response, as the name fitted into the request.
        shown = name if len(name) <= _MAX_SHOWN_LENGTH else name[:_MAX_SHOWN_LENGTH] + "..."
        return (
            f"Topic name is invalid: the length of '{shown}' is longer than the max allowed "
            f"length {MAX_NAME_LENGTH}"
        )
    if not _LEGAL.issuperset(name):
        return (
            f"Topic name is invalid: '{name}' contains one or more characters other than "
            "ASCII alphanumerics, '.', '_' and '-'"
        )
    return None


def is_internal(name: str) -> bool:
    """Whether the brokers own this topic."""
    return name in INTERNAL_TOPICS


def collision_key(name: str) -> str | None:
    """Names with the same key collide in metric names; None if the name can't collide."""
    if "." in name or "_" in name:
        return name.replace(".", "_")
    return None
