"""The states of a record in delivery, and what a consumer can do with one."""

from __future__ import annotations

from enum import IntEnum


class RecordState(IntEnum):
    """The delivery state of a record; the values are those of the log of share groups.

    Available ──► Acquired ──► Acknowledged
        ▲            │  └────► Archived
        └────────────┘
    """

    AVAILABLE = 0
    ACQUIRED = 1
    ACKNOWLEDGED = 2
    ARCHIVED = 4

    @property
    def is_terminal(self) -> bool:
        """Whether the record is never delivered again."""
        return self is RecordState.ACKNOWLEDGED or self is RecordState.ARCHIVED


class AcknowledgeType(IntEnum):
    """What a consumer says of a record it acquired; the values are those on the wire."""

    GAP = 0  # there is no record at that offset
    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    RENEW = 4  # it is still at work: the lock starts anew (KIP-1222)
