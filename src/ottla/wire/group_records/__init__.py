"""The records of ``__consumer_offsets``: what group coordinators remember.

A key is its record type (int16) and then the key's fields; a value is its version (int16) and then
the value's fields. A record without value is a tombstone. Kafka reads what is written here, and the
other way round.
"""

from __future__ import annotations

import struct as binary
from types import ModuleType
from typing import Final

from ottla.wire.declare import Buffer
from ottla.wire.errors import ErrorCode, ProtocolError, Truncated
from ottla.wire.group_records.base import GroupRecordKey, GroupRecordValue
from ottla.wire.group_records.classic import (
    GroupMember,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)

__all__ = [
    "GroupMember",
    "GroupMetadataKey",
    "GroupMetadataValue",
    "GroupRecordKey",
    "GroupRecordValue",
    "OffsetCommitKey",
    "OffsetCommitValue",
    "UnknownRecordType",
    "decode_key",
    "decode_value",
    "encode_key",
    "encode_value",
]

_INT16: Final = binary.Struct(">h")

#: Record type -> what its two classes are called but for "Key" and "Value".
_NAMES: Final = {
    0: "OffsetCommit",
    1: "OffsetCommit",
    2: "GroupMetadata",
    3: "ConsumerGroupMetadata",
    4: "ConsumerGroupPartitionMetadata",
    5: "ConsumerGroupMemberMetadata",
    6: "ConsumerGroupTargetAssignmentMetadata",
    7: "ConsumerGroupTargetAssignmentMember",
    8: "ConsumerGroupCurrentMemberAssignment",
    10: "ShareGroupMemberMetadata",
    11: "ShareGroupMetadata",
    12: "ShareGroupTargetAssignmentMetadata",
    13: "ShareGroupTargetAssignmentMember",
    14: "ShareGroupCurrentMemberAssignment",
    15: "ShareGroupStatePartitionMetadata",
    16: "ConsumerGroupRegularExpression",
}
_LAST_CLASSIC: Final = 2
_SHARE: Final = range(10, 16)


class UnknownRecordType(ProtocolError):  # noqa: N818 - a state of the log, not of the program
    """A key of a type this version doesn't know, written by a newer one or for other groups.

    record_type: the number found.
    """

    def __init__(self, record_type: int) -> None:
        self.record_type = record_type
        super().__init__(ErrorCode.UNSUPPORTED_VERSION, f"group record of type {record_type}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.record_type,)


def encode_key(key: GroupRecordKey) -> bytes:
    """The key as it stands in the log."""
    return _INT16.pack(key.RECORD_TYPE) + key.encode(0)


def encode_value(value: GroupRecordValue, version: int | None = None) -> bytes:
    """The value as it stands in the log, in the version Kafka writes unless one is given."""
    if version is None:
        version = value.version_to_write()
    return _INT16.pack(version) + value.encode(version)


def decode_key(data: Buffer) -> GroupRecordKey:
    """Read a key; `OffsetCommitKey` for both of its record types.

    Raises `UnknownRecordType` (which a loading coordinator skips), `Truncated` or `Malformed`.
    """
    record_type = _read_int16(data, "record type")
    name = _NAMES.get(record_type)
    if name is None:
        raise UnknownRecordType(record_type)
    cls: type[GroupRecordKey] = getattr(_module_of(record_type), f"{name}Key")
    return cls.decode(data, 0, _INT16.size)


def decode_value(key: GroupRecordKey, data: Buffer) -> GroupRecordValue:
    """Read the value that belongs to a key.

    Raises `Truncated`, `Malformed`, or `ProtocolError` (UNSUPPORTED_VERSION) for a newer version.
    """
    version = _read_int16(data, "value's version")
    name = _NAMES[key.RECORD_TYPE]
    cls: type[GroupRecordValue] = getattr(_module_of(key.RECORD_TYPE), f"{name}Value")
    return cls.decode(data, version, _INT16.size)


def _read_int16(data: Buffer, what: str) -> int:
    if len(data) < _INT16.size:
        raise Truncated(f"group record: {len(data)} bytes hold no {what}")
    value: int = _INT16.unpack_from(data)[0]
    return value


def _module_of(record_type: int) -> ModuleType:
    if record_type <= _LAST_CLASSIC:
        from ottla.wire.group_records import classic

        return classic
    # Imported on first use: a broker whose groups are all classic need not.
    if record_type in _SHARE:
        from ottla.wire.group_records import share

        return share
    from ottla.wire.group_records import consumer

    return consumer
