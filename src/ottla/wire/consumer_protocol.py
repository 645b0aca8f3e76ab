"""What consumers tell each other through JoinGroup and SyncGroup: subscriptions and assignments.

The bytes are opaque to the group protocol, which carries them for any kind of client. Those of the
protocol type ``consumer`` begin with a version. A reader that meets a newer one reads what it knows
and ignores the rest, so versions may only append fields: 1 adds the partitions a member still owns
(KIP-429), 2 the generation it got them in (KIP-792), 3 its rack (KIP-881).
"""

from __future__ import annotations

import struct as binary
from typing import Final, TypeVar

from ottla.wire.declare import (
    Array,
    Buffer,
    Bytes,
    Int32,
    Message,
    String,
    at,
    message,
    struct,
)
from ottla.wire.errors import Malformed, Truncated

#: The protocol type of a group of consumers, as JoinGroup names it.
PROTOCOL_TYPE: Final = "consumer"

_VERSION: Final = binary.Struct(">h")


@struct
class TopicPartitions:
    """One topic's partitions."""

    topic: String
    partitions: Array[Int32]


@message(key=None, versions="0-3")
class ConsumerProtocolSubscription(Message):
    """What a member wants to read, and what an assignor should know about it."""

    topics: Array[String]
    user_data: Bytes | None = at(default=None)  # the assignor's own
    owned_partitions: Array[TopicPartitions] = at("1+", default=list, ignorable=True)
    generation_id: Int32 = at("2+", default=-1, ignorable=True)  # of the owned partitions
    rack_id: String | None = at("3+", default=None, ignorable=True)


@message(key=None, versions="0-3")
class ConsumerProtocolAssignment(Message):
    """What the leader wants a member to read. All versions look alike."""

    assigned_partitions: Array[TopicPartitions]
    user_data: Bytes | None = at(default=None)  # the assignor's own


_Embedded = TypeVar("_Embedded", bound=Message)


def encode_subscription(subscription: ConsumerProtocolSubscription, version: int = 3) -> bytes:
    """A member's metadata for JoinGroup; what the version lacks is left out."""
    return _VERSION.pack(version) + subscription.encode(version)


def decode_subscription(data: Buffer) -> ConsumerProtocolSubscription:
    """Read a member's metadata. Raises `Truncated` or `Malformed`."""
    return _decode(ConsumerProtocolSubscription, data)


def encode_assignment(assignment: ConsumerProtocolAssignment, version: int = 3) -> bytes:
    """A member's assignment for SyncGroup."""
    return _VERSION.pack(version) + assignment.encode(version)


def decode_assignment(data: Buffer) -> ConsumerProtocolAssignment:
    """Read a member's assignment. Raises `Truncated` or `Malformed`."""
    return _decode(ConsumerProtocolAssignment, data)


def _decode(cls: type[_Embedded], data: Buffer) -> _Embedded:
    if len(data) < _VERSION.size:
        raise Truncated(f"{cls.__name__}: {len(data)} bytes hold no version")
    (version,) = _VERSION.unpack_from(data)
    if version < 0:
        raise Malformed(f"{cls.__name__}: version {version}")
    newest = cls.VERSIONS[-1]
    return cls.decode(data, min(version, newest), _VERSION.size, allow_trailing=True)
