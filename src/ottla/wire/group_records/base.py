"""What all keys and values of ``__consumer_offsets`` share."""

from __future__ import annotations

from typing import ClassVar

from ottla.wire.declare import Message


class GroupRecordKey(Message):
    """A record's key: it names what the record is about."""

    __slots__ = ()

    #: The number of the record type, written before the key.
    RECORD_TYPE: ClassVar[int]


class GroupRecordValue(Message):
    """A record's value: the new state of what its key names."""

    __slots__ = ()

    def version_to_write(self) -> int:
        """The version Kafka 4.3 writes this value in."""
        return 0
