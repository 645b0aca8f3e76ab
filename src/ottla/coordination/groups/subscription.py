"""Reads which topics a consumer subscribes to out of its JoinGroup metadata."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.wire.consumer_protocol import PROTOCOL_TYPE, ConsumerProtocolSubscription
from ottla.wire.errors import ProtocolError

CONSUMER_PROTOCOL_TYPE = PROTOCOL_TYPE
_VERSION_BYTES = 2


def topics_of(metadata: bytes) -> frozenset[str] | None:
    """The topics of one consumer's metadata; ``None`` if it isn't a readable subscription."""
    if len(metadata) < _VERSION_BYTES or metadata[0] & 0x80:
        return None
    try:
        # Every version begins as version 0 does; what follows is between members and assignors.
        subscription = ConsumerProtocolSubscription.decode(
            metadata, 0, _VERSION_BYTES, allow_trailing=True
        )
    except ProtocolError:
        return None
    return frozenset(subscription.topics)


def subscribed_topics(metadata_of_members: Iterable[bytes]) -> frozenset[str] | None:
    """All topics of the members, or ``None`` if one of them can't be read."""
    union: set[str] = set()
    # Members of a group mostly say the same, so each wording is read once.
    for metadata in set(metadata_of_members):
        topics = topics_of(metadata)
        if topics is None:
            return None
        union |= topics
    return frozenset(union)
