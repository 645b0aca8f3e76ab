"""The records of ``__transaction_state``: what transaction coordinators remember.

A key is its version (int16) and then the key's fields; a value is its version (int16) and then the
value's fields. A record without value is a tombstone. Kafka reads what is written here, and the
other way round.
"""

from __future__ import annotations

import struct as binary
from typing import Final

from ottla.wire.declare import Array, Buffer, Int8, Int16, Int32, Int64, Message, String, at, struct
from ottla.wire.declare import message as record
from ottla.wire.errors import ErrorCode, ProtocolError, Truncated

_INT16: Final = binary.Struct(">h")
_KEY_VERSION: Final = 0
# Since transaction.version 1 the flexible version is written, which every Kafka since 3.8 reads.
LAST_INFLEXIBLE_VERSION: Final = 0
FLEXIBLE_VERSION: Final = 1


class UnknownKeyVersion(ProtocolError):  # noqa: N818 - a state of the log, not of the program
    """A key of a version this version doesn't know, written by a newer one.

    version: the number found.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(ErrorCode.UNSUPPORTED_VERSION, f"transaction key of version {version}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.version,)


@record(key=None, versions="0")
class TransactionLogKey(Message):
    """What a record is about."""

    transactional_id: String


@struct
class TransactionPartitions:
    """One topic's partitions in the transaction."""

    topic: String
    partition_ids: Array[Int32]


@record(key=None, versions="0-1", flexible=1)
class TransactionLogValue(Message):
    """A transactional id's producer and the state of its transaction (KIP-98, KIP-890)."""

    producer_id: Int64
    previous_producer_id: Int64 = at("1+", tag=0, default=-1, ignorable=True)
    # The id to go on with once the markers of this one are written: its epochs are used up.
    next_producer_id: Int64 = at("1+", tag=1, default=-1, ignorable=True)
    producer_epoch: Int16
    next_producer_epoch: Int16 = at("1+", tag=3, default=-1, ignorable=True)
    transaction_timeout_ms: Int32
    transaction_status: Int8
    transaction_partitions: Array[TransactionPartitions] | None
    transaction_last_update_timestamp_ms: Int64
    transaction_start_timestamp_ms: Int64  # -1: none under way
    # The transaction.version that the client's EndTxn spoke.
    client_transaction_version: Int16 = at("1+", tag=2, default=0, ignorable=True)


def encode_key(transactional_id: str) -> bytes:
    """The key as it stands in the log."""
    key = TransactionLogKey(transactional_id=transactional_id)
    return _INT16.pack(_KEY_VERSION) + key.encode(_KEY_VERSION)


def encode_value(value: TransactionLogValue, version: int = FLEXIBLE_VERSION) -> bytes:
    """The value as it stands in the log."""
    return _INT16.pack(version) + value.encode(version)


def decode_key(data: Buffer) -> str:
    """The transactional id that a key names.

    Raises `UnknownKeyVersion` (which a loading coordinator skips), `Truncated` or `Malformed`.
    """
    version = _read_version(data)
    if version != _KEY_VERSION:
        raise UnknownKeyVersion(version)
    transactional_id: str = TransactionLogKey.decode(data, version, _INT16.size).transactional_id
    return transactional_id


def decode_value(data: Buffer) -> TransactionLogValue:
    """Read a value.

    Raises `Truncated`, `Malformed`, or `ProtocolError` (UNSUPPORTED_VERSION) for a newer version.
    """
    return TransactionLogValue.decode(data, _read_version(data), _INT16.size)


def _read_version(data: Buffer) -> int:
    if len(data) < _INT16.size:
        raise Truncated(f"transaction record: {len(data)} bytes hold no version")
    version: int = _INT16.unpack_from(data)[0]
    return version
