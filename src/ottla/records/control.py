"""Control records: what brokers write between the users' records.

Keys are ``int16 version, int16 type``; the value's layout depends on the type.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from ottla.records.encode import BatchBuilder
from ottla.records.errors import InvalidRecord

_KEY = struct.Struct(">hh")
_END_TRANSACTION = struct.Struct(">hi")
_VERSION = 0


class ControlType(IntEnum):
    """The type in a control record's key; readers skip numbers they don't know (``UNKNOWN``)."""

    UNKNOWN = -1
    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class EndTransactionMarker(NamedTuple):
    """The end of a producer's transaction in one partition: commit or abort."""

    type: ControlType
    coordinator_epoch: int


def encode_control_key(control_type: ControlType) -> bytes:
    """The key of a control record."""
    if control_type is ControlType.UNKNOWN:
        raise ValueError("an unknown control type cannot be encoded")
    return _KEY.pack(_VERSION, control_type)


def decode_control_key(key: bytes | None) -> ControlType:
    """The type of a control record. Later key versions only add fields, so they are read too.

    Raises ``InvalidRecord`` when there is no type in it.
    """
    if key is None or len(key) < _KEY.size:
        raise InvalidRecord("A control record's key is too short")
    version, number = _KEY.unpack_from(key)
    if version < 0:
        raise InvalidRecord(f"A control record's key has version {version}")
    try:
        return ControlType(number)
    except ValueError:
        return ControlType.UNKNOWN


def encode_end_transaction_value(coordinator_epoch: int) -> bytes:
    """The value of an abort or commit marker."""
    return _END_TRANSACTION.pack(_VERSION, coordinator_epoch)


def decode_end_transaction_marker(key: bytes | None, value: bytes | None) -> EndTransactionMarker:
    """Read an abort or commit marker; raises ``InvalidRecord`` for anything else."""
    control_type = decode_control_key(key)
    if control_type not in (ControlType.ABORT, ControlType.COMMIT):
        raise InvalidRecord(f"Control record of type {control_type.name} ends no transaction")
    if value is None or len(value) < _END_TRANSACTION.size:
        raise InvalidRecord("An end-transaction marker's value is too short")
    version, coordinator_epoch = _END_TRANSACTION.unpack_from(value)
    if version < 0:
        raise InvalidRecord(f"An end-transaction marker's value has version {version}")
    return EndTransactionMarker(control_type, coordinator_epoch)


def encode_end_transaction_batch(
    control_type: ControlType,
    *,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
    timestamp_ms: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
) -> bytes:
    """The batch, of one control record, with which a broker ends a transaction in a partition."""
    if control_type not in (ControlType.ABORT, ControlType.COMMIT):
        raise ValueError(f"{control_type.name} ends no transaction")
    builder = BatchBuilder()
    builder.append(
        encode_control_key(control_type),
        encode_end_transaction_value(coordinator_epoch),
        (),
        timestamp_ms,
    )
    return builder.close(
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        is_transactional=True,
        is_control=True,
    )
