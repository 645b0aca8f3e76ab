"""The records of ``__share_group_state``: what share coordinators remember (KIP-932).

A key is its record type (int16) and then the key's fields; a value is its version (int16) and then
the value's fields. A snapshot says everything of one share partition; an update, what changed since
the snapshot of the same epoch. A record without value is a tombstone of both.
"""

from __future__ import annotations

import struct as binary
import uuid
from typing import ClassVar, Final

from ottla.wire.declare import (
    Array,
    Buffer,
    Int8,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    Uuid,
    at,
    message,
    struct,
)
from ottla.wire.errors import ErrorCode, ProtocolError, Truncated

_INT16: Final = binary.Struct(">h")
_VERSION: Final = 0


class ShareStateKey(Message):
    """A record's key: the share partition it is about."""

    __slots__ = ()

    #: The number of the record type, written before the key.
    RECORD_TYPE: ClassVar[int]

    group_id: str
    topic_id: uuid.UUID
    partition: int


@message(key=None, versions="0")
class ShareSnapshotKey(ShareStateKey):
    """The key of a snapshot."""

    RECORD_TYPE = 0

    group_id: String
    topic_id: Uuid
    partition: Int32


@struct
class RecordedBatch:
    """The delivery state of a range of offsets."""

    first_offset: Int64
    last_offset: Int64  # inclusive
    delivery_state: Int8  # 0: available, 2: acknowledged, 4: archived
    delivery_count: Int16


@message(key=None, versions="0", flexible=0)
class ShareSnapshotValue(Message):
    """All that is remembered of a share partition."""

    snapshot_epoch: Int32
    state_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64  # -1: not known yet
    # Of offsets from the start offset on (KIP-1226).
    delivery_complete_count: Int32 = at(tag=0, default=-1)
    create_timestamp: Int64  # ms
    write_timestamp: Int64  # ms
    state_batches: Array[RecordedBatch]


@message(key=None, versions="0")
class ShareUpdateKey(ShareStateKey):
    """The key of an update."""

    RECORD_TYPE = 1

    group_id: String
    topic_id: Uuid
    partition: Int32


@message(key=None, versions="0", flexible=0)
class ShareUpdateValue(Message):
    """What changed since the snapshot."""

    snapshot_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64  # -1: unchanged
    delivery_complete_count: Int32 = at(tag=0, default=-1)
    state_batches: Array[RecordedBatch]


_KEYS: Final[dict[int, type[ShareStateKey]]] = {
    ShareSnapshotKey.RECORD_TYPE: ShareSnapshotKey,
    ShareUpdateKey.RECORD_TYPE: ShareUpdateKey,
}


def encode_key(key: ShareStateKey) -> bytes:
    """The key as it stands in the log."""
    return _INT16.pack(key.RECORD_TYPE) + key.encode(_VERSION)


def encode_value(value: ShareSnapshotValue | ShareUpdateValue) -> bytes:
    """The value as it stands in the log."""
    return _INT16.pack(_VERSION) + value.encode(_VERSION)


def decode_key(data: Buffer) -> ShareStateKey:
    """Read a key.

    Raises `Truncated`, `Malformed`, or `ProtocolError` (UNSUPPORTED_VERSION) for a record type
    this version doesn't know, which a loading coordinator skips.
    """
    record_type = _read_int16(data)
    cls = _KEYS.get(record_type)
    if cls is None:
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_VERSION, f"share state record of type {record_type}"
        )
    return cls.decode(data, _VERSION, _INT16.size)


def decode_value(key: ShareStateKey, data: Buffer) -> ShareSnapshotValue | ShareUpdateValue:
    """Read the value that belongs to a key; raises as `decode_key`."""
    version = _read_int16(data)
    if key.RECORD_TYPE == ShareSnapshotKey.RECORD_TYPE:
        return ShareSnapshotValue.decode(data, version, _INT16.size)
    return ShareUpdateValue.decode(data, version, _INT16.size)


def _read_int16(data: Buffer) -> int:
    if len(data) < _INT16.size:
        raise Truncated(f"share state record: {len(data)} bytes hold no number")
    number: int = _INT16.unpack_from(data)[0]
    return number
