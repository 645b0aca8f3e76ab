"""Which offsets ``list_offsets`` is asked for and what it answers; deleted records."""

from __future__ import annotations

from typing import ClassVar


class OffsetSpec:
    """Which offset of a partition is meant.

    Made by :meth:`earliest`, :meth:`latest`, :meth:`max_timestamp`, :meth:`for_timestamp` and the
    methods about tiered storage, or from the number that ListOffsets uses.
    """

    _instances: ClassVar[dict[int, OffsetSpec]] = {}
    _value: int  # as ListOffsets has it

    def __new__(cls, index: int) -> OffsetSpec:
        if index < 0:
            return OffsetSpec._instances[index]
        return OffsetSpec.for_timestamp(index)

    @classmethod
    def earliest(cls) -> OffsetSpec:
        """The first offset there is."""
        return cls._instances[EarliestSpec._value]

    @classmethod
    def latest(cls) -> OffsetSpec:
        """The offset that the next record will have."""
        return cls._instances[LatestSpec._value]

    @classmethod
    def max_timestamp(cls) -> OffsetSpec:
        """The offset of the record with the largest timestamp."""
        return cls._instances[MaxTimestampSpec._value]

    @classmethod
    def earliest_local(cls) -> OffsetSpec:
        """The first offset on the broker's own disks (KIP-405)."""
        return cls._instances[EarliestLocalSpec._value]

    @classmethod
    def latest_tiered(cls) -> OffsetSpec:
        """The last offset in tiered storage (KIP-1005)."""
        return cls._instances[LatestTieredSpec._value]

    @classmethod
    def earliest_pending_upload(cls) -> OffsetSpec:
        """The first offset that is not yet in tiered storage (KIP-1023)."""
        return cls._instances[EarliestPendingUploadSpec._value]

    @classmethod
    def for_timestamp(cls, timestamp: int) -> OffsetSpec:
        """The first offset whose timestamp (milliseconds) is not before this one."""
        return TimestampSpec(timestamp)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, OffsetSpec):
            return NotImplemented
        return self._value < other._value


class TimestampSpec(OffsetSpec):
    """The first offset whose timestamp is not before the one given, in milliseconds."""

    def __new__(cls, timestamp: int) -> TimestampSpec:
        return object.__new__(cls)

    def __init__(self, timestamp: int) -> None:
        self.timestamp = self._value = timestamp


class _FixedSpec(OffsetSpec):
    def __new__(cls) -> _FixedSpec:
        return object.__new__(cls)


class LatestSpec(_FixedSpec):
    """The offset that the next record will have."""

    _value = -1


class EarliestSpec(_FixedSpec):
    """The first offset there is."""

    _value = -2


class MaxTimestampSpec(_FixedSpec):
    """The offset of the record with the largest timestamp."""

    _value = -3


class EarliestLocalSpec(_FixedSpec):
    """The first offset on the broker's own disks."""

    _value = -4


class LatestTieredSpec(_FixedSpec):
    """The last offset in tiered storage."""

    _value = -5


class EarliestPendingUploadSpec(_FixedSpec):
    """The first offset that is not yet in tiered storage."""

    _value = -6


OffsetSpec._instances.update({kind._value: kind() for kind in _FixedSpec.__subclasses__()})


class ListOffsetsResultInfo:
    """What ``list_offsets`` answers for one partition.

    Args:
        offset: the offset found.
        timestamp: its timestamp in milliseconds; -1 when only the end or start was asked for.
        leader_epoch: the epoch of the leader; negative becomes None.
    """

    def __init__(self, offset: int, timestamp: int, leader_epoch: int) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.leader_epoch = None if leader_epoch < 0 else leader_epoch


class DeletedRecords:
    """What ``delete_records`` answers: the partition's first offset now."""

    def __init__(self, low_watermark: int) -> None:
        self.low_watermark = low_watermark
